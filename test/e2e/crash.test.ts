import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { type Acknowledged, type CommitLoad, restSender, socketSender, startLoad } from '../support/commit-load.ts';
import { query, sha256 } from '../support/inspect.ts';
import { contradictions, orphans } from '../support/integrity.ts';
import { endProcess, type ProcessServer, prepareProcessServer, type ServerProcess } from '../support/process-server.ts';
import { type Random, seededRandom } from '../support/random.ts';
import { csv } from '../support/samples.ts';

/** Short by default; `CRASH_KILLS` makes it as long as wanted, `CRASH_SEED` repeats a run as far as timing allows. */
const KILLS = Number(process.env.CRASH_KILLS ?? 5);
const SEED = Number(process.env.CRASH_SEED ?? Date.now() % 1_000_000);
const KILL_WITHIN_MS = 700;
/** Only how long the test waits for what never comes; a machine may be busy. */
const TIMEOUT_MS = 120_000 + KILLS * 60_000;

let server: ProcessServer;
let run: ServerProcess;
let random: Random;
let alice: Client;

beforeEach(async () => {
  random = seededRandom(SEED);
  server = await prepareProcessServer();
  run = await server.start();
  alice = await server.client('alice');
});

afterEach(async () => {
  await server?.dispose();
});

async function newDataset(name: string): Promise<number> {
  const { datasetId } = await alice.dataset.create({ name, key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main', message: 'first' }, { body: csv('id,name,amount', '1,one,1') });
  return datasetId;
}

interface Committing {
  readonly load: CommitLoad;
  readonly clients: readonly Client[];
}

async function startCommitting(): Promise<Committing> {
  const token = await server.token('alice');
  const clients = await Promise.all([server.client('alice'), server.client('alice')]);
  const senders = [...clients.map(socketSender), restSender(server.url, token), restSender(server.url, token)];
  return { clients, load: startLoad({ random, datasetIds: [await newDataset('A'), await newDataset('B')], senders }) };
}

/** Ends the server without a word, and sometimes its PostgreSQL too, as when the machine fails. */
async function crash(): Promise<void> {
  run.kill('SIGKILL');
  expect((await run.ended).signal).toBe('SIGKILL');
  const database = await server.databasePid();
  if (random.below(3) === 0 && database !== undefined) await endProcess(database, 'SIGKILL');
}

const pause = (timeMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, timeMs));

describe(`kill -9 (CRASH_SEED=${SEED})`, () => {
  test(
    'VC20 every acknowledged version reads back with its hashes, and none is half there',
    async () => {
      const { load } = await startCommitting();
      for (let kill = 1; kill <= KILLS; kill += 1) {
        await load.more(1 + random.below(20));
        await pause(random.below(KILL_WITHIN_MS));
        await crash();
        run = await server.start();
        await verify(load.acknowledged.slice(-50));
      }
      await load.more(5);
      await load.stop();
      expect(load.refused).toEqual([]);
      await verify(load.acknowledged);
      await verifyWhole(load);
    },
    TIMEOUT_MS,
  );

  test(
    'VC20 nothing is left of commits that nobody repeats',
    async () => {
      const { load, clients } = await startCommitting();
      await load.more(20);
      await crash();
      for (const client of clients) client.close();
      await load.stop();
      run = await server.start();
      await verify(load.acknowledged);
      await verifyWhole(load);
    },
    TIMEOUT_MS,
  );
});

/** What a reader of the server gets of versions that were acknowledged. */
async function verify(acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const { datasetId, versionId, ...expected } of acknowledged) {
    const version = await alice.version.get({ datasetId, versionId });
    expect(version).toMatchObject({ rows: expected.rows, message: expected.message, mode: expected.mode, original: { sha256: expected.sha256 } });
    const original = await alice.version.fetch({ datasetId, versionId, format: 'original' });
    expect(sha256(await original.toBytes())).toBe(expected.sha256);
    const { totalRows, rows } = await alice.version.preview({ datasetId, versionId, endRow: 10_000 });
    expect([totalRows, rows.length]).toEqual([expected.rows, expected.rows]);
  }
}

/** What is on the disk of a server that has come back with nothing under way. */
async function verifyWhole(load: CommitLoad): Promise<void> {
  await crash();
  run = await server.start();
  const databaseUrl = await server.databaseUrl();
  expect(await contradictions(databaseUrl, server.dataDir)).toEqual([]);
  expect(await orphans(databaseUrl, server.dataDir)).toEqual([]);
  const landed = await query<{ message: string }>(databaseUrl, "SELECT message FROM versions WHERE message LIKE 'commit %'");
  const messages = new Set(landed.map(({ message }) => message));
  expect(load.acknowledged.filter(({ message }) => !messages.has(message))).toEqual([]);
  expect([...messages].filter((message) => !load.sent.has(message))).toEqual([]);
  const [{ datasetId } = { datasetId: 0 }] = load.acknowledged;
  await alice.version.commit({ datasetId, branch: 'main', message: 'after all' }, { body: csv('id,name,amount', '1,one,1') });
}
