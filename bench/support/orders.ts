import { createWriteStream, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Workspace, writeOrdersParquet } from './data.ts';
import { type BareDuckdb, quoted } from './duckdb.ts';
import { commitOverRest } from './rest.ts';
import type { BenchServer } from './server.ts';
import type { ViewConfig } from './table-crowd.ts';

/** Orders in a version of a server. */
export interface CommittedOrders {
  readonly datasetId: number;
  readonly versionId: number;
  readonly rows: number;
}

/** Of tables. */
export const ENGINES = ['duckdb', 'memory'] as const;
export type Engine = (typeof ENGINES)[number];
/** What a table of more orders would take in memory is over the limit of one. */
export const MEMORY_ROWS_MAX = 1_000_000;

/** Who owns the orders, and may see everything of them. */
export const OWNER = 'bench';

/** Where the owner reaches a table with a client of Perspective. */
export function perspectiveUrl({ url, token }: Pick<BenchServer, 'url' | 'token'>, tableId: string): string {
  return `${url.replace('http', 'ws')}/perspective/${tableId}?token=${token(OWNER)}`;
}

interface OrdersToCommit {
  readonly workspace: Workspace;
  readonly duckdb: BareDuckdb;
  readonly rows: number;
}

export async function commitOrders(server: BenchServer, { workspace, duckdb, rows }: OrdersToCommit): Promise<CommittedOrders> {
  const client = await server.client(OWNER);
  const { datasetId } = await client.dataset.create({ name: `Orders, ${rows} rows` });
  const path = workspace.path(`orders-${rows}.parquet`);
  await writeOrdersParquet(duckdb, path, rows);
  const { versionId } = await commitOverRest({ url: server.url, token: server.token(OWNER), datasetId, branch: 'main', path });
  rmSync(path);
  client.close();
  return { datasetId, versionId, rows };
}

/** The rows of a version as a file at a path. */
export async function downloadOrders(
  server: BenchServer,
  { datasetId, versionId }: CommittedOrders,
  { path, format }: { readonly path: string; readonly format: 'parquet' | 'arrow' },
): Promise<string> {
  const route = `/api/datasets/${datasetId}/versions/${versionId}/download?format=${format}`;
  const answer = await fetch(`${server.url}${route}`, { headers: { authorization: `Bearer ${server.token(OWNER)}` } });
  if (!answer.ok || answer.body === null) throw new Error(`a download was answered ${answer.status}: ${await answer.text()}`);
  await pipeline(Readable.fromWeb(answer.body as never), createWriteStream(path));
  return path;
}

const COLUMNS = ['quantity', 'unit_price', 'discount', 'order_id'] as const;
const AGGREGATES = { quantity: 'sum', unit_price: 'sum', discount: 'avg', order_id: 'count' };
const OTHER_AGGREGATES = { quantity: 'max', unit_price: 'avg', discount: 'sum', order_id: 'count' };

/** By what is grouped, and about how many groups that makes of a million rows. */
const PAIRS: readonly (readonly [outer: string, inner: string, groups: number])[] = [
  ['city', 'product', 40_000],
  ['product', 'city', 45_000],
  ['category', 'product', 15_000],
  ['product', 'category', 20_000],
  ['quantity', 'product', 100_000],
  ['product', 'quantity', 100_000],
  ['note', 'product', 20_000],
  ['product', 'note', 25_000],
  ['discount', 'product', 200_000],
  ['product', 'discount', 200_000],
];

export interface Pivot {
  readonly config: ViewConfig;
  readonly rowsAbout: number;
  /** The same as a statement of DuckDB over a file, which makes a table of this name. */
  statement(table: string, file: string): string;
}

/** Two-level pivots, no two of them equal. */
export const PIVOTS: readonly Pivot[] = [AGGREGATES, OTHER_AGGREGATES].flatMap((aggregates) => PAIRS.map((pair) => pivotOf(pair, aggregates)));

export function pivotAt(index: number): Pivot {
  const pivot = PIVOTS[index % PIVOTS.length];
  if (pivot === undefined) throw new Error(`there is no pivot ${index}`);
  return pivot;
}

/** As the SDK takes it. */
export const changeable = ({ group_by = [], columns = [], aggregates = {} }: ViewConfig) => ({
  group_by: [...group_by],
  columns: [...columns],
  aggregates: { ...aggregates },
});

function pivotOf([outer, inner, rowsAbout]: (typeof PAIRS)[number], aggregates: Readonly<Record<string, string>>): Pivot {
  const values = COLUMNS.map((column) => `${aggregates[column]}(${column}) AS ${column}`);
  return {
    config: { group_by: [outer, inner], columns: COLUMNS, aggregates },
    rowsAbout,
    statement: (table, file) => `CREATE TABLE ${table} AS SELECT ${outer} AS k1, ${inner} AS k2, ${values.join(', ')} FROM ${quoted(file)}
      GROUP BY ROLLUP (${outer}, ${inner}) ORDER BY GROUPING(${outer}) DESC, ${outer}, GROUPING(${inner}) DESC, ${inner}`,
  };
}
