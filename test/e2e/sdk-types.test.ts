import { describe, expect, expectTypeOf, test } from 'vitest';
import type { Client, FileOptions, Methods } from '../../client/index.ts';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { bundleForBrowser } from '../support/bundle.ts';

const tableId = 'dataset_1_v1_0123456789abcdef0123456789abcdef';
const viewId = 'view_0123456789abcdef0123456789abcdef';
const uploadId = '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e';
const sample = { name: 'Superstore', description: 'Orders of a retailer', labels: ['demo'], key: ['Row ID'] };

/** The example of each operation, as somebody writes it who uses the client: that it compiles is half of the test. */
const EXAMPLES: Readonly<Record<OperationName, (client: Methods) => unknown>> = {
  'session.whoami': (client) => client.session.whoami({}),
  'session.revoke': (client) => client.session.revoke({ tokenId: '3c5a2f5e-9d0b-4a54-8f6e-0f5c0f1d2b3a', reason: 'The laptop was stolen' }),
  'session.ticket': (client) => client.session.ticket({}),
  'session.revocations': (client) => client.session.revocations({}),
  'session.lift': (client) => client.session.lift({ subject: 'mallory' }),
  'dataset.create': (client) => client.dataset.create(sample),
  'dataset.list': (client) => client.dataset.list({ search: 'store', limit: 10 }),
  'dataset.get': (client) => client.dataset.get({ datasetId: 1 }),
  'dataset.update': (client) => client.dataset.update({ datasetId: 1, labels: ['demo', 'retail'] }),
  'dataset.delete': (client) => client.dataset.delete({ datasetId: 1 }),
  'dataset.undelete': (client) => client.dataset.undelete({ datasetId: 1 }),
  'dataset.listDeleted': (client) => client.dataset.listDeleted({ limit: 10 }),
  'dataset.cleanup': (client) => client.dataset.cleanup({ datasetId: 1 }),
  'retention.get': (client) => client.retention.get({ datasetId: 1 }),
  'retention.set': (client) => client.retention.set({ datasetId: 1, policy: { keepLast: 100, keepDays: 365 } }),
  'retention.run': (client) => client.retention.run({ datasetId: 1 }),
  'retention.restore': (client) => client.retention.restore({ datasetId: 1 }),
  'dataset.watch': (client) => client.dataset.watch({ datasetId: 1, after: 0 }),
  'upload.begin': (client) => client.upload.begin({ bytes: 12, fileName: 'orders.csv' }),
  'upload.write': (client) => client.upload.write({ uploadId, offset: 0 }),
  'upload.status': (client) => client.upload.status({ uploadId }),
  'upload.createDataset': (client) => client.upload.createDataset({ uploadId, name: 'Orders', key: ['id'] }),
  'upload.commit': (client) => client.upload.commit({ uploadId, datasetId: 1, branch: 'main' }),
  'upload.abort': (client) => client.upload.abort({ uploadId }),
  'version.commit': (client) => client.version.commit({ datasetId: 1, branch: 'main', message: 'First upload' }),
  'version.get': (client) => client.version.get({ datasetId: 1, versionId: 1 }),
  'version.schema': (client) => client.version.schema({ datasetId: 1, versionId: 1 }),
  'version.preview': (client) => client.version.preview({ datasetId: 1, versionId: 1, startRow: 0, endRow: 5 }),
  'version.statistics': (client) => client.version.statistics({ datasetId: 1, versionId: 1 }),
  'version.download': (client) => client.version.download({ datasetId: 1, versionId: 1, format: 'csv' }),
  'version.history': (client) => client.version.history({ datasetId: 1, ref: 'main' }),
  'branch.create': (client) => client.branch.create({ datasetId: 1, name: 'experiment', from: 'main' }),
  'branch.list': (client) => client.branch.list({ datasetId: 1 }),
  'branch.get': (client) => client.branch.get({ datasetId: 1, branch: 'main' }),
  'branch.rename': (client) => client.branch.rename({ datasetId: 1, branch: 'experiment', name: 'trial' }),
  'branch.reset': (client) => client.branch.reset({ datasetId: 1, branch: 'main', to: 'main~1' }),
  'branch.delete': (client) => client.branch.delete({ datasetId: 1, branch: 'experiment' }),
  'branch.protect': (client) => client.branch.protect({ datasetId: 1, branch: 'main', protected: true }),
  'branch.log': (client) => client.branch.log({ datasetId: 1, branch: 'main' }),
  'tag.create': (client) => client.tag.create({ datasetId: 1, name: 'v1.0', ref: 'main' }),
  'tag.list': (client) => client.tag.list({ datasetId: 1 }),
  'tag.get': (client) => client.tag.get({ datasetId: 1, tag: 'v1.0' }),
  'ref.resolve': (client) => client.ref.resolve({ datasetId: 1, ref: 'main~1' }),
  'ref.pointer': (client) => client.ref.pointer({ datasetId: 1, name: 'main' }),
  'diff.schema': (client) => client.diff.schema({ datasetId: 1, from: 'main~1', to: 'main' }),
  'diff.rows': (client) => client.diff.rows({ datasetId: 1, from: 'main~1', to: 'main', limit: 10 }),
  'diff.stream': (client) => client.diff.stream({ datasetId: 1, from: 'main~1', to: 'main' }),
  'document.connect': (client) => client.document.connect({ name: 'dataset/1' }, { onMessage: () => undefined }),
  'document.saveSnapshot': (client) => client.document.saveSnapshot({ name: 'dataset/1', label: 'Before the review' }),
  'document.readSnapshot': (client) => client.document.readSnapshot({ name: 'dataset/1', snapshotId: 1, map: 'views' }),
  'document.restoreSnapshot': (client) => client.document.restoreSnapshot({ name: 'dataset/1', snapshotId: 1 }),
  'document.scopes': (client) => client.document.scopes({ datasetId: 1 }),
  'document.publish': (client) =>
    client.document.publish({ datasetId: 1, scopeId: '0123456789abcdef0123456789abcdef', map: 'views', id: 'by-region' }),
  'document.withdraw': (client) =>
    client.document.withdraw({ datasetId: 1, scopeId: '0123456789abcdef0123456789abcdef', map: 'views', id: 'by-region' }),
  'document.snapshots': (client) => client.document.snapshots({ name: 'dataset/1' }),
  'document.attribution': (client) => client.document.attribution({ name: 'dataset/1' }),
  'table.open': (client) => client.table.open({ datasetId: 1, ref: 'main' }),
  'table.openUpload': (client) => client.table.openUpload({ uploadId }),
  'table.get': (client) => client.table.get({ tableId }),
  'table.list': (client) => client.table.list({}),
  'table.close': (client) => client.table.close({ tableId }),
  'table.connect': (client) => client.table.connect({ tableId }, { onMessage: () => undefined }),
  'view.create': (client) => client.view.create({ tableId, columns: ['price'], group_by: ['name'], aggregates: { price: 'sum' } }),
  'view.data': (client) => client.view.data({ tableId, viewId, startRow: 0, endRow: 10 }),
  'view.export': (client) => client.view.export({ tableId, viewId, format: 'csv' }),
  'view.close': (client) => client.view.close({ tableId, viewId }),
  'schedule.create': (client) =>
    client.schedule.create({
      datasetId: 1,
      name: 'Weekly names',
      ref: 'v1.0',
      config: { columns: ['name'] },
      cron: '0 6 * * 1',
      timeZone: 'Europe/Berlin',
      format: 'csv',
      destination: { kind: 'directory', directory: 'reports/weekly' },
    }),
  'schedule.list': (client) => client.schedule.list({ datasetId: 1 }),
  'schedule.get': (client) => client.schedule.get({ datasetId: 1, scheduleId: 1 }),
  'schedule.update': (client) => client.schedule.update({ datasetId: 1, scheduleId: 1, cron: '30 7 * * 1-5' }),
  'schedule.pause': (client) => client.schedule.pause({ datasetId: 1, scheduleId: 1 }),
  'schedule.resume': (client) => client.schedule.resume({ datasetId: 1, scheduleId: 1 }),
  'schedule.run': (client) => client.schedule.run({ datasetId: 1, scheduleId: 1 }),
  'schedule.runs': (client) => client.schedule.runs({ datasetId: 1, scheduleId: 1 }),
  'schedule.download': (client) => client.schedule.download({ datasetId: 1, scheduleId: 1, runId: 1 }),
  'schedule.delete': (client) => client.schedule.delete({ datasetId: 1, scheduleId: 1 }),
  'schedule.times': (client) => client.schedule.times({ datasetId: 1, cron: '0 6 * * 1', timeZone: 'Europe/Berlin' }),
  'grant.create': (client) => client.grant.create({ datasetId: 1, principal: 'user:bob', permission: 'read' }),
  'grant.list': (client) => client.grant.list({ datasetId: 1 }),
  'grant.revoke': (client) => client.grant.revoke({ datasetId: 1, grantId: 1 }),
  'access.get': (client) => client.access.get({ datasetId: 1 }),
  'access.explain': (client) => client.access.explain({ datasetId: 1, subject: 'bob', groups: ['team-b'], claims: { region: 'EU' } }),
  'access.preview': (client) => client.access.preview({ datasetId: 1, subject: 'bob', groups: ['team-b'], claims: { region: 'EU' } }),
  'audit.list': (client) => client.audit.list({ datasetId: 1 }),
  'audit.export': (client) => client.audit.export({ datasetId: 1 }),
  'audit.listAll': (client) => client.audit.listAll({ actor: 'mallory', outcome: 'forbidden' }),
  'audit.exportAll': (client) => client.audit.exportAll({ actor: 'mallory', outcome: 'error' }),
  'admin.alerts': (client) => client.admin.alerts({}),
  'admin.maintenance.status': (client) => client.admin['maintenance.status']({}),
  'admin.maintenance.enter': (client) => client.admin['maintenance.enter']({ reason: 'A new disk', wait: false }),
  'admin.maintenance.leave': (client) => client.admin['maintenance.leave']({}),
};

/** A client that answers every call with what it was called with. */
const recorder = new Proxy(
  {},
  { get: (_, noun) => new Proxy({}, { get: (_verbs, verb) => (input: unknown) => ({ operation: `${String(noun)}.${String(verb)}`, input }) }) },
) as Methods;

describe('types', () => {
  test.each([...operationsByName])('SDK20 the example of %s is written with the typed client', (name, operation) => {
    expect(EXAMPLES[name](recorder)).toEqual({ operation: name, input: operation.example.input });
  });

  test('SDK20 results have the types of the registry', () => {
    expectTypeOf<Client['dataset']['create']>().returns.resolves.toHaveProperty('datasetId').toEqualTypeOf<DatasetId>();
    expectTypeOf<Client['version']['history']>()
      .returns.resolves.toHaveProperty('items')
      .items.toHaveProperty('versionId')
      .toEqualTypeOf<VersionId>();
    expectTypeOf<Client['dataset']['watch']>().returns.toExtend<AsyncIterable<{ readonly sequence: number }>>();
    expectTypeOf<Client['session']['whoami']>().toBeCallableWith();
    expectTypeOf<{ name: string; key: string[] }>().toExtend<FileOptions>();
    expectTypeOf<{ datasetId: number; branch: string; mode: 'append' }>().toExtend<FileOptions>();
    expectTypeOf<{ name: string; mode: 'append' }>().not.toExtend<FileOptions>();
    expectTypeOf<{ name: string; datasetId: number; branch: string }>().not.toExtend<FileOptions>();
    expectTypeOf<Client['branch']['create']>().parameter(0).not.toExtend<{ readonly name: number }>();
    expectTypeOf<Client['dataset']['get']>().parameter(1).exclude<undefined>().not.toHaveProperty('idempotencyKey');
    expectTypeOf<Client['dataset']['delete']>().parameter(1).exclude<undefined>().toHaveProperty('idempotencyKey');
  });
});

describe('browsers', () => {
  test.each(['client/index.ts', 'protocol/index.ts'])('SDK19 %s bundles for a browser without a module of Node', async (entry) => {
    const { warnings, external, texts, first } = await bundleForBrowser(entry);
    expect(warnings).toEqual([]);
    expect(external).toEqual([]);
    for (const text of texts) expect(text).not.toMatch(/\brequire\(/);
    expect(first.bytes).toBeLessThan(225_000);
  });
});
