import { setTimeout as delay } from 'node:timers/promises';
import type { SessionsToOpen } from '../loads/table-sessions.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { createWorkspace } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import { type Helper, startHelper } from '../support/helper.ts';
import { readMetric } from '../support/metrics.ts';
import { commitOrders, OWNER, perspectiveUrl, pivotAt } from '../support/orders.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { settledMemory } from '../support/settled.ts';
import type { ViewConfig } from '../support/table-crowd.ts';

const AREA = 'table sessions';
const KiB = 1024;
const MiB = 2 ** 20;
const WINDOW_ROWS = 100;
/** Within this a killed session is gone. */
const GONE_MS = 60_000;

interface Size {
  readonly rows: number;
  readonly sessions: number;
  readonly killed: number;
  readonly atOnce: number;
}

const SMOKE: Size = { rows: 2_000, sessions: 5, killed: 4, atOnce: 2 };
const QUICK: Size = { rows: 10_000, sessions: 15, killed: 15, atOnce: 15 };
const FULL: Size = { rows: 1_000_000, sessions: 200, killed: 1_000, atOnce: 200 };

export const tableSessions: Scenario = {
  name: 'table-sessions',
  area: AREA,
  about: 'what sessions with one saved configuration take together, and what is left of sessions that were killed',
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(1);
    const server = await startBenchServer();
    try {
      const size = sizeOf(options, [SMOKE, QUICK, FULL]);
      const { datasetId } = await commitOrders(server, { workspace, duckdb, rows: size.rows });
      const client = await server.client(OWNER);
      const { tableId } = await client.table.open({ datasetId, ref: 'main', engine: 'duckdb' }, { perspective: false });
      const connections = async (): Promise<number> => (await client.table.get({ tableId })).connections;
      const bench = { server, size, tableId, connections, options };
      const measurements = [...(await measureShared(bench)), ...(await measureKilled(bench))];
      client.close();
      return measurements;
    } finally {
      await server.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

interface Bench {
  readonly server: BenchServer;
  readonly size: Size;
  readonly tableId: string;
  readonly options: ScenarioOptions;
  connections(): Promise<number>;
}

/** Opens sessions that make these views, and hold them until they are killed. */
async function holding({ server, tableId }: Bench, configs: readonly ViewConfig[]): Promise<Helper<SessionsToOpen, number>> {
  const helper = startHelper<SessionsToOpen, number>('table-sessions.ts');
  const opened = await helper.ask({ url: perspectiveUrl(server, tableId), table: tableId, configs, windowRows: WINDOW_ROWS });
  if (opened !== configs.length) throw new Error(`of ${configs.length} sessions ${opened} were opened`);
  return helper;
}

const pivot = pivotAt(0).config;
const same = (count: number): ViewConfig[] => Array.from({ length: count }, () => pivot);
const others = (count: number): ViewConfig[] => Array.from({ length: count }, (_, index) => pivotAt(index).config);

async function measureShared(bench: Bench): Promise<Measurement[]> {
  const { server, size, options } = bench;
  const memory = (): Promise<number> => settledMemory(server, options);
  // What the first view makes the engine take belongs to no session; more than one would leave what the others take up.
  await (await holding(bench, same(1))).stop();
  await noneLeft(bench);
  const one = await holding(bench, same(1));
  const ofOne = await memory();
  const more = await holding(bench, same(size.sessions - 1));
  const ofAll = await memory();
  options.say(`${size.sessions} sessions: ${(ofAll / MiB).toFixed(0)} MiB; one: ${(ofOne / MiB).toFixed(0)} MiB`);
  await Promise.all([one.stop(), more.stop()]);
  const name = `memory of the server with ${size.sessions} sessions on one configuration, ${size.rows} rows`;
  return [
    { area: AREA, name: `${name} / with one`, value: ofAll / ofOne, unit: 'ratio', limit: 1.2, bound: 'at most' },
    { area: AREA, name, value: ofAll / MiB, unit: 'MiB' },
    { area: AREA, name: 'a further session with it', value: Math.max(0, ofAll - ofOne) / (size.sessions - 1) / KiB, unit: 'KiB' },
  ];
}

/** Sessions with views that differ, which never say goodbye. */
async function measureKilled(bench: Bench): Promise<Measurement[]> {
  const { server, size, options } = bench;
  const kill = async (count: number): Promise<void> => {
    const helper = await holding(bench, others(count));
    await helper.stop();
    await noneLeft(bench);
  };
  await kill(size.atOnce);
  const before = await settledMemory(server, options);
  const heapBefore = await heapBytes(server);
  for (let killed = 0; killed < size.killed; killed += size.atOnce) await kill(size.atOnce);
  const left = await engineObjects(server);
  const heapAfter = await heapBytes(server);
  const after = await settledMemory(server, options);
  options.say(`${size.killed} sessions were opened and killed; left of them: ${left}`);
  const name = `after ${size.killed} sessions were killed`;
  const grown = (from: number, to: number): number => Math.max(0, to - from) / MiB;
  return [
    { area: AREA, name: `sessions, views and relations that are left ${name}`, value: left, unit: 'count', limit: 0, bound: 'at most' },
    {
      area: AREA,
      name: `heap of the main thread that is kept ${name}`,
      value: grown(heapBefore, heapAfter),
      unit: 'MiB',
      limit: 10,
      bound: 'at most',
    },
    { area: AREA, name: `resident memory that is kept ${name}`, value: grown(before, after), unit: 'MiB' },
  ];
}

async function noneLeft({ server, connections }: Bench): Promise<void> {
  const deadline = performance.now() + GONE_MS;
  while ((await connections()) > 0 || (await engineObjects(server)) > 0) {
    if (performance.now() > deadline) return;
    await delay(100);
  }
}

/** What the engine holds for sessions: the sessions, their views, results and the relations that those are in. */
async function engineObjects(server: BenchServer): Promise<number> {
  return readMetric(server, OWNER, /^covista_table_engine_objects\{[^}]*\} (\d+)/);
}

/** Without its garbage. */
async function heapBytes(server: BenchServer): Promise<number> {
  await server.collect();
  return readMetric(server, OWNER, /^nodejs_heap_size_used_bytes (\d+)/);
}
