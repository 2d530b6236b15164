import type { DuckDBValue } from '@duckdb/node-api';
import { type Data, type DataType, makeData } from 'apache-arrow';
import { Bits, Growing, type Numbers } from './growing.ts';
import { isSet, maskOf, rawOf } from './raw-vector.ts';
import { areTexts, TextRows, type Vectors } from './text-pieces.ts';

/** Collects values, and gives them as the Arrow data of a batch. */
export interface ArrowBuilder {
  readonly type: DataType;
  /** What was appended takes so many bytes, but for a bit a value. */
  readonly bytes: number;
  append(value: DuckDBValue): void;
  /** Rows from `start` to `end` exclusive of a vector, or of the vectors that have texts in pieces (`piecesSql`). */
  appendRows(vectors: Vectors, start: number, end: number): void;
  /** Everything that was appended; begins anew. */
  take(): Data;
}

export type Present = Exclude<DuckDBValue, null>;

/** What makeData takes, whose types tell every Arrow type apart. */
interface Buffers {
  readonly data?: Numbers;
  readonly valueOffsets?: Int32Array;
  readonly child?: Data;
  readonly children?: Data[];
}

abstract class BaseBuilder implements ArrowBuilder {
  readonly type: DataType;
  readonly #validity = new Bits();

  constructor(type: DataType) {
    this.type = type;
  }

  abstract readonly bytes: number;

  append(value: DuckDBValue): void {
    this.#validity.push(value !== null);
    if (value === null) this.appendNull();
    else this.appendValue(value);
  }

  appendRows([vector]: Vectors, start: number, end: number): void {
    for (let row = start; row < end; row += 1) this.append(vector.getItem(row));
  }

  take(): Data {
    const { bits: nullBitmap, length, unset: nullCount } = this.#validity.take();
    return makeData({ type: this.type, length, nullBitmap, nullCount, ...this.takeBuffers() } as never);
  }

  /** Says of a value that was appended by itself whether it is one. */
  protected note(isPresent: boolean): void {
    this.#validity.push(isPresent);
  }

  protected abstract appendNull(): void;
  protected abstract appendValue(value: Present): void;
  protected abstract takeBuffers(): Buffers;
}

export class NumberBuilder<T extends Numbers> extends BaseBuilder {
  readonly #values: Growing<T>;
  readonly #zero: T[number];
  readonly #convert: (value: Present) => T[number];

  constructor(type: DataType, create: (length: number) => T, convert: (value: Present) => T[number]) {
    super(type);
    this.#values = new Growing(create);
    this.#zero = create(1)[0] ?? 0;
    this.#convert = convert;
  }

  override get bytes(): number {
    return this.#values.bytes;
  }

  /** Values that lie in DuckDB's memory as in Arrow's are copied whole. */
  override appendRows(vectors: Vectors, start: number, end: number): void {
    const [vector] = vectors;
    const { items } = rawOf(vector);
    if (!this.#values.isLike(items)) {
      super.appendRows(vectors, start, end);
      return;
    }
    const first = this.#values.length - start;
    this.#values.pushAll(items.subarray(start, end) as T);
    const mask = maskOf(vector);
    const values = this.#values.reserve(0);
    for (let row = start; row < end; row += 1) {
      const isPresent = isSet(mask, row);
      this.note(isPresent);
      // Beside NULL there is anything, even what is hidden.
      if (!isPresent) values[first + row] = this.#zero;
    }
  }

  protected override appendNull(): void {
    this.#values.push(this.#zero);
  }

  protected override appendValue(value: Present): void {
    this.#values.push(this.#convert(value));
  }

  protected override takeBuffers(): Buffers {
    return { data: this.#values.take() };
  }
}

export class BooleanBuilder extends BaseBuilder {
  readonly #values = new Bits();

  override get bytes(): number {
    return this.#values.length >> 3;
  }

  protected override appendNull(): void {
    this.#values.push(false);
  }

  protected override appendValue(value: Present): void {
    this.#values.push(value === true);
  }

  protected override takeBuffers(): Buffers {
    return { data: this.#values.take().bits };
  }
}

/** 128-bit two's complement, least significant word first. */
export class DecimalBuilder extends BaseBuilder {
  readonly #words = new Growing((length) => new BigUint64Array(length));
  readonly #scaled: (value: Present) => bigint;

  constructor(type: DataType, scaled: (value: Present) => bigint) {
    super(type);
    this.#scaled = scaled;
  }

  override get bytes(): number {
    return this.#words.bytes;
  }

  protected override appendNull(): void {
    this.#push(0n);
  }

  protected override appendValue(value: Present): void {
    this.#push(this.#scaled(value));
  }

  protected override takeBuffers(): Buffers {
    return { data: new Uint32Array(this.#words.take().buffer) };
  }

  #push(value: bigint): void {
    this.#words.push(BigInt.asUintN(64, value));
    this.#words.push(BigInt.asUintN(64, value >> 64n));
  }
}

/** UTF-8 takes three bytes for a UTF-16 unit at most. */
const BYTES_PER_UNIT_MAX = 3;

export class TextBuilder extends BaseBuilder {
  readonly #bytes = new Growing((length) => new Uint8Array(length));
  readonly #offsets = new Growing((length) => new Int32Array(length));
  readonly #convert: (value: Present) => string | Uint8Array;
  readonly #encoder = new TextEncoder();

  constructor(type: DataType, convert: (value: Present) => string | Uint8Array) {
    super(type);
    this.#convert = convert;
    this.#offsets.push(0);
  }

  override get bytes(): number {
    return this.#bytes.bytes + this.#offsets.bytes;
  }

  /** In vectors texts are in UTF-8, as they are written here: no string is made of what lies there. */
  override appendRows(vectors: Vectors, start: number, end: number): void {
    if (!areTexts(vectors)) {
      super.appendRows(vectors, start, end);
      return;
    }
    const texts = new TextRows(vectors);
    for (let row = start; row < end; row += 1) {
      if (!texts.isPresent(row)) this.append(null);
      else if (texts.isWhole(row)) this.#appendBytes(texts, row);
      else this.append(vectors[0].getItem(row));
    }
  }

  #appendBytes(texts: TextRows, row: number): void {
    const length = texts.length(row);
    texts.copy(row, this.#bytes.reserve(length), this.#bytes.length);
    this.#bytes.length += length;
    this.#offsets.push(this.#bytes.length);
    this.note(true);
  }

  protected override appendNull(): void {
    this.#offsets.push(this.#bytes.length);
  }

  protected override appendValue(value: Present): void {
    const content = this.#convert(value);
    if (typeof content === 'string') {
      const room = this.#bytes.reserve(content.length * BYTES_PER_UNIT_MAX).subarray(this.#bytes.length);
      this.#bytes.length += this.#encoder.encodeInto(content, room).written;
    } else {
      this.#bytes.reserve(content.length).set(content, this.#bytes.length);
      this.#bytes.length += content.length;
    }
    this.#offsets.push(this.#bytes.length);
  }

  protected override takeBuffers(): Buffers {
    const buffers = { data: this.#bytes.take(), valueOffsets: this.#offsets.take() };
    this.#offsets.push(0);
    return buffers;
  }
}

/** Lists, and maps as lists of entries. */
export class ListBuilder extends BaseBuilder {
  readonly #items: ArrowBuilder;
  readonly #itemsOf: (value: Present) => readonly DuckDBValue[];
  readonly #offsets = new Growing((length) => new Int32Array(length));
  #length = 0;

  constructor(type: DataType, items: ArrowBuilder, itemsOf: (value: Present) => readonly DuckDBValue[]) {
    super(type);
    this.#items = items;
    this.#itemsOf = itemsOf;
    this.#offsets.push(0);
  }

  override get bytes(): number {
    return this.#items.bytes + this.#offsets.bytes;
  }

  protected override appendNull(): void {
    this.#offsets.push(this.#length);
  }

  protected override appendValue(value: Present): void {
    for (const item of this.#itemsOf(value)) {
      this.#items.append(item);
      this.#length += 1;
    }
    this.#offsets.push(this.#length);
  }

  protected override takeBuffers(): Buffers {
    const buffers = { child: this.#items.take(), valueOffsets: this.#offsets.take() };
    this.#length = 0;
    this.#offsets.push(0);
    return buffers;
  }
}

export class StructBuilder extends BaseBuilder {
  readonly #fields: readonly ArrowBuilder[];
  readonly #valuesOf: (value: Present) => readonly DuckDBValue[];

  /** `valuesOf` gives the values of the fields, in order. */
  constructor(type: DataType, fields: readonly ArrowBuilder[], valuesOf: (value: Present) => readonly DuckDBValue[]) {
    super(type);
    this.#fields = fields;
    this.#valuesOf = valuesOf;
  }

  override get bytes(): number {
    return this.#fields.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  protected override appendNull(): void {
    for (const field of this.#fields) field.append(null);
  }

  protected override appendValue(value: Present): void {
    const values = this.#valuesOf(value);
    for (const [index, field] of this.#fields.entries()) field.append(values[index] ?? null);
  }

  protected override takeBuffers(): Buffers {
    return { children: this.#fields.map((field) => field.take()) };
  }
}
