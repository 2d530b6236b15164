import type { Client } from '../../client/index.ts';
import { freePort } from '../../test/support/process-server.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { createWorkspace } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import { type CommittedOrders, changeable, commitOrders, ENGINES, type Engine, MEMORY_ROWS_MAX, OWNER, pivotAt } from '../support/orders.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { settledMemory, settledWithin } from '../support/settled.ts';

const AREA = 'table memory';
const MiB = 2 ** 20;

/** How many tables of so many rows a figure is the mean of. */
interface RowsSize {
  readonly rows: number;
  readonly tables: number;
}

interface Size {
  readonly rows: readonly RowsSize[];
  /** Of the table of which columns and copies are counted. */
  readonly middleRows: number;
  readonly columns: readonly number[];
  readonly tables: readonly number[];
  readonly views: number;
}

const SMOKE: Size = { rows: [{ rows: 1_000, tables: 2 }], middleRows: 1_000, columns: [2], tables: [2], views: 2 };
const QUICK: Size = { rows: [{ rows: 10_000, tables: 2 }], middleRows: 10_000, columns: [3], tables: [2], views: 2 };
const FULL: Size = {
  rows: [
    { rows: 10_000, tables: 40 },
    { rows: 100_000, tables: 6 },
    { rows: 1_000_000, tables: 1 },
  ],
  middleRows: 100_000,
  columns: [2, 5, 10],
  tables: [1, 5, 10],
  views: 5,
};

const WARM_UP_ROWS = 1_000;
/** So long a server may take to give back what it does. */
const RETURN_MS = 1_500;

export const tableMemory: Scenario = {
  name: 'table-memory',
  area: AREA,
  isCurves: true,
  about: 'memory of tables by rows, columns and number, and of views, on both engines, and what a server keeps once they are closed',
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(2);
    const size = sizeOf(options, [SMOKE, QUICK, FULL]);
    // In one thread of the engine: each further one takes what an engine takes.
    const server = await startBenchServer({ COVISTA_MEMORY_THREADS_MAX: '1' }, undefined, await freePort());
    try {
      const versions = new Map<number, CommittedOrders>();
      for (const rows of new Set([WARM_UP_ROWS, ...size.rows.map(({ rows }) => rows), size.middleRows]))
        versions.set(rows, await commitOrders(server, { workspace, duckdb, rows }));
      const measurements: Measurement[] = [];
      for (const engine of ENGINES) {
        const bench = { server, engine, size, options, version: (rows: number) => versions.get(rows) as CommittedOrders };
        measurements.push(...(await measureEngine(bench)).map((measurement) => ({ ...measurement, name: `${engine}: ${measurement.name}` })));
      }
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
  readonly engine: Engine;
  readonly size: Size;
  readonly options: ScenarioOptions;
  version(rows: number): CommittedOrders;
}

async function measureEngine(bench: Bench): Promise<Measurement[]> {
  const { engine, size } = bench;
  const measurements: Measurement[] = [];
  for (const each of size.rows.filter(({ rows }) => engine === 'duckdb' || rows <= MEMORY_ROWS_MAX))
    measurements.push(...(await measureRows(bench, each)));
  return [...measurements, ...(await measureCopies(bench))];
}

/** Tables and views that are open, to be closed in the end; what a server has open, it loads again at its next start. */
class Desk {
  readonly #client: Client;
  readonly #tables = new Set<string>();
  readonly #views: { readonly tableId: string; readonly viewId: string }[] = [];

  constructor(client: Client) {
    this.#client = client;
  }

  async open(table: Parameters<Client['table']['open']>[0]): Promise<string> {
    const { tableId } = await this.#client.table.open(table, { perspective: false });
    this.#tables.add(tableId);
    return tableId;
  }

  async view(tableId: string, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const { viewId } = await this.#client.view.create({ tableId, ...changeable(pivotAt(index).config) });
      this.#views.push({ tableId, viewId });
    }
  }

  async clear(): Promise<void> {
    for (const view of this.#views) await this.#client.view.close(view);
    for (const tableId of this.#tables) await this.#client.table.close({ tableId });
    this.#client.close();
  }
}

/** A process in which engine and code have warmed up on a small table, and that has given back nothing that the next one could take up. */
async function afresh({ server, engine, version, size }: Bench): Promise<Desk> {
  await server.restart();
  const desk = new Desk(await server.client(OWNER));
  await desk.view(await desk.open({ datasetId: version(WARM_UP_ROWS).datasetId, ref: 'main', engine }), size.views);
  return desk;
}

// There are many looks; each is a short one.
const memoryOf = ({ server, options }: Bench): Promise<number> => settledMemory(server, { ...options, quick: true });
const grown = (from: number, to: number): number => Math.max(0, to - from) / MiB;

/**
 * A table and its views by rows, and what is kept of them. What reading one table leaves behind the next one takes up, so that one
 * of the size is open before; each further one has a row less, or it would be the same table.
 */
async function measureRows(bench: Bench, { rows, tables }: RowsSize): Promise<Measurement[]> {
  const { server, engine, size, options } = bench;
  options.say(`${engine}: ${rows} rows`);
  const desk = await afresh(bench);
  const { datasetId } = bench.version(rows);
  const atFirst = await memoryOf(bench);
  const first = await desk.open({ datasetId, ref: 'main', engine });
  const before = await memoryOf(bench);
  for (let copy = 1; copy <= tables; copy += 1) await desk.open({ datasetId, ref: 'main', engine, rowLimit: rows - copy });
  const opened = await memoryOf(bench);
  await desk.view(first, size.views);
  const viewed = await memoryOf(bench);
  await desk.clear();
  const kept = await settledWithin(server, atFirst, RETURN_MS);
  const at = { of: 'rows', value: rows };
  return [
    { area: AREA, name: 'a table', value: grown(before, opened) / tables, unit: 'MiB', at },
    { area: AREA, name: 'a view', value: grown(opened, viewed) / size.views, unit: 'MiB', at },
    { area: AREA, name: `kept of tables with ${size.views} views`, value: grown(atFirst, kept), unit: 'MiB', at },
  ];
}

const COLUMNS = ['order_id', 'email', 'quantity', 'city', 'ordered_at', 'product', 'unit_price', 'category', 'discount', 'note'];
/** Tables of which each figure by columns is the mean. */
const COPIES = 5;

/** Further tables, each beside those before it, and by a row less another one: of more and more columns, and then of all of them, together. */
async function measureCopies(bench: Bench): Promise<Measurement[]> {
  const { server, engine, size } = bench;
  const desk = await afresh(bench);
  const { datasetId, rows } = bench.version(size.middleRows);
  const open = (more: { columns?: string[]; rowLimit?: number }) => desk.open({ datasetId, ref: 'main', engine, ...more });
  const before = await memoryOf(bench);
  const measurements: Measurement[] = [];
  let last = before;
  for (const count of size.columns) {
    const from = last;
    for (let copy = 0; copy < COPIES; copy += 1) await open({ columns: COLUMNS.slice(0, count), rowLimit: rows - copy });
    last = await memoryOf(bench);
    const value = grown(from, last) / COPIES;
    measurements.push({ area: AREA, name: `a table of ${rows} rows`, value, unit: 'MiB', at: { of: 'columns', value: count } });
  }
  let opened = 0;
  for (const count of size.tables) {
    for (; opened < count; opened += 1) await open({ rowLimit: rows - opened });
    const value = grown(last, await memoryOf(bench));
    measurements.push({ area: AREA, name: `tables of ${rows} rows, together`, value, unit: 'MiB', at: { of: 'tables', value: count } });
  }
  await desk.clear();
  const kept = grown(before, await settledWithin(server, before, RETURN_MS));
  return [...measurements, { area: AREA, name: `kept of ${opened + COPIES * size.columns.length} tables of ${rows} rows`, value: kept, unit: 'MiB' }];
}
