import { type BareDuckdb, quoted } from './duckdb.ts';

/** Two versions of a made-up table of 12 columns, in the order of its key, and what differs between them. */
export interface VersionPair {
  readonly rows: number;
  readonly updated: number;
  readonly inserted: number;
  readonly deleted: number;
}

const pick = (seed: number, ...values: readonly string[]): string =>
  `[${values.map(quoted).join(', ')}][(1 + hash(id, ${seed}) % ${values.length})::INTEGER]`;

const CELLS: Readonly<Record<string, string>> = {
  quantity: '(hash(id, 1) % 100000)::INTEGER',
  price: '(hash(id, 2) % 1000000) / 100.0::DOUBLE',
  ratio: '(hash(id, 3) % 10000)::DOUBLE / 7',
  customer: "'customer-' || (hash(id, 4) % 200000)",
  city: "'city ' || (hash(id, 5) % 500)",
  region: pick(6, 'east', 'west', 'north', 'south'),
  day: "DATE '2015-01-01' + (hash(id, 7) % 3650)::INTEGER",
  seen_at: "TIMESTAMP '2015-01-01' + to_seconds((hash(id, 8) % 300000000)::BIGINT)",
  active: 'hash(id, 9) % 2 = 0',
  amount: '((hash(id, 10) % 10000000) / 100)::DECIMAL(12, 2)',
  note: "'note ' || md5(id::VARCHAR)[1:12]",
};

const COLUMNS = Object.keys(CELLS);

/** Every `nth` key, so that counts are known; 0: none. */
const everyNth = (nth: number, offset: number): string => (nth === 0 ? 'false' : `id % ${nth} = ${offset}`);
const stepFor = (rows: number, count: number): number => (count === 0 ? 0 : Math.floor(rows / count));

/** Keys from `start`: those of the new version that are not in the old one are spread among the others. */
export async function writeVersions(
  duckdb: BareDuckdb,
  paths: { readonly from: string; readonly to: string },
  pair: VersionPair,
  start = 0,
): Promise<void> {
  const { rows, updated, inserted, deleted } = pair;
  const isUpdated = everyNth(stepFor(rows, updated), 1);
  const isDeleted = everyNth(stepFor(rows, deleted), 2);
  const insertAfter = everyNth(stepFor(rows, inserted), 3);
  const cells = (changes: Readonly<Record<string, string>>): string => COLUMNS.map((name) => `${changes[name] ?? CELLS[name]} AS ${name}`).join(', ');
  const keys = `SELECT ${start} + 2 * i AS id, i FROM range(${rows}) t(i)`;
  const flags = (condition: string): string => condition.replaceAll(/\bid\b/g, 'i');
  const fresh = `SELECT ${start} + 2 * i + 1 AS id, i FROM range(${rows}) t(i) WHERE ${flags(insertAfter)}`;
  const changes = {
    quantity: `CASE WHEN is_updated THEN ${CELLS.quantity} + 1 ELSE ${CELLS.quantity} END`,
    city: `CASE WHEN is_updated THEN ${CELLS.city} || '!' ELSE ${CELLS.city} END`,
  };
  const old = `SELECT id, ${flags(isUpdated)} AS is_updated FROM (${keys}) WHERE NOT (${flags(isDeleted)})`;
  const all = `SELECT id, is_updated FROM (${old}) UNION ALL SELECT id, false FROM (${fresh}) ORDER BY id`;
  const copy = (select: string, path: string): string => `COPY (${select}) TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`;
  await duckdb.run([copy(`SELECT id, ${cells({})} FROM (${keys})`, paths.from), copy(`SELECT id, ${cells(changes)} FROM (${all})`, paths.to)]);
}

/** The query that a person would write to compare two files by key. */
export function compareStatement(from: string, to: string): string {
  const differs = COLUMNS.map((name) => `f.${name} IS DISTINCT FROM t.${name}`).join(' OR ');
  return `SELECT count(*) FILTER (f.id IS NULL) AS added, count(*) FILTER (t.id IS NULL) AS removed,
    count(*) FILTER (f.id IS NOT NULL AND t.id IS NOT NULL AND (${differs})) AS changed
    FROM ${quoted(from)} f FULL JOIN ${quoted(to)} t ON f.id = t.id`;
}
