import type { Client } from '../../client/index.ts';
import { type Measurement, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf, timeRuns } from '../measurement.ts';
import { createWorkspace } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import {
  type CommittedOrders,
  changeable,
  commitOrders,
  ENGINES,
  type Engine,
  MEMORY_ROWS_MAX,
  OWNER,
  perspectiveUrl,
  pivotAt,
} from '../support/orders.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { type Crowd, startTableLoad, type TableLoad, type ViewConfig } from '../support/table-crowd.ts';

const AREA = 'tables';
const WINDOW_ROWS = 100;

interface Size {
  readonly rows: readonly number[];
  /** Of the table that more and more people use. */
  readonly middleRows: number;
  readonly people: readonly number[];
  readonly runs: number;
}

const SMOKE: Size = { rows: [1_000], middleRows: 1_000, people: [2], runs: 1 };
const QUICK: Size = { rows: [10_000], middleRows: 10_000, people: [5], runs: 1 };
const FULL: Size = {
  rows: [10_000, 100_000, 1_000_000, 10_000_000],
  middleRows: 100_000,
  people: [1, 5, 20],
  runs: 2,
};

export const tableGrowth: Scenario = {
  name: 'table-growth',
  area: AREA,
  isCurves: true,
  about: 'how the times of tables grow with rows and people, on both engines',
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(2);
    const load = startTableLoad();
    const size = sizeOf(options, [SMOKE, QUICK, FULL]);
    try {
      const measurements: Measurement[] = [];
      for (const engine of ENGINES) {
        // In one thread of the engine, so that no table pays for the start of another one.
        const server = await startBenchServer({ COVISTA_MEMORY_THREADS_MAX: '1' });
        try {
          const commit = (rows: number): Promise<CommittedOrders> => commitOrders(server, { workspace, duckdb, rows });
          const client = await server.client(OWNER);
          measurements.push(...(await measureEngine({ server, client, engine, load, size, options, commit })));
          client.close();
        } finally {
          await server.stop();
        }
      }
      return measurements;
    } finally {
      await load.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

interface Bench {
  readonly server: BenchServer;
  readonly client: Client;
  readonly engine: Engine;
  readonly load: TableLoad;
  readonly size: Size;
  readonly options: ScenarioOptions;
  commit(rows: number): Promise<CommittedOrders>;
}

async function measureEngine(bench: Bench): Promise<Measurement[]> {
  const { client, engine, load, size, options, commit } = bench;
  const measurements: Measurement[] = [];
  const middle = await commit(size.middleRows);
  // The first table pays for the engine.
  await client.table.open({ datasetId: middle.datasetId, ref: 'main', engine, rowLimit: 1 }, { perspective: false });
  for (const rows of size.rows) {
    if (engine === 'memory' && rows > MEMORY_ROWS_MAX) continue;
    options.say(`${engine}: ${rows} rows`);
    const orders = rows === size.middleRows ? middle : await commit(rows);
    measurements.push(...(await measureRows(bench, orders)));
  }
  // Whoever comes first pays for code that was never used; another pivot, so that nothing of it is there for those who are timed.
  await load.run(await crowdOf(bench, middle, { people: 1, config: pivotAt(0).config }));
  for (const people of size.people) measurements.push(...(await measurePeople(bench, middle, people)));
  return measurements.map((measurement) => ({ ...measurement, name: `${engine}: ${measurement.name}` }));
}

const pivot = pivotAt(2).config;

/** Until a table is open, a view is made and a window is read, by rows. */
async function measureRows({ client, engine, size }: Bench, { datasetId, rows }: CommittedOrders): Promise<Measurement[]> {
  const at = { of: 'rows', value: rows };
  const asked = performance.now();
  const { tableId } = await client.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
  const openMs = performance.now() - asked;
  const createMs = await timeRuns(size.runs, async () => {
    const { viewId } = await client.view.create({ tableId, ...changeable(pivot) });
    await client.view.close({ tableId, viewId });
  });
  const { perspective } = await client.table.open({ datasetId, ref: 'main', engine });
  const table = await perspective.open_table(tableId);
  const flat = await table.view();
  const readMs = await timeRuns(size.runs * 3, async (run) => {
    const start = Math.floor(((run + 1) / (size.runs * 3 + 1)) * Math.max(0, rows - WINDOW_ROWS));
    await flat.to_columns({ start_row: start, end_row: start + WINDOW_ROWS });
  });
  await flat.delete();
  await perspective.terminate();
  return [
    { area: AREA, name: 'open', value: openMs, unit: 'ms', at },
    { area: AREA, name: 'create a view', ...summaryOf(createMs), unit: 'ms', at },
    { area: AREA, name: 'read a window', ...summaryOf(readMs), unit: 'ms', at },
  ];
}

/** Everybody makes the same pivot and reads windows of it. */
async function crowdOf(
  { server, client, engine, size }: Bench,
  { datasetId }: CommittedOrders,
  { people, config }: { readonly people: number; readonly config: ViewConfig },
): Promise<Crowd> {
  const { tableId } = await client.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
  const url = perspectiveUrl(server, tableId);
  return {
    people: Array.from({ length: people }, () => ({ url, config })),
    table: tableId,
    windows: size.runs,
    windowRows: WINDOW_ROWS,
    seed: people,
  };
}

async function measurePeople(bench: Bench, orders: CommittedOrders, people: number): Promise<Measurement[]> {
  const { rows } = orders;
  const { windowMs, viewMs } = await bench.load.run(await crowdOf(bench, orders, { people, config: pivot }));
  const at = { of: 'people', value: people };
  return [
    { area: AREA, name: `window of a pivot of ${rows} rows, p99`, value: percentile(windowMs, 0.99), samples: windowMs.length, unit: 'ms', at },
    { area: AREA, name: `pivot of ${rows} rows, p99`, value: percentile(viewMs, 0.99), samples: viewMs.length, unit: 'ms', at },
  ];
}
