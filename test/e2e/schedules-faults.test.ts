import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { isFoundBelow } from '../support/files.ts';
import { query } from '../support/inspect.ts';
import { prepareProcessServer, temporaryDirectory } from '../support/process-server.ts';
import { csv } from '../support/samples.ts';
import { comeDue, type Receiver, runIn, runsOf, startReceiver, YEARLY } from '../support/schedules.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let receiver: Receiver;
let alice: Client;

beforeAll(async () => {
  receiver = await startReceiver();
  server = await startTestServer(['--webhook-networks', '127.0.0.1', '--removal-grace-ms', '600000', '--schedule-retry-ms', '200']);
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
  await receiver?.close();
});

interface At {
  readonly datasetId: number;
  readonly scheduleId: number;
}

const toReceiver = (path: string) => ({ kind: 'webhook', url: `${receiver.url}/${path}`, secret: 'a secret of some length' }) as const;
const receivedAt = (path: string): string[] => receiver.received.filter(({ url }) => url === `/${path}`).map(({ body }) => body.toString());

async function made(client: Client, options: object = {}): Promise<At> {
  const { datasetId } = await client.dataset.create({ name: 'Orders', key: ['id'] });
  await client.version.commit({ datasetId, branch: 'main' }, { body: csv('id,note', '1,first', '2,second') });
  const { scheduleId } = await client.schedule.create({ datasetId, name: 'Orders', ref: 'main', refKind: 'branch', ...YEARLY, ...options });
  return { datasetId, scheduleId };
}

async function textOf(client: Client, at: At, runId: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const item of client.schedule.download({ ...at, runId })) if (item instanceof Uint8Array) chunks.push(item);
  return Buffer.concat(chunks).toString();
}

const filesOf = async (dataDir: string): Promise<string[]> =>
  (await readdir(join(dataDir, 'exports'), { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);

const stateOf = async ({ scheduleId }: At): Promise<{ state: string; attempts: number }[]> =>
  query(server.databaseUrl, 'SELECT state, attempts FROM schedule_runs WHERE schedule_id = $1 ORDER BY run_id', [scheduleId]);

const jobsOf = async ({ scheduleId }: At): Promise<unknown[]> =>
  query(
    server.databaseUrl,
    `SELECT key FROM covista_jobs.jobs
     WHERE key = 'schedule:' || $1::integer OR key IN (SELECT 'run:' || run_id FROM schedule_runs WHERE schedule_id = $1)`,
    [scheduleId],
  );

/** A Parquet file of rows with the same words. */
async function repetitive(rows: number): Promise<Uint8Array> {
  const directory = await temporaryDirectory();
  const path = join(directory, 'made.parquet');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    await connection.run(
      `COPY (SELECT i AS id, repeat('the same words ', 6) AS note FROM range(${rows}) t(i)) TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
    );
    return new Uint8Array(await readFile(path));
  } finally {
    connection.closeSync();
    instance.closeSync();
    await rm(directory, { recursive: true });
  }
}

describe('a dataset that is deleted', () => {
  test('SCH16 RET9 nothing runs while it is deleted, and what was missed runs once when it is back', async () => {
    const at = await made(alice);
    await alice.dataset.delete({ datasetId: at.datasetId });
    await comeDue(server.databaseUrl, at.scheduleId);
    await expect.poll(() => jobsOf(at)).toEqual([]);
    expect(await stateOf(at)).toEqual([]);
    await alice.dataset.undelete({ datasetId: at.datasetId });
    expect(await runIn(alice, at, 'succeeded')).toMatchObject({ cause: 'cron', rows: 2, attempts: 1 });
    expect(await alice.schedule.get(at)).toMatchObject({ paused: null, nextAt: expect.stringMatching(/-01-01T00:00:00.000Z$/) });
    expect(await runsOf(alice, at)).toHaveLength(1);
  });

  test('SCH16 a run that was under way ends with it, and is made again when it is back', async () => {
    const at = await made(alice, { destination: toReceiver('deleted') });
    const gate = Promise.withResolvers<void>();
    receiver.answering = gate.promise;
    await alice.schedule.run(at);
    await expect.poll(() => receivedAt('deleted').length, { timeout: 30_000 }).toBe(1);
    await alice.dataset.delete({ datasetId: at.datasetId });
    await expect.poll(() => stateOf(at), { timeout: 30_000 }).toEqual([{ state: 'waiting', attempts: 0 }]);
    gate.resolve();
    receiver.answering = Promise.resolve();
    await alice.dataset.undelete({ datasetId: at.datasetId });
    expect(await runIn(alice, at, 'succeeded')).toMatchObject({ attempts: 1, rows: 2 });
    expect(await alice.schedule.get(at)).toMatchObject({ paused: null });
    expect(receivedAt('deleted')).toHaveLength(2);
  });
});

test('SCH17 RET5 a version that retention removes while it is exported is exported whole, and the next run has the head', async () => {
  const at = await made(alice, { destination: toReceiver('retained') });
  const { datasetId } = at;
  const gate = Promise.withResolvers<void>();
  receiver.answering = gate.promise;
  await alice.schedule.run(at);
  await expect.poll(() => receivedAt('retained').length, { timeout: 30_000 }).toBe(1);
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,note', '3,third') });
  await alice.retention.set({ datasetId, policy: { keepLast: 0 } });
  expect(await alice.retention.run({ datasetId })).toMatchObject({ versionIds: [1] });
  gate.resolve();
  receiver.answering = Promise.resolve();
  expect(await runIn(alice, at, 'succeeded')).toMatchObject({ versionId: 1, rows: 2, attempts: 1 });
  await alice.schedule.run(at);
  await expect.poll(() => receivedAt('retained').length, { timeout: 30_000 }).toBe(2);
  expect(await runIn(alice, at, 'succeeded')).toMatchObject({ versionId: 2, rows: 1 });
  expect(receivedAt('retained')).toEqual(['id,note\n1,first\n2,second\n', 'id,note\n3,third\n']);
});

test('SCH5 with encryption at rest files are sealed, and read by schedule.download also after a restart', async () => {
  const encrypted = await startTestServer(['--master-key', randomBytes(32).toString('base64')]);
  try {
    const owner = await encrypted.client('alice');
    const { datasetId } = await owner.dataset.create({ name: 'Sealed' });
    const rows = Array.from({ length: 2_000 }, (_, id) => `${id},only-with-the-key`);
    await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,note', ...rows) });
    for (const config of [null, { columns: ['note', 'id'] }]) {
      const options = { ref: 'main', refKind: 'branch', ...YEARLY, ...(config === null ? {} : { config }) } as const;
      const { scheduleId } = await owner.schedule.create({ datasetId, name: 'Sealed', ...options });
      const at = { datasetId, scheduleId };
      await owner.schedule.run(at);
      const run = await runIn(owner, at, 'succeeded');
      const text = await textOf(owner, at, run.runId);
      expect([text.length, text.match(/only-with-the-key/g)?.length]).toEqual([run.bytes, rows.length]);
      const stored = await readFile(join(encrypted.dataDir, run.place ?? ''));
      expect(stored.length).toBeGreaterThan(text.length);
      await encrypted.restart();
      expect(await textOf(owner, at, run.runId)).toBe(text);
    }
    expect(await filesOf(encrypted.dataDir)).toHaveLength(2);
    expect(await isFoundBelow(join(encrypted.dataDir, 'exports'), 'only-with-the-key')).toEqual([]);
  } finally {
    await encrypted.stop();
  }
});

describe('room', () => {
  test('SCH6 SCH10 a file beyond the room for all files is storage_full, leaves nothing, and is made when there is room', async () => {
    const bytesMax = ['--schedule-file-bytes-max', '1500', '--schedule-files-bytes-max', '1500'];
    const small = await startTestServer([...bytesMax, '--schedule-retry-ms', '60000', '--schedule-retry-ms-max', '60000']);
    try {
      const owner = await small.client('alice');
      const { datasetId } = await owner.dataset.create({ name: 'Orders' });
      await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id', ...Array.from({ length: 250 }, (_, id) => String(id + 100))) });
      const create = async (): Promise<At> => {
        const { scheduleId } = await owner.schedule.create({ datasetId, name: 'Orders', ref: 'main', refKind: 'branch', ...YEARLY });
        return { datasetId, scheduleId };
      };
      const [one, other] = [await create(), await create()];
      await owner.schedule.run(one);
      await runIn(owner, one, 'succeeded');
      await owner.schedule.run(other);
      await expect.poll(async () => (await runsOf(owner, other))[0]?.error?.code, { timeout: 30_000 }).toBe('storage_full');
      expect(await runsOf(owner, other)).toMatchObject([{ state: 'waiting', attempts: 1, retryAt: expect.any(String), bytes: null }]);
      expect(await filesOf(small.dataDir)).toHaveLength(1);
      await owner.schedule.delete(one);
      await query(small.databaseUrl, 'UPDATE schedule_runs SET retry_at = NULL WHERE schedule_id = $1', [other.scheduleId]);
      await query(
        small.databaseUrl,
        `SELECT (covista_jobs.add_job('run', json_build_object('id', run_id), job_key => 'run:' || run_id)).id FROM schedule_runs WHERE state = 'waiting'`,
      );
      expect(await runIn(owner, other, 'succeeded')).toMatchObject({ attempts: 2, rows: 250, error: null });
    } finally {
      await small.stop();
    }
  });

  test('SCH6 SCH10 where the disk is full the run waits with storage_full, leaves nothing, and others go on', async () => {
    const database = await createEmptyDatabase();
    const full = await prepareProcessServer({
      flags: ['--schedule-retry-ms', '600000'],
      environment: { COVISTA_DATABASE_URL: database.url },
      // Ends no process that writes too much; files have at most 2,048 units of 1,024 bytes.
      wrapper: ['bash', '-c', 'trap \'\' XFSZ; ulimit -f 2048; exec "$@"', 'bash'],
    });
    try {
      await full.start();
      const owner = await full.client('alice');
      const { datasetId } = await owner.dataset.create({ name: 'Wide' });
      // Much less on disk than as text.
      await owner.version.commit({ datasetId, branch: 'main' }, { body: await repetitive(40_000) });
      const create = (options: object) => owner.schedule.create({ datasetId, name: 'Wide', ref: 'main', refKind: 'branch', ...YEARLY, ...options });
      for (const config of [undefined, { columns: ['note'] }]) {
        const { scheduleId } = await create(config === undefined ? {} : { config });
        await owner.schedule.run({ datasetId, scheduleId });
        const error = async () => (await runsOf(owner, { datasetId, scheduleId }))[0]?.error?.code;
        await expect.poll(error, { timeout: 30_000 }).toBe('storage_full');
        expect(await runsOf(owner, { datasetId, scheduleId })).toMatchObject([{ state: 'waiting', attempts: 1, downloadable: false }]);
      }
      expect(await filesOf(full.dataDir)).toEqual([]);
      const { scheduleId } = await create({ format: 'parquet' });
      await owner.schedule.run({ datasetId, scheduleId });
      expect(await runIn(owner, { datasetId, scheduleId }, 'succeeded')).toMatchObject({ rows: 40_000 });
    } finally {
      await full.dispose();
      await database.drop();
    }
  });
});
