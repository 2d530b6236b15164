import {
  type DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
  DuckDBVarCharVector,
} from '@duckdb/node-api';
import { assert } from '../../shared/assert.ts';
import { isSet, maskOf, rawOf } from '../../storage/parquet/raw-vector.ts';
import type { ColumnKind } from './column-types.ts';
import type { Range } from './table.ts';

/** A value of a view: dates and times are milliseconds since 1970, decimals their digits. */
export type Value = null | boolean | number | bigint | string;

/** Rows of a result by their numbers: ranges in ascending order, apart from one another. */
export type RowChoice = readonly Range[];

/** Cells as they are read. */
export interface Grid {
  readonly types: readonly string[];
  /** By column. */
  readonly values: readonly Value[][];
  readonly rows: number;
}

export interface FrameColumn {
  /** The values of the split that the column is of, then its name. */
  readonly path: readonly Value[];
  readonly kind: ColumnKind;
  /** The SQL type of its values. */
  readonly type: string;
  readonly values: readonly Value[];
}

/** What a window shows: columns of equal length, and the paths of the rows where they have any. */
export interface Frame {
  readonly rows: number;
  readonly columns: readonly FrameColumn[];
  readonly paths: FramePaths | undefined;
}

export interface FramePaths {
  /** What the rows are grouped by, as columns; NULL below the depth of a row. */
  readonly columns: readonly FrameColumn[];
  readonly depths: readonly number[];
}

export const DAY_MS = 86_400_000;
const MICROS_PER_MS = 1000n;

/** Values of a chunk's column, in the terms of views. */
export function valuesOf(chunk: DuckDBDataChunk, index: number): Value[] {
  const vector = chunk.getColumnVector(index);
  const values: Value[] = [];
  for (let row = 0; row < chunk.rowCount; row += 1) values.push(cellOf(vector.getItem(row)));
  return values;
}

/** Bytes that a text takes in a vector, the first of which are its length. */
const TEXT_ENTRY_BYTES = 16;

/** How many bytes the texts of a chunk have, found without making any of them. */
export function textBytesOf(chunk: DuckDBDataChunk): number {
  let bytes = 0;
  for (let index = 0; index < chunk.columnCount; index += 1) {
    const vector = chunk.getColumnVector(index);
    const { dataView } = rawOf(vector);
    if (!(vector instanceof DuckDBVarCharVector) || !(dataView instanceof DataView)) continue;
    const mask = maskOf(vector);
    for (let row = 0; row < chunk.rowCount; row += 1) if (isSet(mask, row)) bytes += dataView.getUint32(row * TEXT_ENTRY_BYTES, true);
  }
  return bytes;
}

/** How many rows there are. */
export const countOf = (rows: RowChoice): number => rows.reduce((count, { start, end }) => count + end - start, 0);

/** A value as DuckDB has it, in the terms of views. */
export function cellOf(value: DuckDBValue): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof DuckDBDateValue) return value.days * DAY_MS;
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return msOf(value.micros);
  if (value instanceof DuckDBDecimalValue) return value.toString();
  if (value instanceof DuckDBTimestampMillisecondsValue) return Number(value.millis);
  assert(value instanceof DuckDBTimestampSecondsValue, 'a value of a kind that views have');
  return Number(value.seconds) * 1000;
}

/** Before 1970 as after it, a millisecond is what begins with it. */
export function msOf(micros: bigint): number {
  const rest = micros % MICROS_PER_MS;
  return Number((micros - rest) / MICROS_PER_MS) - (rest < 0n ? 1 : 0);
}

/** A value as the paths of columns have it. */
export function labelOf(value: Value, kind: ColumnKind): string {
  if (value === null) return 'null';
  if (kind === 'date') return dateText(Number(value));
  if (kind === 'datetime') return timeText(Number(value));
  return String(value);
}

export const dateText = (ms: number): string => isoText(ms).slice(0, -'T00:00:00.000Z'.length);
export const timeText = (ms: number): string => isoText(ms).replace('T', ' ').slice(0, -1);

/** What a date of JavaScript can hold; those of DuckDB go further. */
const MS_MAX = 8.64e15;

function isoText(ms: number): string {
  return Math.abs(ms) <= MS_MAX ? new Date(ms).toISOString() : `${ms < 0 ? '-' : ''}infinityT00:00:00.000Z`;
}
