import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { contradictions } from '../support/integrity.ts';
import { type ProcessServer, prepareProcessServer, temporaryDirectory } from '../support/process-server.ts';
import { csv } from '../support/samples.ts';

/** Two servers on one PostgreSQL and one directory of files, as two processes. */
let database: TestDatabase;
let dataDir: string;
let servers: ProcessServer[];
let left: Client;
let right: Client;

beforeAll(async () => {
  database = await createEmptyDatabase();
  dataDir = await temporaryDirectory();
  const environment = { COVISTA_DATABASE_URL: database.url };
  servers = await Promise.all([prepareProcessServer({ dataDir, environment }), prepareProcessServer({ dataDir, environment })]);
  await Promise.all(servers.map((server) => server.start()));
  [left, right] = (await Promise.all(servers.map((server) => server.client('alice')))) as [Client, Client];
});

afterAll(async () => {
  for (const server of servers ?? []) await server.dispose();
  await database?.drop();
  await rm(dataDir, { recursive: true, force: true });
});

describe('two servers that started at once on an empty database', () => {
  test('both serve, and each reads what the other has committed', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Shared' });
    await left.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    expect(await right.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '2') })).toMatchObject({ versionId: 2, parents: [1] });
    expect((await left.version.preview({ datasetId, versionId: 2 })).rows).toEqual([{ id: 2 }]);
    expect((await left.ref.resolve({ datasetId, ref: 'main' })).versionId).toBe(2);
    await right.branch.reset({ datasetId, branch: 'main', to: '1' });
    expect((await left.ref.resolve({ datasetId, ref: 'main' })).versionId).toBe(1);
  });

  test('commits to one branch over both land one on top of another, rewrites included', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Raced', key: ['id'] });
    await left.version.commit({ datasetId, branch: 'main' }, { body: csv('id,n', '0,0') });
    const commits = Array.from({ length: 24 }, (_, index) => {
      const client = index % 2 === 0 ? left : right;
      const mode = index % 3 === 0 ? 'upsert' : 'append';
      return client.version.commit({ datasetId, branch: 'main', mode }, { body: csv('id,n', `${index + 1},1`) });
    });
    const made = await Promise.all(commits);
    expect(made.map(({ versionId }) => versionId).sort((a, b) => a - b)).toEqual(Array.from({ length: 24 }, (_, index) => index + 2));
    const { rows } = await right.version.preview({ datasetId, versionId: 25, endRow: 100 });
    expect(rows.map(({ id }) => Number(id)).sort((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, index) => index));
    expect(await contradictions(database.url, dataDir)).toEqual([]);
  });

  test('a watcher at one hears of commits at the other', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Watched' });
    const watching = right.dataset.watch({ datasetId, after: 0 })[Symbol.asyncIterator]();
    const next = watching.next();
    await left.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    expect((await next).value).toMatchObject({ sequence: 1, kind: 'version.created', data: { versionId: 1 } });
    await watching.return?.();
  });

  test('a grant that is given or taken at one counts at the other', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Granted' });
    const bob = await (servers[1] as ProcessServer).client('bob');
    const outcome = () =>
      bob.dataset.get({ datasetId }).then(
        () => 'allowed',
        ({ code }: { code: string }) => code,
      );
    // The other server has the grants in its memory from here on.
    expect(await outcome()).toBe('not_found');
    await right.dataset.get({ datasetId });
    const { grantId } = await left.grant.create({ datasetId, principal: 'user:bob', permission: 'read' });
    await expect.poll(outcome, { timeout: 10_000, interval: 10 }).toBe('allowed');
    await left.grant.revoke({ datasetId, grantId });
    await expect.poll(outcome, { timeout: 10_000, interval: 10 }).toBe('not_found');
  });

  test('RET9 tables of a dataset that is deleted at one end at the other, which tells why', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Deleted' });
    await left.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    const { tableId } = await right.table.open({ datasetId, ref: 'main' }, { perspective: false });
    const ended = Promise.withResolvers<unknown>();
    await right.table.connect({ tableId }, { onMessage: () => undefined, onClose: (reason) => ended.resolve(reason) });
    await left.dataset.delete({ datasetId });
    expect(await ended.promise).toMatchObject({ code: 'not_found', details: { reason: 'dataset.deleted' } });
  });

  test('a command that is repeated at the other server happens once', async () => {
    const { datasetId } = await left.dataset.create({ name: 'Repeated' });
    const once = (client: Client) => client.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1'), idempotencyKey: 'the-commit' });
    const [first, second] = await Promise.all([once(left), once(right)]);
    expect(second).toEqual(first);
    expect((await left.version.history({ datasetId })).items).toHaveLength(1);
  });
});
