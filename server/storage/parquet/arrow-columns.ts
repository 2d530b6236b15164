import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBValue,
  type DuckDBVector,
} from '@duckdb/node-api';
import {
  Binary,
  Bool,
  type Data,
  type DataType,
  DateDay,
  Decimal,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  makeData,
  TimeMicrosecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import { assert } from '../../shared/assert.ts';
import type { Column } from '../stores.ts';
import { toJson } from './json-values.ts';

/** Collects the values of one column, and gives them as the Arrow data of a batch. */
export interface ArrowColumn {
  readonly name: string;
  readonly type: DataType;
  add(vector: DuckDBVector, rows: number): void;
  /** The first `rows` values, which are all that were added; begins anew. */
  take(rows: number): Data;
}

type Present = Exclude<DuckDBValue, null>;

/** How values of a DuckDB type become fixed-width numbers of an Arrow type. */
interface FixedWidth {
  readonly type: DataType;
  readonly array: (values: readonly (number | bigint)[]) => ArrayBufferView;
  readonly zero: number | bigint;
  toNumber(value: Present): number | bigint;
}

const asIs = (value: Present): number | bigint => value as number | bigint;
const numbers = (type: DataType, array: { from(values: readonly number[]): ArrayBufferView }): FixedWidth => ({
  type,
  array: (values) => array.from(values as readonly number[]),
  zero: 0,
  toNumber: asIs,
});
const integers64 = (type: DataType, toNumber: (value: Present) => bigint, isUnsigned = false): FixedWidth => ({
  type,
  array: (values) => (isUnsigned ? BigUint64Array.from(values as readonly bigint[]) : BigInt64Array.from(values as readonly bigint[])),
  zero: 0n,
  toNumber,
});

function instance<T extends Present>(value: Present, kind: abstract new (...args: never[]) => T): T {
  assert(value instanceof kind, `a value of ${kind.name}`);
  return value;
}

const FIXED: Readonly<Record<string, () => FixedWidth>> = {
  TINYINT: () => numbers(new Int8(), Int8Array),
  SMALLINT: () => numbers(new Int16(), Int16Array),
  INTEGER: () => numbers(new Int32(), Int32Array),
  UTINYINT: () => numbers(new Uint8(), Uint8Array),
  USMALLINT: () => numbers(new Uint16(), Uint16Array),
  UINTEGER: () => numbers(new Uint32(), Uint32Array),
  FLOAT: () => numbers(new Float32(), Float32Array),
  DOUBLE: () => numbers(new Float64(), Float64Array),
  BIGINT: () => integers64(new Int64(), (value) => value as bigint),
  UBIGINT: () => integers64(new Uint64(), (value) => value as bigint, true),
  DATE: () => ({ ...numbers(new DateDay(), Int32Array), toNumber: (value) => instance(value, DuckDBDateValue).days }),
  TIME: () => integers64(new TimeMicrosecond(), (value) => instance(value, DuckDBTimeValue).micros),
  TIMESTAMP: () => integers64(new TimestampMicrosecond(), (value) => instance(value, DuckDBTimestampValue).micros),
  'TIMESTAMP WITH TIME ZONE': () => integers64(new TimestampMicrosecond('UTC'), (value) => instance(value, DuckDBTimestampTZValue).micros),
};

/**
 * Types keep their exact value: integers, floats, dates, times, timestamps (microseconds), decimals, text and binary have
 * Arrow's own; what is left (huge integers, lists, structs, maps, JSON, UUID) is text, nested values as JSON.
 */
export function arrowColumn({ name, type }: Column): ArrowColumn {
  const fixed = FIXED[type];
  if (fixed !== undefined) return new FixedColumn(name, fixed());
  if (type === 'BOOLEAN') return new BooleanColumn(name);
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null) return new DecimalColumn(name, Number(decimal[1]), Number(decimal[2]));
  if (type === 'BLOB') return new BytesColumn(name, new Binary(), (value) => instance(value, DuckDBBlobValue).bytes);
  const encoder = new TextEncoder();
  return new BytesColumn(name, new Utf8(), (value) => encoder.encode(textOf(value)));
}

function textOf(value: Present): string {
  if (typeof value === 'string') return value;
  const json = toJson(value);
  return typeof json === 'string' ? json : JSON.stringify(json);
}

/** One bit a row, set where there is a value. */
class Validity {
  #bits = new Uint8Array(1024);
  #rows = 0;
  nullCount = 0;

  add(isPresent: boolean): void {
    const byte = this.#rows >> 3;
    if (byte >= this.#bits.length) this.#grow();
    if (isPresent) this.#bits[byte] = (this.#bits[byte] as number) | (1 << (this.#rows & 7));
    else this.nullCount += 1;
    this.#rows += 1;
  }

  take(): { nullBitmap: Uint8Array; nullCount: number } {
    const taken = { nullBitmap: this.#bits.slice(0, (this.#rows + 7) >> 3), nullCount: this.nullCount };
    this.#bits.fill(0);
    this.#rows = 0;
    this.nullCount = 0;
    return taken;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bits.length * 2);
    larger.set(this.#bits);
    this.#bits = larger;
  }
}

abstract class BaseColumn implements ArrowColumn {
  readonly name: string;
  readonly type: DataType;
  protected readonly validity = new Validity();

  constructor(name: string, type: DataType) {
    this.name = name;
    this.type = type;
  }

  add(vector: DuckDBVector, rows: number): void {
    for (let row = 0; row < rows; row += 1) {
      const value = vector.getItem(row) as DuckDBValue;
      this.validity.add(value !== null);
      this.addValue(value);
    }
  }

  protected abstract addValue(value: DuckDBValue): void;
  abstract take(rows: number): Data;
}

class FixedColumn extends BaseColumn {
  readonly #kind: FixedWidth;
  #values: (number | bigint)[] = [];

  constructor(name: string, kind: FixedWidth) {
    super(name, kind.type);
    this.#kind = kind;
  }

  protected override addValue(value: DuckDBValue): void {
    this.#values.push(value === null ? this.#kind.zero : this.#kind.toNumber(value));
  }

  override take(rows: number): Data {
    const data = this.#kind.array(this.#values);
    this.#values = [];
    return makeData({ type: this.type, length: rows, data, ...this.validity.take() } as never);
  }
}

class BooleanColumn extends BaseColumn {
  readonly #values = new Validity();

  constructor(name: string) {
    super(name, new Bool());
  }

  protected override addValue(value: DuckDBValue): void {
    this.#values.add(value === true);
  }

  override take(rows: number): Data {
    const { nullBitmap: data } = this.#values.take();
    return makeData({ type: this.type, length: rows, data, ...this.validity.take() } as never);
  }
}

/** 128-bit two's complement, least significant word first. */
class DecimalColumn extends BaseColumn {
  #words: bigint[] = [];

  constructor(name: string, precision: number, scale: number) {
    super(name, new Decimal(scale, precision, 128));
  }

  protected override addValue(value: DuckDBValue): void {
    const scaled = value === null ? 0n : instance(value, DuckDBDecimalValue).value;
    this.#words.push(BigInt.asUintN(64, scaled), BigInt.asUintN(64, scaled >> 64n));
  }

  override take(rows: number): Data {
    const data = new Uint32Array(BigUint64Array.from(this.#words).buffer);
    this.#words = [];
    return makeData({ type: this.type, length: rows, data, ...this.validity.take() } as never);
  }
}

class BytesColumn extends BaseColumn {
  readonly #toBytes: (value: Present) => Uint8Array;
  #pieces: Uint8Array[] = [];
  #offsets: number[] = [0];
  #bytes = 0;

  constructor(name: string, type: DataType, toBytes: (value: Present) => Uint8Array) {
    super(name, type);
    this.#toBytes = toBytes;
  }

  protected override addValue(value: DuckDBValue): void {
    if (value !== null) {
      const piece = this.#toBytes(value);
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    }
    this.#offsets.push(this.#bytes);
  }

  override take(rows: number): Data {
    const data = Buffer.concat(this.#pieces, this.#bytes);
    const valueOffsets = Int32Array.from(this.#offsets);
    this.#pieces = [];
    this.#offsets = [0];
    this.#bytes = 0;
    return makeData({ type: this.type, length: rows, data, valueOffsets, ...this.validity.take() } as never);
  }
}
