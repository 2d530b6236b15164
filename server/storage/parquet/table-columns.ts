import { isDecimal } from '../../shared/numeric-types.ts';
import type { PerspectiveType } from '../../shared/perspective/types.ts';
import type { Column } from '../stores.ts';
import { jsonValue } from './json-select.ts';
import { identifier } from './quote.ts';
import { parseType } from './type-tree.ts';

/** What the values of a column are in a table, whatever engine holds it: SPEC, "Types of tables". */
export interface TableColumn {
  readonly name: string;
  readonly type: PerspectiveType;
  /** SQL of the value: of the SQL type `sqlType`, which has a fixed width or is VARCHAR. */
  readonly sql: string;
  readonly sqlType: TableSqlType;
}

export type TableSqlType =
  | 'BOOLEAN'
  | 'TINYINT'
  | 'SMALLINT'
  | 'INTEGER'
  | 'BIGINT'
  | 'UTINYINT'
  | 'USMALLINT'
  | 'UINTEGER'
  | 'UBIGINT'
  | 'DOUBLE'
  | 'DATE'
  /** Milliseconds since 1970. */
  | 'TIMESTAMP_MS'
  | 'VARCHAR';

const SAME: Readonly<Partial<Record<string, PerspectiveType>>> = {
  BOOLEAN: 'boolean',
  TINYINT: 'integer',
  SMALLINT: 'integer',
  INTEGER: 'integer',
  BIGINT: 'integer',
  UTINYINT: 'integer',
  USMALLINT: 'integer',
  UINTEGER: 'integer',
  UBIGINT: 'integer',
  DOUBLE: 'float',
};

/** Engines of tables count years in four digits, and know no infinite times. */
const BOUNDS = { DATE: ['0001-01-01', '9999-12-31'], TIMESTAMP: ['0001-01-01 00:00:00', '9999-12-31 23:59:59.999'] } as const;

/** An expression that is true where a date or time is none that a table can hold as such; undefined for other types. */
export function unusualTimeSql({ name, type }: Column): string | undefined {
  const column = identifier(name);
  if (type === 'DATE') return `NOT (${column} BETWEEN DATE '${BOUNDS.DATE[0]}' AND DATE '${BOUNDS.DATE[1]}')`;
  // Times of nanoseconds cannot be as early or late as that.
  if (type === 'TIMESTAMP_NS') return `NOT isfinite(${column})`;
  if (!type.startsWith('TIMESTAMP') || parseType(type).kind !== 'plain') return undefined;
  const moment = type === 'TIMESTAMP WITH TIME ZONE' ? `timezone('UTC', ${column})` : column;
  return `NOT (${moment} BETWEEN TIMESTAMP '${BOUNDS.TIMESTAMP[0]}' AND TIMESTAMP '${BOUNDS.TIMESTAMP[1]}')`;
}

/** `isUnusual`: whether a column of dates or times has one that a table cannot hold as such. It is text then. */
export function tableColumn(column: Column, isUnusual: boolean): TableColumn {
  const { name, type } = column;
  const value = identifier(name);
  const same = SAME[type];
  if (same !== undefined) return { name, type: same, sql: value, sqlType: type as TableSqlType };
  // The engine that takes them knows floats of 32 bits, and errs in the differences and medians of them.
  if (['FLOAT', 'HUGEINT', 'UHUGEINT'].includes(type) || isDecimal(type)) {
    return { name, type: 'float', sql: `CAST(${value} AS DOUBLE)`, sqlType: 'DOUBLE' };
  }
  if (!isUnusual && type === 'DATE') return { name, type: 'date', sql: value, sqlType: 'DATE' };
  const millis = isUnusual ? undefined : millisecondsSql(value, type);
  if (millis !== undefined) return { name, type: 'datetime', sql: `CAST(make_timestamp_ms(${millis}) AS TIMESTAMP_MS)`, sqlType: 'TIMESTAMP_MS' };
  return { name, type: 'string', sql: textSql(value, type), sqlType: 'VARCHAR' };
}

/** Milliseconds since 1970; what is finer is dropped towards the past, as clocks do. */
function millisecondsSql(value: string, type: string): string | undefined {
  if (type === 'TIMESTAMP_S' || type === 'TIMESTAMP_MS') return `epoch_ms(${value})`;
  if (type === 'TIMESTAMP_NS') return floorSql(`epoch_ns(${value})`, 1_000_000);
  if (type === 'TIMESTAMP' || type === 'TIMESTAMP WITH TIME ZONE') return floorSql(`epoch_us(${value})`, 1_000);
  return undefined;
}

const floorSql = (value: string, step: number): string => `((${value} - ((${value} % ${step}) + ${step}) % ${step}) // ${step})`;

/** The text that stands for a value in JSON. */
export function textSql(value: string, type: string): string {
  const tree = parseType(type);
  if (tree.kind !== 'plain') return `CAST(to_json(${jsonValue(value, tree)}) AS VARCHAR)`;
  return type === 'VARCHAR' ? value : `CAST(${jsonValue(value, tree)} AS VARCHAR)`;
}
