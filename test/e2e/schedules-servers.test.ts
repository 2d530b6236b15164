import { readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { query } from '../support/inspect.ts';
import { type ProcessServer, prepareProcessServer, type ServerProcess, temporaryDirectory } from '../support/process-server.ts';
import { csv } from '../support/samples.ts';
import { comeDue, runIn, runsOf, YEARLY } from '../support/schedules.ts';

/** Each starts servers several times. */
const TIMEOUT_MS = 240_000;

/** A receiver that takes a request and answers when it is told to. */
let receiver: Server;
let arrivals: string[] = [];
let answer: ((status: number) => void)[] = [];

beforeAll(async () => {
  receiver = createServer((request, response) => {
    request.resume().on('end', () => {
      arrivals.push(String(request.headers['webhook-id']));
      answer.push((status) => response.writeHead(status).end());
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  receiver.closeAllConnections();
  receiver.close();
});

const webhook = () =>
  ({ kind: 'webhook', url: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`, secret: 'a secret of some length' }) as const;

async function made(client: Client, options: object = {}) {
  const { datasetId } = await client.dataset.create({ name: 'Orders' });
  await client.version.commit({ datasetId, branch: 'main' }, { body: csv('id,price', '1,10', '2,20') });
  await client.tag.create({ datasetId, name: 'v1', ref: 'main' });
  const { scheduleId } = await client.schedule.create({ datasetId, name: 'Orders', ref: 'v1', ...YEARLY, ...options });
  return { datasetId, scheduleId };
}

async function filesOf(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'exports'), { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const FLAGS = ['--webhook-networks', '127.0.0.1', '--schedule-retry-ms', '100', '--drain-timeout-ms', '1500'];

describe('two servers on one database', () => {
  let database: TestDatabase;
  let dataDir: string;
  let servers: ProcessServer[];
  /** Undefined: is not started yet, or was killed. */
  let processes: (ServerProcess | undefined)[] = [];
  let clients: Client[];

  beforeAll(async () => {
    database = await createEmptyDatabase();
    dataDir = await temporaryDirectory();
    const options = { dataDir, flags: [...FLAGS, '--schedule-lease-ms', '1500'], environment: { COVISTA_DATABASE_URL: database.url } };
    servers = await Promise.all([prepareProcessServer(options), prepareProcessServer(options)]);
    clients = await Promise.all(servers.map((server) => server.client('alice')));
  });

  beforeEach(async () => {
    processes = await Promise.all(servers.map((server, index) => processes[index] ?? server.start()));
  });

  afterAll(async () => {
    for (const server of servers ?? []) await server.dispose();
    await database?.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('SCH3 a time that comes is run once, whoever sees it', async () => {
    const [client] = clients as [Client];
    const at = await made(client);
    for (let times = 1; times <= 5; times += 1) {
      // More jobs than there should ever be, for both to fall over.
      await Promise.all(
        [1, 2, 3].map(() => query(database.url, `SELECT FROM covista_jobs.add_job('schedule', json_build_object('id', $1::int))`, [at.scheduleId])),
      );
      await comeDue(database.url, at.scheduleId);
      await expect.poll(async () => (await runsOf(client, at)).filter(({ state }) => state === 'succeeded').length, { timeout: 30_000 }).toBe(times);
    }
    await expect
      .poll(async () => (await query(database.url, 'SELECT FROM covista_jobs.jobs WHERE run_at <= now()')).length, { timeout: 30_000 })
      .toBe(0);
    expect(await runsOf(client, at)).toHaveLength(5);
    expect(await filesOf(dataDir)).toHaveLength(5);
  });

  test('SCH11 a server that is killed in the middle of a run loses it to the other', { timeout: TIMEOUT_MS }, async () => {
    const [left, right] = clients as [Client, Client];
    arrivals = [];
    answer = [];
    const at = await made(left, { destination: webhook() });
    await left.schedule.run(at);
    await expect.poll(() => arrivals.length, { timeout: 30_000 }).toBe(1);
    // Which of the two has the run is not known, so the one that has it is found by killing one: then the other finishes it or starts anew.
    const killed = processes[0];
    processes[0] = undefined;
    killed?.kill('SIGKILL');
    await killed?.ended;
    answer[0]?.(204);
    await expect
      .poll(
        async () => {
          for (const tell of answer.splice(1)) tell(204);
          return (await runsOf(right, at))[0]?.state;
        },
        { timeout: 60_000 },
      )
      .toBe('succeeded');
    expect(await runsOf(right, at)).toHaveLength(1);
    expect(new Set(arrivals).size).toBe(1);
    // And the other one alone goes on.
    await right.schedule.run(at);
    await expect
      .poll(
        () => {
          for (const tell of answer.splice(0)) tell(204);
          return runsOf(right, at).then(([run]) => run?.state);
        },
        { timeout: 60_000 },
      )
      .toBe('succeeded');
  });
});

describe('a server on a database of its own', () => {
  let server: ProcessServer;

  beforeAll(async () => {
    server = await prepareProcessServer({ flags: FLAGS });
  });

  afterAll(async () => {
    await server?.dispose();
  });

  test('SCH3 SCH11 what it was killed in the middle of is done when it is back, times that were missed once, and nothing is left', {
    timeout: TIMEOUT_MS,
  }, async () => {
    arrivals = [];
    answer = [];
    let run = await server.start();
    const first = await server.client('alice');
    const at = await made(first, { destination: webhook() });
    const missed = await made(first);
    await first.schedule.run(at);
    await expect.poll(() => arrivals.length, { timeout: 30_000 }).toBe(1);
    run.kill('SIGKILL');
    await run.ended;
    run = await server.start();
    const client = await server.client('alice');
    await expect.poll(() => arrivals.length, { timeout: 30_000 }).toBe(2);
    for (const tell of answer) tell(204);
    expect(await runIn(client, at, 'succeeded')).toMatchObject({ attempts: 2 });
    expect(new Set(arrivals).size).toBe(1);
    // A file of a run that never came to be, and one of somebody else beside it.
    const url = await server.databaseUrl();
    await client.schedule.run(missed);
    const { place } = await runIn(client, missed, 'succeeded');
    await query(url, `UPDATE schedule_runs SET file = NULL WHERE schedule_id = $1`, [missed.scheduleId]);
    await query(url, `UPDATE schedules SET next_at = now() - interval '3 days' WHERE schedule_id = $1`, [missed.scheduleId]);
    await query(url, `DELETE FROM covista_jobs._private_jobs`);
    run.kill('SIGKILL');
    await run.ended;
    await server.start();
    const again = await server.client('alice');
    await expect
      .poll(async () => (await runsOf(again, missed)).filter(({ cause, state }) => cause === 'cron' && state === 'succeeded').length, {
        timeout: 30_000,
      })
      .toBe(1);
    const files = await filesOf(server.dataDir);
    expect(files).toHaveLength(1);
    expect(files[0]).not.toContain(String(place));
    expect(await readFile(files[0] as string, 'utf8')).toBe('id,price\n1,10\n2,20\n');
  });

  test('SCH11 one that stops gives back what takes too long', { timeout: TIMEOUT_MS }, async () => {
    arrivals = [];
    answer = [];
    const stopping = await prepareProcessServer({ flags: FLAGS });
    try {
      const run = await stopping.start();
      const client = await stopping.client('alice');
      const at = await made(client, { destination: webhook() });
      await client.schedule.run(at);
      await expect.poll(() => arrivals.length, { timeout: 30_000 }).toBe(1);
      run.kill('SIGTERM');
      expect(await run.ended).toEqual({ code: 0, signal: null });
      await stopping.start();
      const again = await stopping.client('alice');
      await expect.poll(() => arrivals.length, { timeout: 30_000 }).toBe(2);
      for (const tell of answer) tell(204);
      expect(await runIn(again, at, 'succeeded')).toMatchObject({ attempts: 1, error: null });
    } finally {
      await stopping.dispose();
    }
  });
});
