import { assert } from '../../shared/assert.ts';
import { type Content, isWhole, type RowCondition, type ScopedContent, schemaOf, type VisiblePart, visibleParts } from '../content-store.ts';
import type { Column } from '../stores.ts';
import { fileLiteral, identifier, literal } from './quote.ts';

/** A SELECT over a version as a caller may see it. Every use of `sql` takes `values` once, for its `?` in order. */
export interface Relation {
  readonly sql: string;
  readonly values: readonly unknown[];
  /** The columns it yields, in the version's order. */
  readonly schema: readonly Column[];
}

/** Names of the columns that `positions` adds: index of the file in `content.files`, and row in that file from 0. */
export const FILE_COLUMN = '__covista_file';
export const ROW_COLUMN = '__covista_row';

/** Names of the columns that tell which parts of a scope show a row. */
const partColumn = (index: number): string => identifier(`__covista_part${index}`);

export interface RelationOptions {
  /** Adds the file and row columns. */
  readonly positions?: boolean;
  /** Yields only these of the visible columns; others that it names are passed over. */
  readonly columns?: readonly string[] | undefined;
}

/**
 * The only place that reads data files. Rows come in manifest order, with the columns and types of the version. A file that
 * was written under another schema lacks columns that came later (NULL) or has narrower types (cast). `forbidden` when the
 * scope shows nothing of this schema.
 */
export function scopedRelation({ content, scope }: ScopedContent, options: RelationOptions = {}): Relation {
  const parts = visibleParts(content.schema, scope);
  const visible = schemaOf(parts, content.schema);
  const wanted = options.columns === undefined ? undefined : new Set(options.columns);
  const schema = wanted === undefined ? visible : visible.filter(({ name }) => wanted.has(name));
  const positions = options.positions === true;
  const list = schema.map(({ name }) => cellSql(parts, name));
  if (positions) list.push(identifier(FILE_COLUMN), identifier(ROW_COLUMN));
  // Rows can be counted without any column.
  if (list.length === 0) list.push('NULL AS "__covista_nothing"');
  const rows = rowsSql(versionSql(content, positions), parts);
  return { sql: `SELECT ${list.join(', ')} FROM ${rows}`, values: valuesOf(parts), schema };
}

const valuesOf = (parts: readonly VisiblePart[]): string[] => parts.flatMap(({ conditions }) => conditions ?? []).flatMap(({ values }) => values);

const anyOf = (conditions: readonly RowCondition[]): string => conditions.map(({ sql }) => `(${sql})`).join(' OR ');

/** The rows that any part shows. Where parts show different columns, a flag per part says which show the row. */
function rowsSql(version: string, parts: readonly VisiblePart[]): string {
  const [only] = parts;
  if (parts.length === 1) return `(${version})${only?.conditions == null ? '' : ` WHERE ${anyOf(only.conditions)}`}`;
  const flags = parts.flatMap(({ conditions }, index) => (conditions === null ? [] : [`(${anyOf(conditions)}) IS TRUE AS ${partColumn(index)}`]));
  const where = flags.length < parts.length ? '' : ` WHERE ${parts.map((_part, index) => partColumn(index)).join(' OR ')}`;
  return `(SELECT *, ${flags.join(', ')} FROM (${version}))${where}`;
}

/** A column, NULL in the rows in which no part shows it. */
function cellSql(parts: readonly VisiblePart[], name: string): string {
  const column = identifier(name);
  if (isWhole(parts, name)) return column;
  const showing = parts.flatMap(({ columns }, index) => (columns.has(name) ? [partColumn(index)] : []));
  return `CASE WHEN ${showing.join(' OR ')} THEN ${column} END AS ${column}`;
}

/** SQL of a table function over one Parquet file that is not part of a version (yet). */
export function readParquetFile(path: string): string {
  return `read_parquet(${fileLiteral(path)}, hive_partitioning = false)`;
}

function versionSql(content: Content, positions: boolean): string {
  if (content.files.length === 0) return emptySql(content, positions);
  const paths = content.files.map(({ path }) => fileLiteral(path)).join(', ');
  const extra = positions ? `, file_index AS ${identifier(FILE_COLUMN)}, file_row_number AS ${identifier(ROW_COLUMN)}` : '';
  if (content.files.every(({ schemaHash }) => schemaHash === content.schemaHash)) {
    const columns = content.schema.map(({ name }) => identifier(name)).join(', ');
    return `SELECT ${columns}${extra} FROM read_parquet([${paths}], hive_partitioning = false)`;
  }
  // The empty relation in front supplies the columns that none of the files has.
  const files = `SELECT *${extra} FROM read_parquet([${paths}], hive_partitioning = false, union_by_name = true)`;
  const columns = content.schema.map(({ name, type }) => `CAST(${identifier(name)} AS ${type}) AS ${identifier(name)}`);
  if (positions) columns.push(identifier(FILE_COLUMN), identifier(ROW_COLUMN));
  return `SELECT ${columns.join(', ')} FROM (${emptySql(content, positions)} UNION ALL BY NAME ${files})`;
}

function emptySql(content: Content, positions: boolean): string {
  assert(content.schema.length > 0, `the schema of a version with ${literal(content.schemaHash)}`);
  const columns = content.schema.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${identifier(name)}`);
  if (positions) columns.push(`CAST(NULL AS UBIGINT) AS ${identifier(FILE_COLUMN)}`, `CAST(NULL AS BIGINT) AS ${identifier(ROW_COLUMN)}`);
  return `SELECT ${columns.join(', ')} WHERE false`;
}
