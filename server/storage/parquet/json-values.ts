import {
  DuckDBArrayValue,
  DuckDBBlobValue,
  type DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBUnionValue,
  type DuckDBValue,
} from '@duckdb/node-api';
import type { Turns } from '../../shared/turns.ts';
import type { Row } from '../content-store.ts';

/** Cells that are read at a stretch: a chunk of a wide table has millions. */
const CELLS_AT_ONCE = 2_000;

/**
 * DuckDB values as JSON: 64-bit integers beyond 2^53 and decimals are texts, dates `YYYY-MM-DD`, timestamps ISO 8601 UTC with
 * as many digits of the second as they have, binary base64, NaN and the infinities texts; lists, structs and maps nest. A map
 * is an object when its keys are texts, and a list of `{ key, value }` otherwise. `order`: the columns that rows have, in order.
 */
export async function* readRows(
  chunk: DuckDBDataChunk,
  { names, order = names }: { readonly names: readonly string[]; readonly order?: readonly string[] },
  turns: Pick<Turns, 'over' | 'next'>,
): AsyncGenerator<Row[]> {
  const vectors = order.map((name) => chunk.getColumnVector(names.indexOf(name)));
  const rowsAtOnce = Math.max(1, Math.floor(CELLS_AT_ONCE / Math.max(order.length, 1)));
  for (let start = 0; start < chunk.rowCount; start += rowsAtOnce) {
    if (turns.over) await turns.next();
    const length = Math.min(rowsAtOnce, chunk.rowCount - start);
    yield Array.from({ length }, (_unused, row) =>
      Object.fromEntries(order.map((name, index) => [name, toJson(vectors[index]?.getItem(start + row) ?? null)])),
    );
  }
}

export function toJson(value: DuckDBValue): unknown {
  switch (typeof value) {
    case 'bigint':
      return bigintToJson(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'object':
      return value === null ? null : objectToJson(value);
    default:
      return value;
  }
}

function bigintToJson(value: bigint): number | string {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value.toString();
}

function objectToJson(value: Exclude<DuckDBValue, string | number | bigint | boolean | null>): unknown {
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return isoTime(value.micros, 6) ?? value.toString();
  if (value instanceof DuckDBDateValue) return isoDate(value.days) ?? value.toString();
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes.buffer, value.bytes.byteOffset, value.bytes.byteLength).toString('base64');
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map(toJson);
  if (value instanceof DuckDBStructValue) return Object.fromEntries(Object.entries(value.entries).map(([name, entry]) => [name, toJson(entry)]));
  if (value instanceof DuckDBMapValue) return mapToJson(value);
  if (value instanceof DuckDBUnionValue) return toJson(value.value);
  if (value instanceof DuckDBTimestampSecondsValue) return isoTime(value.seconds, 0) ?? value.toString();
  if (value instanceof DuckDBTimestampMillisecondsValue) return isoTime(value.millis, 3) ?? value.toString();
  if (value instanceof DuckDBTimestampNanosecondsValue) return isoTime(value.nanos, 9) ?? value.toString();
  return value.toString();
}

function mapToJson(value: DuckDBMapValue): unknown {
  if (value.entries.every(({ key }) => typeof key === 'string')) {
    return Object.fromEntries(value.entries.map((entry) => [String(entry.key), toJson(entry.value)]));
  }
  return value.entries.map((entry) => ({ key: toJson(entry.key), value: toJson(entry.value) }));
}

const DAY_MS = 86_400_000;
/** What a JavaScript date can hold; DuckDB's dates go further, and have infinities. */
const DATE_MS_MAX = 8.64e15;

/** How DuckDB keeps the dates `infinity` and, negated, `-infinity`. */
const INFINITE_DAYS = 2_147_483_647;

function isoDate(days: number): string | undefined {
  if (Math.abs(days) === INFINITE_DAYS) return days > 0 ? 'infinity' : '-infinity';
  const ms = days * DAY_MS;
  return Math.abs(ms) > DATE_MS_MAX ? undefined : new Date(ms).toISOString().slice(0, -'T00:00:00.000Z'.length);
}

/** Time since 1970 in units of 10^-digits seconds; undefined where a JavaScript date cannot hold it. */
function isoTime(ticks: bigint, digits: number): string | undefined {
  const perSecond = 10n ** BigInt(digits);
  const fraction = ((ticks % perSecond) + perSecond) % perSecond;
  const seconds = Number((ticks - fraction) / perSecond);
  if (Math.abs(seconds * 1000) > DATE_MS_MAX) return undefined;
  const text = new Date(seconds * 1000).toISOString().slice(0, -'.000Z'.length);
  if (fraction === 0n) return `${text}Z`;
  const decimals = fraction.toString().padStart(digits, '0');
  return `${text}.${decimals.endsWith('000') && digits === 6 ? decimals.slice(0, 3) : decimals}Z`;
}
