import type { DuckDBVector } from '@duckdb/node-api';

/** What DuckDB's own types of vectors consist of: they are declared private, and copying by value costs a hundred times as much. */
export interface RawVector {
  /** Values of a fixed width, as a typed array. */
  readonly items?: unknown;
  /** Others: a byte for a truth value, four words for a text. */
  readonly dataView?: unknown;
  readonly validity: { readonly data: BigUint64Array | null };
}

export const rawOf = (vector: DuckDBVector): RawVector => vector as unknown as RawVector;

/** One bit a row, set where there is a value, least significant first; undefined: all have one. For vectors that are no part of another. */
export function maskOf(vector: DuckDBVector): Uint8Array | undefined {
  const { data } = rawOf(vector).validity;
  return data === null ? undefined : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export const isSet = (mask: Uint8Array | undefined, row: number): boolean => mask === undefined || (((mask[row >> 3] ?? 0) >> (row & 7)) & 1) === 1;
