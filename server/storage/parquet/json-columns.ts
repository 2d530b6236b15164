import { DuckDBListType, DuckDBMapType, DuckDBStructType, type DuckDBType, DuckDBTypeId } from '@duckdb/node-api';
import type { Column } from '../stores.ts';
import { identifier } from './quote.ts';
import { givenColumn, guessedColumn, type TextColumn } from './text-columns.ts';
import { TYPES } from './text-types.ts';

export interface JsonPlan {
  readonly columns: readonly TextColumn[];
  /** The same with lists and structs as their JSON text, for values that the type found for them would not hold. */
  readonly withNestedAsText: readonly TextColumn[];
}

export interface JsonColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

/**
 * What the columns that DuckDB found are read as. It tells numbers and times from texts, but its types round: what is
 * neither a 64-bit integer nor a truth value is read as text and converted under control.
 */
export function planJson(described: readonly JsonColumn[], onto: readonly Column[] | undefined): JsonPlan {
  const header = described.map(({ name }) => name);
  const given = (onto ?? []).map(({ name, type }) => withNestedTyped(givenColumn(name, type, header)));
  const taken = new Set(given.map(({ from }) => from));
  const guessed = described.filter(({ name }) => !taken.has(name)).map(jsonColumn);
  const columns = [...given, ...guessed];
  return { columns, withNestedAsText: columns.map((column) => (column.candidates === null ? column : nestedAsText(column))) };
}

export const isNested = ({ sqlType }: TextColumn): boolean => isNestedSql(sqlType);

const isNestedSql = (sqlType: string): boolean => /\]$|^(?:STRUCT|MAP)\(/.test(sqlType);

function withNestedTyped(column: TextColumn): TextColumn {
  return isNested(column) ? { ...column, read: 'typed' } : column;
}

function nestedAsText(column: TextColumn): TextColumn {
  return isNested(column) ? guessedColumn(column.name, column.from, []) : column;
}

/** Types to try, by the type that DuckDB found, narrow before wide. */
const CANDIDATES: ReadonlyMap<DuckDBTypeId, readonly string[]> = new Map([
  [DuckDBTypeId.HUGEINT, ['BIGINT']],
  [DuckDBTypeId.DOUBLE, ['DOUBLE']],
  [DuckDBTypeId.DATE, ['DATE', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE']],
  [DuckDBTypeId.TIMESTAMP, ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE']],
  [DuckDBTypeId.TIME, ['TIME']],
]);

function jsonColumn({ name, type }: JsonColumn): TextColumn {
  if (type.typeId === DuckDBTypeId.BIGINT || type.typeId === DuckDBTypeId.BOOLEAN || type.typeId === DuckDBTypeId.UBIGINT || isNestedType(type)) {
    return { ...guessedColumn(name, name, []), sqlType: nestedSql(type), read: 'typed' };
  }
  const wanted = CANDIDATES.get(type.typeId) ?? [];
  return guessedColumn(
    name,
    name,
    wanted.flatMap((sqlType) => TYPES.find((candidate) => candidate.sqlType === sqlType) ?? []),
  );
}

function isNestedType(type: DuckDBType): boolean {
  return type instanceof DuckDBListType || type instanceof DuckDBStructType || type instanceof DuckDBMapType;
}

/** The SQL type of a nested value; what is not a number or a truth value stays text within it. */
function nestedSql(type: DuckDBType): string {
  if (type instanceof DuckDBListType) return `${nestedSql(type.valueType)}[]`;
  if (type instanceof DuckDBMapType) return `MAP(${nestedSql(type.keyType)}, ${nestedSql(type.valueType)})`;
  if (type instanceof DuckDBStructType) {
    return `STRUCT(${type.entryNames.map((name, index) => `${identifier(name)} ${nestedSql(type.entryTypes[index] ?? type)}`).join(', ')})`;
  }
  switch (type.typeId) {
    case DuckDBTypeId.HUGEINT:
    case DuckDBTypeId.BIGINT:
      return 'BIGINT';
    case DuckDBTypeId.UBIGINT:
      return 'UBIGINT';
    case DuckDBTypeId.DOUBLE:
      return 'DOUBLE';
    case DuckDBTypeId.BOOLEAN:
      return 'BOOLEAN';
    default:
      return 'VARCHAR';
  }
}
