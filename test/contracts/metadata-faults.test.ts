import { AsyncLocalStorage } from 'node:async_hooks';
import pg from 'pg';
import { afterEach, expect, test, vi } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import { openMetadataStore } from '../../server/storage/postgres/open.ts';
import { by, commit, createDataset, datasetWithVersions, landOne, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const clients: pg.Client[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: metadata.url });
  clients.push(client);
  await client.connect();
  return client;
}

/** Holds the lock of a dataset until it is let go. */
async function holdLock(datasetId: DatasetId): Promise<() => Promise<void>> {
  const client = await connect();
  await client.query('BEGIN');
  await client.query('SELECT FROM datasets WHERE dataset_id = $1 FOR UPDATE', [datasetId]);
  return async () => void (await client.query('ROLLBACK'));
}

/** Waits until so many sessions of the database wait for a lock. */
async function untilWaiting(count: number): Promise<void> {
  const client = await connect();
  const query = `SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await client.query<{ waiting: number }>(query)).rows[0]?.waiting !== count) await new Promise((resolve) => setImmediate(resolve));
}

test('DB17 a database that does not answer is unavailable', async () => {
  const nobody = new URL(metadata.url);
  nobody.port = '1';
  const opening = openMetadataStore({ url: nobody.href, limits: defaultLimits, log: createLog('fatal', false) });
  await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
});

test('DB17 a statement that takes too long is timeout, and the next one works', async () => {
  const { datasetId } = await createDataset(await metadata.open());
  const store = await metadata.open({ statementTimeoutMs: 300 });
  const release = await holdLock(datasetId);
  await expect(store.datasets.update(datasetId, { name: 'x' }, by('alice'))).rejects.toMatchObject({ code: 'timeout' });
  await expect(store.versions.land(datasetId, [commit()], async () => {})).rejects.toMatchObject({ code: 'timeout' });
  await release();
  const next = () =>
    store.datasets.update(datasetId, { name: 'x' }, by('alice')).then(
      ({ name }) => name,
      ({ code }: CovistaError) => code,
    );
  await expect.poll(next).toBe('x');
});

test('DB17 a connection that is lost is unavailable, and the next statement makes a new one', async () => {
  const store = await metadata.open({ databasePoolMax: 1 });
  const { datasetId } = await createDataset(store);
  const release = await holdLock(datasetId);
  const failing = expect(landOne(store, datasetId)).rejects.toMatchObject({ code: 'unavailable' });
  await untilWaiting(1);
  const client = await connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
  await failing;
  await release();
  await store.ping();
  expect(await landOne(store, datasetId)).toMatchObject({ versionId: 1 });
});

test('DB17 so many requests wait for a connection and no more', async () => {
  const store = await metadata.open({ databasePoolMax: 1, databaseQueueMax: 1 });
  const { datasetId } = await createDataset(store);
  const release = await holdLock(datasetId);
  const first = store.datasets.update(datasetId, { name: 'first' }, by('alice'));
  await untilWaiting(1);
  const second = store.datasets.get(datasetId);
  await expect(store.datasets.get(datasetId)).rejects.toMatchObject({ code: 'unavailable', details: { databaseQueueMax: 1 } });
  await release();
  expect([await first, await second]).toMatchObject([{ name: 'first' }, { name: 'first' }]);
});

test('a deadlock with others is met by running the transaction again', async () => {
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const client = await connect();
  // The other side takes the locks in an order that nothing in the server takes them, so that one of the two must give way.
  await client.query(`SET deadlock_timeout = '10s'`);
  await client.query('BEGIN');
  await client.query('LOCK TABLE pointers IN SHARE MODE');
  const tagging = metadata.store.pointers.createTag(datasetId, 'v1', version(1), '', by('alice'));
  await untilWaiting(1);
  const locking = client.query('SELECT FROM datasets WHERE dataset_id = $1 FOR UPDATE', [datasetId]);
  await locking;
  await client.query('ROLLBACK');
  expect(await tagging).toMatchObject({ name: 'v1' });
});

test('texts that PostgreSQL cannot store are invalid_input, other odd ones are kept', async () => {
  const { datasets, pointers } = metadata.store;
  const given = { description: '', labels: [], key: null };
  await expect(datasets.create({ ...given, name: 'a\0b' }, by('alice'))).rejects.toMatchObject({ code: 'invalid_input' });
  await expect(datasets.list({ principals: null, limit: 1, search: '\0' })).rejects.toMatchObject({ code: 'invalid_input' });
  const { datasetId } = await datasets.create({ ...given, name: '\\"{},\t\u{1f600}' }, by('alice'));
  expect(await datasets.get(datasetId)).toMatchObject({ name: '\\"{},\t\u{1f600}' });
  await expect(pointers.headAt(datasetId, 'main', '9999999-01-01T00:00:00Z')).rejects.toMatchObject({ code: 'invalid_input' });
});

test('the audit only grows', async () => {
  await createDataset(metadata.store);
  const client = await connect();
  for (const statement of ['DELETE FROM audit', `UPDATE audit SET actor = 'x'`, 'TRUNCATE audit']) {
    await expect(client.query(statement)).rejects.toMatchObject({ code: '23001' });
  }
});

test('a transaction does not make the process follow its promises', async () => {
  const store = await metadata.open();
  const following = vi.spyOn(AsyncLocalStorage.prototype, 'run');
  try {
    await createDataset(store);
    expect(following).not.toHaveBeenCalled();
  } finally {
    following.mockRestore();
  }
});
