import { assert } from '../../shared/assert.ts';
import type { Content, ScopedContent } from '../content-store.ts';
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

/**
 * The only place that reads data files. Rows come in manifest order, with the columns and types of the version. A file that
 * was written under another schema lacks columns that came later (NULL) or has narrower types (cast).
 */
export function scopedRelation({ content, scope }: ScopedContent, options: { readonly positions?: boolean } = {}): Relation {
  const allowed = scope.columns === null ? undefined : new Set(scope.columns);
  const schema = allowed === undefined ? content.schema : content.schema.filter(({ name }) => allowed.has(name));
  const positions = options.positions === true;
  const names = schema.map(({ name }) => identifier(name));
  if (positions) names.push(identifier(FILE_COLUMN), identifier(ROW_COLUMN));
  // A scope without any column still has rows to count.
  const list = names.length === 0 ? 'NULL AS "__covista_nothing"' : names.join(', ');
  const where = scope.filter === null ? '' : ` WHERE (${scope.filter.sql})`;
  return { sql: `SELECT ${list} FROM (${versionSql(content, positions)})${where}`, values: scope.filter?.values ?? [], schema };
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
