import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type BareDuckdb, quoted } from './duckdb.ts';
import { newDirectory, removeDirectory } from './remains.ts';

/** Flights of real airlines, 3,000,000 rows × 5 columns. */
export const FLIGHTS = join(dirname(createRequire(import.meta.url).resolve('vega-datasets')), '../data/flights-3m.parquet');

export interface Workspace {
  readonly directory: string;
  path(name: string): string;
  remove(): void;
}

export function createWorkspace(): Workspace {
  const directory = newDirectory('data');
  return {
    directory,
    path: (name) => join(directory, name),
    remove: () => removeDirectory(directory),
  };
}

/** Orders as a shop would export them, as CSV: 10 columns, quotes, commas, empty cells; the same rows every time. */
export async function writeOrders(duckdb: BareDuckdb, path: string, rows: number): Promise<void> {
  await duckdb.run([`COPY (${ordersSql(rows)}) TO ${quoted(path)} (FORMAT csv, HEADER)`]);
}

/** The same rows with the types that CSV comes to, as Parquet. */
export async function writeOrdersParquet(duckdb: BareDuckdb, path: string, rows: number): Promise<void> {
  const typed = `SELECT * REPLACE (CAST(quantity AS BIGINT) AS quantity, CAST(unit_price AS DOUBLE) AS unit_price) FROM (${ordersSql(rows)})`;
  await duckdb.run([`COPY (${typed}) TO ${quoted(path)} (FORMAT parquet)`]);
}

function ordersSql(rows: number): string {
  const pick = (seed: number, ...values: readonly string[]): string =>
    `[${values.map(quoted).join(', ')}][(1 + hash(i, ${seed}) % ${values.length})::INTEGER]`;
  return `
      SELECT 100000 + i AS order_id,
        TIMESTAMP '2022-01-01' + to_seconds((hash(i, 1) % 94608000)::BIGINT) AS ordered_at,
        format('customer{}@{}', hash(i, 2) % 200000, ${pick(3, 'example.com', 'mail.example.org', 'shop.example.net')}) AS email,
        ${pick(4, 'São Paulo', 'Zürich', 'London', 'New York, NY', 'Tokyo', 'Lagos', 'Kraków', 'Québec')} AS city,
        ${pick(5, 'Furniture', 'Office Supplies', 'Technology')} AS category,
        format('SKU-{:05d}', (hash(i, 6) % 5000)::INTEGER) AS product,
        (1 + hash(i, 7) % 20)::INTEGER AS quantity,
        ((hash(i, 8) % 500000) / 100)::DECIMAL(10, 2) AS unit_price,
        CASE WHEN hash(i, 9) % 3 = 0 THEN NULL ELSE round((hash(i, 10) % 50) / 100, 2) END AS discount,
        CASE (hash(i, 11) % 5)::INTEGER WHEN 0 THEN 'gift, wrapped' WHEN 1 THEN 'leave "at the door"' WHEN 2 THEN 'call before delivery' END AS note
      FROM range(${rows}) AS t(i)`;
}

/** Rows of flights that are not in the real file, under its columns. */
export async function writeFlights(duckdb: BareDuckdb, path: string, rows: number): Promise<void> {
  await duckdb.run([`COPY (SELECT * FROM ${quoted(FLIGHTS)} LIMIT ${rows}) TO ${quoted(path)} (FORMAT csv, HEADER)`]);
}

const NAMES = ['ada', 'grace', 'edsger', 'barbara', 'donald', 'tony', 'niklaus', 'frances'];

/** A small table that no other `seed` gives. */
export function smallCsv(seed: number, rows = 20): string {
  const lines = Array.from(
    { length: rows },
    (_, row) => `${seed * rows + row},${NAMES[(seed + row) % NAMES.length]},${(seed * 31 + row * 7) % 1000},2026-01-${10 + (row % 20)}`,
  );
  return `id,name,amount,day\n${lines.join('\n')}\n`;
}

/** Writes `count` small tables and answers with their paths. */
export function writeSmallCsvs(directory: string, count: number): string[] {
  mkdirSync(directory, { recursive: true });
  return Array.from({ length: count }, (_, seed) => {
    const path = join(directory, `${seed}.csv`);
    writeFileSync(path, smallCsv(seed));
    return path;
  });
}
