import { tableId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { ContentFile } from '../../server/storage/content-store.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import { literal } from '../../server/storage/parquet/quote.ts';
import { openTestContent } from './content.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from './parquet.ts';
import { seededRandom } from './random.ts';
import { duckdbEngine, type GuardedTable, memoryEngine, openGuarded } from './table-engines.ts';
import { TRICKY_COLUMNS, trickyRows } from './view-cases.ts';
import { ViewOracle } from './view-oracle.ts';

/** One table with what is hard in it, in both engines and in an oracle of plain SQL. */
export interface TrickyTables {
  /** SQL over the data files. */
  readonly rows: ParquetWorkshop['rows'];
  /** The rows of the data files, for such SQL. */
  readonly relation: string;
  readonly memory: GuardedTable;
  readonly duckdb: GuardedTable;
  /** The same engine without room for cells and columns: it computes out of files, and reads every window out of its tables. */
  readonly roomless: GuardedTable;
  readonly oracle: ViewOracle;
  close(): Promise<void>;
}

const ID = tableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');

export async function openTricky(seed: number, count: number): Promise<TrickyTables> {
  const workshop = await openWorkshop();
  const rows = trickyRows(seededRandom(seed), count);
  const half = Math.floor(count / 3);
  const files = [await fileOf(workshop, rows.slice(0, half)), await fileOf(workshop, rows.slice(half))];
  const source = { source: { content: contentOf(TRICKY_COLUMNS, files), scope: UNRESTRICTED }, columns: null, rowLimit: null };
  const content = await openTestContent({}, { readable: [workshop.directory] });
  const engines = {
    duckdb: await duckdbEngine([workshop.directory]),
    roomless: await duckdbEngine([workshop.directory], { ...defaultLimits, duckdbTablesCellsBytesMax: 0, duckdbTablesColumnsBytesMax: 0 }),
    memory: memoryEngine(content.store),
  };
  const opened = {
    duckdb: await openGuarded(engines.duckdb.engine, ID, source),
    roomless: await openGuarded(engines.roomless.engine, ID, source),
    memory: await openGuarded(engines.memory, ID, source),
  };
  const oracle = await ViewOracle.open(`SELECT row_number() OVER () - 1 AS pos, * FROM (${selectOf(rows)})`);
  return {
    rows: workshop.rows,
    relation: `read_parquet([${files.map(({ path }) => literal(path)).join(', ')}])`,
    ...opened,
    oracle,
    close: async () => {
      oracle.close();
      await Promise.all(Object.values(opened).map((table) => table.close()));
      await Promise.all(Object.values(engines).map((engine) => engine.close()));
      await content.close();
      await workshop.close();
    },
  };
}

const fileOf = (workshop: ParquetWorkshop, rows: readonly Record<string, unknown>[]): Promise<ContentFile> =>
  workshop.file(selectOf(rows), TRICKY_COLUMNS);

function selectOf(rows: readonly Record<string, unknown>[]): string {
  const cells = (row: Record<string, unknown>): string => TRICKY_COLUMNS.map(({ name, type }) => cellSql(row[name], type)).join(', ');
  const names = TRICKY_COLUMNS.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(', ');
  return `SELECT * FROM (VALUES ${rows.map((row) => `(${cells(row)})`).join(', ')}) AS rows(${names})`;
}

function cellSql(value: unknown, type: string): string {
  if (value === null || value === undefined) return `CAST(NULL AS ${type})`;
  if (type === 'TIMESTAMP') return `CAST(make_timestamp_ms(${String(value)}) AS TIMESTAMP)`;
  return `CAST(${literal(String(value))} AS ${type})`;
}
