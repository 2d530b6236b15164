import { isDecimal } from '../../shared/numeric-types.ts';
import { identifier } from '../../storage/parquet/quote.ts';
import { textSql } from '../../storage/parquet/table-columns.ts';
import type { Column } from '../../storage/stores.ts';

/** The types of columns that Perspective's protocol knows. */
export type ColumnKind = 'string' | 'date' | 'datetime' | 'integer' | 'float' | 'boolean';

/** A column as views see it. */
export interface Field {
  readonly name: string;
  readonly kind: ColumnKind;
  /** The SQL type of its values, after conversion. */
  readonly type: string;
}

/** A column of the table, with the SQL that reads it from the relation. */
export interface TableColumn extends Field {
  readonly sql: string;
}

const SMALL_INTEGERS = ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT', 'UINTEGER'];

/** Integers whose sums fit into 64 bits, whatever number of rows a table may have. */
export const isSmallInteger = (type: string): boolean => SMALL_INTEGERS.includes(type);

const PLAIN_KINDS: Readonly<Record<string, ColumnKind>> = {
  BOOLEAN: 'boolean',
  ...Object.fromEntries(SMALL_INTEGERS.map((type) => [type, 'integer'])),
  BIGINT: 'integer',
  UBIGINT: 'integer',
  HUGEINT: 'integer',
  UHUGEINT: 'integer',
  FLOAT: 'float',
  DOUBLE: 'float',
  VARCHAR: 'string',
  DATE: 'date',
  TIMESTAMP: 'datetime',
};

/** What kind of column holds values of a SQL type as they are; undefined where they must be converted. */
export function kindOfType(type: string): ColumnKind | undefined {
  return PLAIN_KINDS[type] ?? (isDecimal(type) ? 'float' : undefined);
}

/**
 * How each stored type becomes one that the protocol has. Times are in milliseconds, which is what it has; binary is base64,
 * nested values are JSON, and every other type is its text.
 */
export function tableColumn({ name, type }: Column): TableColumn {
  const column = identifier(name);
  const kind = kindOfType(type);
  if (type === 'TIMESTAMP_NS') return { name, kind: 'datetime', type: 'TIMESTAMP', sql: millisecondsOfNanos(column) };
  if (type === 'TIMESTAMP' || type === 'TIMESTAMP WITH TIME ZONE') {
    return { name, kind: 'datetime', type: 'TIMESTAMP', sql: `date_trunc('millisecond', CAST(${column} AS TIMESTAMP))` };
  }
  if (kind !== undefined) return { name, kind, type, sql: column };
  if (type === 'TIMESTAMP_S' || type === 'TIMESTAMP_MS') return { name, kind: 'datetime', type: 'TIMESTAMP', sql: `CAST(${column} AS TIMESTAMP)` };
  return { name, kind: 'string', type: 'VARCHAR', sql: textSql(column, type) };
}

/** A cast would drop what is finer towards 1970, and not towards the past. */
function millisecondsOfNanos(column: string): string {
  const nanos = `epoch_ns(${column})`;
  const millis = `${nanos} // 1000000 - CASE WHEN ${nanos} % 1000000 < 0 THEN 1 ELSE 0 END`;
  return `CASE WHEN isfinite(${column}) THEN make_timestamp_ms(${millis}) ELSE CAST(${column} AS TIMESTAMP) END`;
}
