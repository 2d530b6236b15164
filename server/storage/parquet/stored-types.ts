import type { PendingColumn } from '../stores.ts';
import { identifier } from './quote.ts';

/** Quoted names, which are left alone, and types that engines of tables do not know, whose text says the same. */
const TOKENS = /"(?:[^"]|"")*"|\b(?:JSON|VARIANT|GEOMETRY(?:\('[^']*'\))?)(?=[,)[]|$)/g;

/** The SQL type under which values of a type that Parquet has are stored. */
export function storedType(type: string): string {
  return type.replace(TOKENS, (token) => (token.startsWith('"') ? token : 'VARCHAR'));
}

/** SQL that yields a column as it is stored. */
export function storedSql({ name, type }: PendingColumn): string {
  const stored = storedType(type);
  return stored === type ? identifier(name) : `CAST(${identifier(name)} AS ${stored}) AS ${identifier(name)}`;
}
