import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  server = await startTestServer(['--retention-period-ms', '200', '--file-reader-lease-ms', '3000']);
  [alice, bob] = await Promise.all([server.client('alice'), server.client('bob')]);
});

afterAll(() => server?.stop());

/** A dataset with so many versions of a file of their own on main. */
async function datasetOf(versions: number): Promise<number> {
  const { datasetId } = await alice.dataset.create({ name: 'Kept' });
  for (let index = 1; index <= versions; index += 1) await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', String(index)) });
  return datasetId;
}

async function bytesOnDisk(datasetId: number): Promise<number> {
  let bytes = 0;
  for (const file of await server.objects(datasetId))
    bytes += (await stat(join(server.dataDir, 'objects', 'datasets', String(datasetId), file))).size;
  return bytes;
}

/** What was removed or deleted so far, was so a week and more ago. */
async function weekPasses(datasetId: number): Promise<void> {
  await query(server.databaseUrl, `UPDATE versions SET removed_at = removed_at - interval '8 days' WHERE dataset_id = $1`, [datasetId]);
  await query(server.databaseUrl, `UPDATE datasets SET deleted_at = deleted_at - interval '8 days' WHERE dataset_id = $1`, [datasetId]);
}

describe('policies', () => {
  test('RET1 RET2 RET7 OPS1 a preview tells what a run removes: heads, tags and the last ones stay, and the disk agrees to the byte', async () => {
    const datasetId = await datasetOf(8);
    await alice.tag.create({ datasetId, name: 'v2', ref: '2' });
    await alice.branch.create({ datasetId, name: 'side', from: '3' });
    // Its files are those of version 1, which goes.
    await alice.version.commit({ datasetId, branch: 'side', restore: '1' });
    const before = await alice.retention.get({ datasetId });
    expect(before).toMatchObject({ policy: null, setBy: null, storage: { versions: 9, removedVersions: 0, bytes: await bytesOnDisk(datasetId) } });
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    expect(metrics).toContain(`covista_storage_usage_by_dataset_bytes{dataset="${datasetId}"} ${before.storage.bytes}\n`);
    const preview = await alice.retention.run({ datasetId, dryRun: true, policy: { keepLast: 2 } });
    expect(preview).toMatchObject({ dryRun: true, versionIds: [1, 3, 4, 5], remaining: 0, files: 6 });
    expect(await alice.retention.get({ datasetId })).toEqual(before);
    await expect(alice.retention.run({ datasetId, policy: { keepLast: 2 } })).rejects.toMatchObject({
      code: 'invalid_input',
      details: { field: 'policy' },
    });
    await expect(alice.retention.set({ datasetId, policy: {} })).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await alice.retention.set({ datasetId, policy: { keepLast: 2 } })).toMatchObject({
      policy: { keepLast: 2, keepDays: null },
      setBy: 'alice',
    });
    // Whether this or the server's own round comes first, they are removed once.
    await alice.retention.run({ datasetId });
    await expect.poll(async () => (await alice.retention.get({ datasetId })).storage.removedVersions).toBe(4);
    const { storage } = await alice.retention.get({ datasetId });
    expect(storage).toMatchObject({ versions: 5, removedVersions: 4, bytes: await bytesOnDisk(datasetId), removedBytes: preview.bytes });
    expect(storage.bytes).toBe(before.storage.bytes);
    await weekPasses(datasetId);
    await expect.poll(() => bytesOnDisk(datasetId), { timeout: 20_000 }).toBe(before.storage.bytes - preview.bytes);
    await expect.poll(async () => (await alice.retention.get({ datasetId })).storage.condemnedFiles).toBe(0);
    expect((await alice.retention.get({ datasetId })).storage.bytes).toBe(await bytesOnDisk(datasetId));
    for (const ref of ['main', 'v2', 'side', '6', '7']) {
      const { versionId } = await alice.ref.resolve({ datasetId, ref });
      expect((await alice.version.preview({ datasetId, versionId })).rows).toHaveLength(1);
    }
    await expect(alice.retention.restore({ datasetId })).resolves.toEqual({ datasetId, versionIds: [] });
  });

  test('RET1 what left a branch within the days stays, so that the time of then is there', async () => {
    const datasetId = await datasetOf(3);
    await query(server.databaseUrl, `UPDATE versions SET created_at = created_at - interval '90 days' WHERE dataset_id = $1`, [datasetId]);
    await query(server.databaseUrl, `UPDATE branch_log SET at = at - interval '90 days' WHERE dataset_id = $1 AND to_version < 3`, [datasetId]);
    const preview = (policy: object) => alice.retention.run({ datasetId, dryRun: true, policy });
    expect(await preview({ keepDays: 30 })).toMatchObject({ versionIds: [1] });
    expect(await preview({ keepDays: 120 })).toMatchObject({ versionIds: [] });
    expect(await preview({ keepDays: 0 })).toMatchObject({ versionIds: [1, 2] });
    expect(await preview({ keepDays: 0, keepLast: 1 })).toMatchObject({ versionIds: [1] });
  });
});

describe('removed versions', () => {
  test('RET3 RET4 keep their record, give nothing else, and come back as they were', async () => {
    const datasetId = await datasetOf(4);
    const watching = alice.dataset.watch({ datasetId, after: 0 })[Symbol.asyncIterator]();
    const { tableId } = await alice.table.open({ datasetId, ref: '1' }, { perspective: false });
    const rows = (await alice.version.preview({ datasetId, versionId: 1 })).rows;
    await alice.retention.set({ datasetId, policy: { keepLast: 0 } });
    await alice.retention.run({ datasetId });
    await expect.poll(async () => (await alice.version.get({ datasetId, versionId: 1 })).removedAt).not.toBeNull();
    const { items } = await alice.version.history({ datasetId });
    expect(items.map(({ versionId, removedAt }) => [versionId, removedAt !== null])).toEqual([
      [4, false],
      [3, true],
      [2, true],
      [1, true],
    ]);
    expect(items[3]).toMatchObject({ author: 'alice', rows: 1, schema: [{ name: 'id' }] });
    const at = { datasetId, versionId: 1 };
    const gone = { code: 'not_found', details: { datasetId, versionId: 1, removedAt: items[3]?.removedAt } };
    const attempts: readonly (() => Promise<unknown>)[] = [
      () => alice.version.preview(at),
      () => alice.version.schema(at),
      () => alice.version.statistics(at),
      () => alice.version.fetch({ ...at, format: 'csv' }),
      () => alice.version.fetch({ ...at, format: 'original' }),
      () => alice.ref.resolve({ datasetId, ref: '1' }),
      () => alice.ref.resolve({ datasetId, ref: 'main~3' }),
      () => alice.version.history({ datasetId, ref: '1' }),
      () => alice.diff.rows({ datasetId, from: '1', to: 'main' }),
      () => alice.diff.schema({ datasetId, from: '1', to: 'main' }),
      () => alice.table.open({ datasetId, ref: '1' }, { perspective: false }),
      () => alice.tag.create({ datasetId, name: 'late', ref: '1' }),
      () => alice.branch.create({ datasetId, name: 'late', from: '1' }),
      () => alice.branch.reset({ datasetId, branch: 'main', to: '1' }),
      () => alice.version.commit({ datasetId, branch: 'main', restore: '1' }),
    ];
    for (const attempt of attempts) await expect(attempt(), attempt.toString()).rejects.toMatchObject(gone);
    await expect(alice.table.get({ tableId })).rejects.toMatchObject({ code: 'not_found' });
    expect((await alice.branch.log({ datasetId, branch: 'main' })).items.map(({ to }) => to)).toEqual([4, 3, 2, 1]);
    const told: unknown[] = [];
    while (told.at(-1) !== 'version.removed') told.push(((await watching.next()).value as { kind: string }).kind);
    await alice.retention.set({ datasetId, policy: null });
    expect(await alice.retention.restore({ datasetId, versionIds: [1] })).toEqual({ datasetId, versionIds: [1] });
    expect((await alice.version.preview(at)).rows).toEqual(rows);
    expect(await alice.version.get(at)).toMatchObject({ removedAt: null });
    await weekPasses(datasetId);
    await expect.poll(async () => (await alice.retention.restore({ datasetId })).versionIds.length === 0, { timeout: 20_000 }).toBe(true);
  });

  test('RET3 a file that was committed to a version which is gone is converted anew', async () => {
    const datasetId = await datasetOf(2);
    await alice.retention.set({ datasetId, policy: { keepLast: 0 } });
    await alice.retention.run({ datasetId });
    await expect.poll(async () => (await alice.version.get({ datasetId, versionId: 1 })).removedAt).not.toBeNull();
    await weekPasses(datasetId);
    await expect.poll(async () => (await alice.version.get({ datasetId, versionId: 1 })).files, { timeout: 20_000 }).toBe(0);
    const again = await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    expect((await alice.version.preview({ datasetId, versionId: again.versionId })).rows).toEqual([{ id: 1 }]);
  });

  test('RET5 a download and a table that began before go on, and then the files go', async () => {
    const datasetId = await datasetOf(1);
    const big = csv('id,text', ...Array.from({ length: 60_000 }, (_, index) => `${index},${'x'.repeat(20 + (index % 50))}`));
    await alice.version.commit({ datasetId, branch: 'main' }, { body: big });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '3') });
    const download = await alice.version.fetch({ datasetId, versionId: 2, format: 'original' });
    const reading = download.bytes;
    const first = await reading.next();
    const { tableId } = await alice.table.open({ datasetId, ref: '2', engine: 'duckdb' }, { perspective: false });
    const channel = await alice.table.connect({ tableId }, { onMessage: () => undefined, onClose: () => undefined });
    await alice.retention.set({ datasetId, policy: { keepLast: 0 } });
    await alice.retention.run({ datasetId });
    await expect.poll(async () => (await alice.version.get({ datasetId, versionId: 2 })).removedAt).not.toBeNull();
    await weekPasses(datasetId);
    // Those of version 1 that nobody reads go; those of 2 wait.
    await expect.poll(async () => (await alice.retention.get({ datasetId })).storage.condemnedFiles, { timeout: 20_000 }).toBe(2);
    let bytes = (first.value as Uint8Array).length;
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) bytes += next.value.length;
    expect(bytes).toBe(big.length);
    await expect.poll(async () => (await alice.retention.get({ datasetId })).storage.condemnedFiles, { timeout: 20_000 }).toBe(1);
    channel.close();
    await alice.table.close({ tableId }).catch(() => undefined);
    await alice.dataset.cleanup({ datasetId });
    await expect.poll(async () => (await alice.retention.get({ datasetId })).storage.condemnedFiles, { timeout: 20_000 }).toBe(0);
    expect((await alice.retention.get({ datasetId })).storage.bytes).toBe(await bytesOnDisk(datasetId));
  });
});

test('RET8 a cleanup closes tables that nobody uses, names those with connections, and removes what is not kept', async () => {
  const datasetId = await datasetOf(3);
  const [used, idle] = await Promise.all(['2', '3'].map((ref) => alice.table.open({ datasetId, ref }, { perspective: false })));
  if (used === undefined || idle === undefined) throw new Error('the tables were not opened');
  await alice.table.connect({ tableId: used.tableId }, { onMessage: () => undefined, onClose: () => undefined });
  await query(server.databaseUrl, `UPDATE datasets SET retention = NULL WHERE dataset_id = $1`, [datasetId]);
  const planned = await alice.dataset.cleanup({ datasetId, dryRun: true });
  expect(planned).toEqual({
    closedTables: [idle.tableId],
    usedTables: [{ tableId: used.tableId, connections: 1 }],
    retention: { datasetId, dryRun: true, policy: null, versionIds: [], remaining: 0, files: 0, bytes: 0 },
  });
  expect(await alice.dataset.cleanup({ datasetId })).toEqual({ ...planned, retention: { ...planned.retention, dryRun: false } });
  expect((await alice.table.list({ datasetId })).items.map(({ tableId }) => tableId)).toEqual([used.tableId]);
  await expect(bob.dataset.cleanup({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
});

describe('deleted datasets', () => {
  test('RET9 VC19 come back with everything they had, for their admins alone', async () => {
    const datasetId = await datasetOf(2);
    await alice.tag.create({ datasetId, name: 'v1', ref: '1' });
    await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
    await alice.dataset.delete({ datasetId });
    for (const client of [alice, bob]) {
      await expect(client.dataset.get({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
      expect((await client.dataset.list({ limit: 1000 })).items.map((item) => item.datasetId)).not.toContain(datasetId);
    }
    await expect(alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '9') })).rejects.toMatchObject({ code: 'not_found' });
    const [listed] = (await alice.dataset.listDeleted({})).items;
    expect(listed).toMatchObject({ datasetId, deletedBy: 'alice' });
    expect(Date.parse(listed?.goneAt ?? '') - Date.parse(listed?.deletedAt ?? '')).toBe(7 * 24 * 3_600_000);
    expect((await bob.dataset.listDeleted({})).items).toEqual([]);
    await expect(bob.dataset.undelete({ datasetId })).rejects.toMatchObject({ code: 'forbidden' });
    await expect((await server.client('mallory')).dataset.undelete({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await alice.dataset.undelete({ datasetId })).toMatchObject({ datasetId, name: 'Kept' });
    expect((await bob.version.preview({ datasetId, versionId: 2 })).rows).toEqual([{ id: 2 }]);
    expect(await bob.tag.get({ datasetId, tag: 'v1' })).toMatchObject({ versionId: 1 });
    await bob.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '3') });
    await expect(alice.dataset.undelete({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('RET9 VC19 are gone with their files when the grace has passed, and only the audit speaks of them', async () => {
    const datasetId = await datasetOf(3);
    await alice.dataset.delete({ datasetId });
    await weekPasses(datasetId);
    await expect(alice.dataset.undelete({ datasetId })).rejects.toMatchObject({ code: 'not_found' });
    await expect.poll(() => server.objects(datasetId), { timeout: 20_000 }).toEqual([]);
    const rowsOf = (table: string) => query(server.databaseUrl, `SELECT 1 FROM ${table} WHERE dataset_id = $1`, [datasetId]);
    for (const table of ['datasets', 'versions', 'data_files', 'pointers', 'grants', 'events', 'condemned_objects']) {
      await expect.poll(() => rowsOf(table), { timeout: 10_000 }).toEqual([]);
    }
    expect((await rowsOf('audit')).length).toBeGreaterThan(0);
  });
});
