import type { DuckDBVector } from '@duckdb/node-api';
import {
  Bool,
  type Data,
  type DataType,
  DateDay,
  Dictionary,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  makeData,
  TimestampMillisecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  type Vector,
} from 'apache-arrow';
import { assert } from '../../shared/assert.ts';
import { maskOf, rawOf } from './raw-vector.ts';
import type { TableSqlType } from './table-columns.ts';
import { TextDictionary } from './text-dictionary.ts';
import { lengthsOf, wordsOf } from './text-pieces.ts';

type Numbers = Exclude<ArrayBufferView, DataView> & { readonly length: number };

/** How values of a fixed width lie in memory: in DuckDB's vectors as in Arrow's, so that they are copied whole. */
interface Layout {
  readonly arrow: () => DataType;
  readonly create: (length: number) => Numbers;
}

const layout = (arrow: () => DataType, create: (length: number) => Numbers): Layout => ({ arrow, create });
const int32 = (length: number): Int32Array => new Int32Array(length);
const int64 = (length: number): BigInt64Array => new BigInt64Array(length);

const LAYOUTS: Readonly<Record<Exclude<TableSqlType, 'BOOLEAN' | 'VARCHAR'>, Layout>> = {
  TINYINT: layout(
    () => new Int8(),
    (length) => new Int8Array(length),
  ),
  SMALLINT: layout(
    () => new Int16(),
    (length) => new Int16Array(length),
  ),
  INTEGER: layout(() => new Int32(), int32),
  BIGINT: layout(() => new Int64(), int64),
  UTINYINT: layout(
    () => new Uint8(),
    (length) => new Uint8Array(length),
  ),
  USMALLINT: layout(
    () => new Uint16(),
    (length) => new Uint16Array(length),
  ),
  UINTEGER: layout(
    () => new Uint32(),
    (length) => new Uint32Array(length),
  ),
  UBIGINT: layout(
    () => new Uint64(),
    (length) => new BigUint64Array(length),
  ),
  DOUBLE: layout(
    () => new Float64(),
    (length) => new Float64Array(length),
  ),
  DATE: layout(() => new DateDay(), int32),
  TIMESTAMP_MS: layout(() => new TimestampMillisecond(), int64),
};

/** Takes the vectors of one column, one set after the other, for a number of rows that is known before. */
export interface ColumnCollector {
  /** Bytes that it took beyond those of its rows. */
  readonly extraBytes: number;
  append(vectors: readonly DuckDBVector[]): void;
  take(): Promise<Data>;
}

/** A column of values of a fixed width, in one vector. */
export function valueCollector(sqlType: Exclude<TableSqlType, 'VARCHAR'>, rows: number): ColumnCollector {
  return sqlType === 'BOOLEAN' ? new BooleanCollector(rows) : new NumberCollector(LAYOUTS[sqlType], rows);
}

/** A column of numbers of texts, in one vector of INTEGER, with the texts. */
export function codeCollector(rows: number, dictionary: Vector): ColumnCollector {
  return new NumberCollector({ arrow: textsType, create: int32 }, rows, dictionary);
}

const textsType = (): DataType => new Dictionary(new Utf8(), new Int32(), null, false);

/** Bytes that a row of the column takes, its validity included. */
export function rowBytes(sqlType: TableSqlType): number {
  if (sqlType === 'BOOLEAN') return 1;
  const { create } = LAYOUTS[sqlType === 'VARCHAR' ? 'INTEGER' : sqlType];
  return create(1).byteLength + 1;
}

/** One bit a value, all of them set until a vector says otherwise. */
class Validity {
  readonly #rows: number;
  #bits: Uint8Array | undefined;
  #length = 0;

  constructor(rows: number) {
    this.#rows = rows;
  }

  append(mask: BigUint64Array | null, count: number): void {
    assert(this.#length + count <= this.#rows, `${this.#rows} rows at most`);
    if (mask !== null) this.#clear(new Uint8Array(mask.buffer, mask.byteOffset, (count + 7) >> 3), count);
    this.#length += count;
  }

  /** Vectors behind a filter have any length, so what they say need not begin on a whole byte. */
  #clear(mask: Uint8Array, count: number): void {
    this.#bits ??= new Uint8Array(((this.#rows + 63) >> 6) << 3).fill(0xff);
    for (let row = 0; row < count; row += 1) {
      const byte = mask[row >> 3] ?? 0xff;
      if (byte === 0xff) row |= 7;
      else if (((byte >> (row & 7)) & 1) === 0) {
        const bit = this.#length + row;
        this.#bits[bit >> 3] = (this.#bits[bit >> 3] ?? 0xff) & ~(1 << (bit & 7));
      }
    }
  }

  /** The bitmap, and how many bits of it are not set. */
  take(): { readonly nullBitmap: Uint8Array | null; readonly nullCount: number } {
    assert(this.#length === this.#rows, `${this.#rows} rows, not ${this.#length}`);
    if (this.#bits === undefined) return { nullBitmap: null, nullCount: 0 };
    return { nullBitmap: this.#bits, nullCount: this.#rows - countBits(this.#bits, this.#rows) };
  }
}

function countBits(bits: Uint8Array, length: number): number {
  let count = 0;
  for (let index = 0; index < length >> 3; index += 1) count += BITS[bits[index] ?? 0] ?? 0;
  for (let bit = length & ~7; bit < length; bit += 1) count += ((bits[bit >> 3] ?? 0) >> (bit & 7)) & 1;
  return count;
}

/** How many bits of a byte are set. */
const BITS = Uint8Array.from({ length: 256 }, (_unused, byte) => byte.toString(2).replaceAll('0', '').length);

class NumberCollector implements ColumnCollector {
  readonly extraBytes = 0;
  readonly #type: DataType;
  readonly #values: Numbers;
  readonly #bytes: Uint8Array;
  readonly #validity: Validity;
  readonly #dictionary: Vector | undefined;
  readonly #rows: number;
  #offset = 0;

  constructor({ arrow, create }: Layout, rows: number, dictionary?: Vector) {
    this.#type = arrow();
    this.#rows = rows;
    this.#values = create(rows);
    this.#bytes = new Uint8Array(this.#values.buffer);
    this.#validity = new Validity(rows);
    this.#dictionary = dictionary;
  }

  append([vector]: readonly DuckDBVector[]): void {
    assert(vector !== undefined, 'a vector');
    const { items, validity } = rawOf(vector);
    assert(ArrayBuffer.isView(items) && items.constructor === this.#values.constructor, `values of ${this.#type}`);
    this.#validity.append(validity.data, vector.itemCount);
    this.#bytes.set(new Uint8Array(items.buffer, items.byteOffset, items.byteLength), this.#offset);
    this.#offset += items.byteLength;
  }

  async take(): Promise<Data> {
    const { nullBitmap, nullCount } = this.#validity.take();
    const buffers = { type: this.#type, length: this.#rows, nullCount, nullBitmap, data: this.#values };
    return makeData({ ...buffers, ...(this.#dictionary === undefined ? {} : { dictionary: this.#dictionary }) } as never);
  }
}

/** Arrow has a bit for a truth value, DuckDB a byte. */
class BooleanCollector implements ColumnCollector {
  readonly extraBytes = 0;
  readonly #bits: Uint8Array;
  readonly #validity: Validity;
  readonly #rows: number;
  #length = 0;

  constructor(rows: number) {
    this.#rows = rows;
    this.#bits = new Uint8Array(((rows + 63) >> 6) << 3);
    this.#validity = new Validity(rows);
  }

  append([vector]: readonly DuckDBVector[]): void {
    assert(vector !== undefined, 'a vector');
    const { dataView, validity } = rawOf(vector);
    assert(dataView instanceof DataView, 'truth values');
    this.#validity.append(validity.data, vector.itemCount);
    for (let row = 0; row < vector.itemCount; row += 1, this.#length += 1) {
      // What NULL is beside is anything.
      if (dataView.getUint8(row) === 1) this.#bits[this.#length >> 3] = (this.#bits[this.#length >> 3] ?? 0) | (1 << (this.#length & 7));
    }
  }

  async take(): Promise<Data> {
    const { nullBitmap, nullCount } = this.#validity.take();
    return makeData({ type: new Bool(), length: this.#rows, nullCount, nullBitmap, data: this.#bits } as never);
  }
}

/**
 * Texts in vectors of their pieces: of one piece the text itself, of more their length in bytes as INTEGER and then the pieces,
 * as BLOB of up to twelve bytes each.
 */
export class TextCollector implements ColumnCollector {
  readonly #dictionary: TextDictionary;
  readonly #codes: Int32Array;
  readonly #validity: Validity;
  readonly #rows: number;
  #length = 0;

  constructor(rows: number, pieces: number) {
    this.#dictionary = new TextDictionary(pieces);
    this.#codes = new Int32Array(rows);
    this.#validity = new Validity(rows);
    this.#rows = rows;
  }

  get extraBytes(): number {
    return this.#dictionary.bytes;
  }

  append(vectors: readonly DuckDBVector[]): void {
    const [first] = vectors;
    assert(first !== undefined, 'a vector');
    const lengths = vectors.length === 1 ? undefined : lengthsOf(first);
    const pieces = (lengths === undefined ? vectors : vectors.slice(1)).map(wordsOf);
    this.#dictionary.number({ pieces, lengths, mask: maskOf(first) }, first.itemCount, this.#codes, this.#length);
    this.#validity.append(rawOf(first).validity.data, first.itemCount);
    this.#length += first.itemCount;
  }

  async take(): Promise<Data> {
    const { nullBitmap, nullCount } = this.#validity.take();
    const dictionary = await this.#dictionary.toVector();
    return makeData({ type: textsType(), length: this.#rows, nullCount, nullBitmap, data: this.#codes, dictionary } as never);
  }
}
