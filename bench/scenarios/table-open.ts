import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@perspective-dev/client';
import { pino } from 'pino';
import { defaultLimits } from '../../protocol/limits.ts';
import type { ContentStore, TableArrow } from '../../server/storage/content-store.ts';
import { type Content, UNRESTRICTED } from '../../server/storage/content-store.ts';
import { openContentStore } from '../../server/storage/parquet/open.ts';
import { PerspectiveMemory } from '../../server/workers/perspective-memory-pool.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf, timeRuns } from '../measurement.ts';
import { createWorkspace, type Workspace, writeOrders } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';

const AREA = 'table open';
const WINDOW_ROWS = 100;

export const tableOpen: Scenario = {
  name: 'table-open',
  area: AREA,
  about: 'opening a table in memory, from Parquet to its first rows, against loading the same Arrow straight into Perspective',
  run: async (options) => {
    const workspace = createWorkspace();
    const store = await openStore(workspace);
    const memory = new PerspectiveMemory({ content: store, limits: defaultLimits, log: pino({ level: 'silent' }) });
    try {
      const rows = sizeOf(options, [1_000, 20_000, 100_000]);
      return await measure({ memory, store, content: await ordersOf(store, workspace, rows), rows }, options);
    } finally {
      await memory.close();
      await store.close();
      workspace.remove();
    }
  },
};

const control = () => ({ signal: new AbortController().signal });

function openStore(workspace: Workspace): Promise<ContentStore> {
  const path = (name: string): string => join(workspace.directory, name);
  return openContentStore({
    directories: { staging: path('staging'), spill: path('spill'), exports: path('exports'), readable: [workspace.directory] },
    limits: defaultLimits,
    log: pino({ level: 'silent' }),
    lease: async () => () => undefined,
    inMemoryOnly: false,
  });
}

async function ordersOf(store: ContentStore, workspace: Workspace, rows: number): Promise<Content> {
  const duckdb = startDuckdb(1);
  const path = workspace.path('orders.csv');
  await writeOrders(duckdb, path, rows);
  await duckdb.stop();
  const { schema, schemaHash, file } = await store.ingest({ path, bytes: statSync(path).size, format: 'csv', onto: undefined }, control());
  if (file === null) throw new Error('the orders cannot be read');
  return { schema: schema.map((column, index) => ({ ...column, columnId: index + 1 })), schemaHash, rows, files: [file] };
}

interface Bench {
  readonly memory: PerspectiveMemory;
  readonly store: ContentStore;
  readonly content: Content;
  readonly rows: number;
}

async function measure({ memory, store, content, rows }: Bench, options: ScenarioOptions): Promise<Measurement[]> {
  const runs = sizeOf(options, [1, 5, 15]);
  options.say(`${rows} rows, ${runs} times each, in turn`);
  const source = { source: { content, scope: UNRESTRICTED }, columns: null, rowLimit: null };
  const arrow = await store.tableArrow(source.source, { columns: null, rowLimit: null, bytesMax: defaultLimits.tableBytesMax }, control());
  const perspective = await import('@perspective-dev/client/node');
  const times = { ours: [] as number[], floor: [] as number[] };
  for (let run = -2; run < runs; run += 1) {
    const ours = await timeRuns(1, () => openInMemory(memory, source, `table${run}`), false);
    const floor = await timeRuns(1, () => openDirectly(perspective, arrow, `floor${run}`), false);
    if (run < 0) continue;
    times.ours.push(...ours);
    times.floor.push(...floor);
  }
  return [
    {
      area: AREA,
      name: `in memory, ${rows} rows / the same Arrow in Perspective`,
      ...ratioOf(times.ours, times.floor),
      limit: 1.3,
      bound: 'at most',
    },
    { area: AREA, name: `in memory, ${rows} rows`, ...summaryOf(times.ours), unit: 'ms' },
    { area: AREA, name: `the same Arrow in Perspective, ${rows} rows`, ...summaryOf(times.floor), unit: 'ms', better: 'neither' },
  ];
}

async function openInMemory(memory: PerspectiveMemory, source: Parameters<PerspectiveMemory['load']>[1], key: string): Promise<void> {
  const { make_client } = await import('@perspective-dev/client/node');
  const table = await memory.load(key, source, control());
  const session = table.connect({ respond: (bytes) => void client.handle_response(bytes), lost: () => undefined });
  const client = make_client(async (request: Uint8Array) => session.handle(request.slice()));
  await readWindow(client, key);
  session.close();
  table.close();
}

type Perspective = typeof import('@perspective-dev/client/node');

async function openDirectly(perspective: Perspective, { pieces }: TableArrow, name: string): Promise<void> {
  const bytes = new Uint8Array(Buffer.concat(pieces));
  const table = await perspective.table(bytes.buffer, { name });
  const view = await table.view();
  await view.to_columns({ start_row: 0, end_row: WINDOW_ROWS });
  await view.delete();
  await table.delete();
}

async function readWindow(client: Client, key: string): Promise<void> {
  const view = await (await client.open_table(key)).view();
  const columns = (await view.to_columns({ start_row: 0, end_row: WINDOW_ROWS })) as Record<string, unknown[]>;
  if (columns.order_id?.length !== WINDOW_ROWS) throw new Error('the first rows are not those of the orders');
  await view.delete();
}
