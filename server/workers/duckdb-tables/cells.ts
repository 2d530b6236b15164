import { type DuckDBDataChunk, DuckDBDecimal128Vector, DuckDBDecimalValue, DuckDBHugeIntVector, type DuckDBVector } from '@duckdb/node-api';
import { assert, present } from '../../shared/assert.ts';
import { isSet, maskOf, rawOf } from '../../storage/parquet/raw-vector.ts';
import type { ChunkStream } from '../../storage/parquet/session.ts';
import { cellOf, DAY_MS, type Grid, msOf, type RowChoice, type Value } from './frame.ts';
import type { Range } from './table.ts';

/** The cells of one vector, in memory of their own. */
interface Part {
  readonly bytes: number;
  /** The value of a row that has one. */
  valueAt(row: number): Value;
}

interface CellColumn {
  readonly name: string;
  readonly type: string;
  readonly parts: Part[];
  readonly masks: (Uint8Array | undefined)[];
}

/** Rows of one part, from `start` to `end` exclusive. */
interface Span {
  readonly part: number;
  readonly start: number;
  readonly end: number;
}

type Items = ArrayLike<number | bigint>;

/** Types whose vectors are arrays of numbers, with what a number says. */
const NUMBERS: Readonly<Record<string, (item: number | bigint) => Value>> = {
  ...Object.fromEntries(
    ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'FLOAT', 'DOUBLE'].map((type) => [
      type,
      (item: number | bigint) => item,
    ]),
  ),
  DATE: (item) => Number(item) * DAY_MS,
  TIMESTAMP: (item) => msOf(BigInt(item)),
};

/** What a cell takes at least, of types that are not numbers. */
const CELL_BYTES = 16;

/** What the cells of a result take, before it is known how long its texts are. */
export const cellsBytes = (rows: number, columns: number): number => rows * columns * CELL_BYTES;

/** The cells of a small result, copied out of DuckDB, so that a window of them waits for no query. */
export class Cells {
  readonly bytes: number;
  readonly #columns: ReadonlyMap<string, CellColumn>;
  /** The number of the first row of each part, and how many rows there are. */
  readonly #starts: readonly number[];

  private constructor(columns: readonly CellColumn[], starts: readonly number[], bytes: number) {
    this.#columns = new Map(columns.map((column) => [column.name, column]));
    this.#starts = starts;
    this.bytes = bytes;
  }

  /** Copies a result as it comes; undefined where it takes more than it may. */
  static async copy(stream: ChunkStream, bytesMax: number): Promise<Cells | undefined> {
    const columns = stream.names.map((name, index): CellColumn => ({ name, type: String(stream.types[index]), parts: [], masks: [] }));
    const starts = [0];
    let bytes = 0;
    for await (const chunk of stream) {
      // Even a result that is too large is read to its end, for the sake of its connection.
      if (bytes > bytesMax) continue;
      for (const [index, column] of columns.entries()) bytes += append(column, chunk, index);
      starts.push((starts.at(-1) ?? 0) + chunk.rowCount);
    }
    return bytes > bytesMax ? undefined : new Cells(columns, starts, bytes);
  }

  /** Columns of some rows. */
  grid(names: readonly string[], rows: RowChoice): Grid {
    const spans = rows.flatMap((range) => this.#spansOf(range));
    const columns = names.map((name) => present(this.#columns.get(name), 'a column of a result'));
    return {
      types: columns.map(({ type }) => type),
      values: columns.map((column) => valuesIn(column, spans)),
      rows: spans.reduce((sum, { start, end }) => sum + end - start, 0),
    };
  }

  /** Every value of a column. */
  *valuesOf(name: string): Generator<Value> {
    const column = present(this.#columns.get(name), 'a column of a result');
    for (let part = 0; part + 1 < this.#starts.length; part += 1) {
      const count = (this.#starts[part + 1] ?? 0) - (this.#starts[part] ?? 0);
      for (let row = 0; row < count; row += 1) yield valueIn(column, part, row);
    }
  }

  /** The least and the greatest value of a column, in rows of one depth where one is given. */
  extremes(name: string, depth: number | undefined): { least: Value; greatest: Value } {
    const depths = depth === undefined ? undefined : this.valuesOf('d');
    const { type } = present(this.#columns.get(name), 'a column of a result');
    const found: { least: Value; greatest: Value } = { least: null, greatest: null };
    for (const value of this.valuesOf(name)) {
      const isMeant = depths === undefined || Number(depths.next().value) === depth;
      if (!isMeant || value === null) continue;
      if (found.least === null || compare(value, found.least, type) < 0) found.least = value;
      if (found.greatest === null || compare(value, found.greatest, type) > 0) found.greatest = value;
    }
    return found;
  }

  /** What of each part is in a range. */
  #spansOf({ start, end }: Range): Span[] {
    const spans: Span[] = [];
    if (start >= end) return spans;
    for (let [part] = this.#placeOf(start); part + 1 < this.#starts.length; part += 1) {
      const [first, next] = [this.#starts[part] ?? 0, this.#starts[part + 1] ?? 0];
      if (first >= end) break;
      spans.push({ part, start: Math.max(start, first) - first, end: Math.min(end, next) - first });
    }
    return spans;
  }

  #placeOf(row: number): readonly [part: number, row: number] {
    let [low, high] = [0, this.#starts.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= row) low = middle;
      else high = middle;
    }
    return [low, row - (this.#starts[low] ?? 0)];
  }
}

type Present = Exclude<Value, null>;

/** As DuckDB compares: NaN is greater than every number, and texts go by their bytes. */
function compare(one: Present, other: Present, type: string): number {
  if (type === 'VARCHAR') return Buffer.compare(Buffer.from(String(one)), Buffer.from(String(other)));
  // Decimals are their digits, all with as many behind the point.
  const [left, right] = [one, other].map((value) => (typeof value === 'string' ? BigInt(value.replace('.', '')) : value)) as [number, number];
  if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  return left < right ? -1 : left > right ? 1 : 0;
}

function valueIn({ parts, masks }: CellColumn, part: number, row: number): Value {
  return isSet(masks[part], row) ? (parts[part]?.valueAt(row) ?? null) : null;
}

function valuesIn(column: CellColumn, spans: readonly Span[]): Value[] {
  const values: Value[] = [];
  for (const { part, start, end } of spans) for (let row = start; row < end; row += 1) values.push(valueIn(column, part, row));
  return values;
}

function append(column: CellColumn, chunk: DuckDBDataChunk, index: number): number {
  const vector = chunk.getColumnVector(index);
  const mask = maskOf(vector)?.slice();
  const part = partOf(vector, column.type);
  column.parts.push(part);
  column.masks.push(mask);
  return part.bytes + (mask?.byteLength ?? 0);
}

function partOf(vector: DuckDBVector, type: string): Part {
  const { items, dataView } = rawOf(vector);
  const convert = NUMBERS[type];
  if (convert !== undefined && ArrayBuffer.isView(items)) return numbersPart(items as unknown as Items & Uint8Array, convert);
  if (type === 'VARCHAR' && dataView instanceof DataView) return textsPart(vector, dataView);
  if (vector instanceof DuckDBHugeIntVector) return widePart(vector, (integer) => integer);
  if (vector instanceof DuckDBDecimal128Vector) {
    const { width, scale } = vector.type;
    return widePart(vector, (integer) => cellOf(new DuckDBDecimalValue(integer, width, scale)));
  }
  return valuesPart(vector);
}

function numbersPart(items: Items & Uint8Array, convert: (item: number | bigint) => Value): Part {
  const own = items.slice() as Items;
  return { bytes: items.byteLength, valueAt: (row) => convert(own[row] ?? 0) };
}

/** Integers of 128 bits are made where they are asked for: sums have them, and a result of a hundred thousand would burden each collection. */
function widePart(vector: DuckDBVector, convert: (integer: bigint) => Value): Part {
  const { dataView } = rawOf(vector);
  assert(dataView instanceof DataView, 'wide integers');
  const words = new BigInt64Array(new Uint8Array(dataView.buffer, dataView.byteOffset, dataView.byteLength).slice().buffer);
  const valueAt = (row: number): Value => {
    const [low, high] = [words[2 * row] ?? 0n, words[2 * row + 1] ?? 0n];
    return convert((high << 64n) | BigInt.asUintN(64, low));
  };
  return { bytes: words.byteLength, valueAt };
}

function valuesPart(vector: DuckDBVector): Part {
  const values = Array.from({ length: vector.itemCount }, (_unused, row) => cellOf(vector.getItem(row)));
  const texts = values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? value.length : 0), 0);
  return { bytes: values.length * CELL_BYTES + texts, valueAt: (row) => values[row] ?? null };
}

/** A text in a vector is its length and, up to twelve bytes, itself; longer ones lie elsewhere. */
const TEXT_BYTES = 16;
const LENGTH_BYTES = 4;
const SHORT_BYTES_MAX = TEXT_BYTES - LENGTH_BYTES;

function textsPart(vector: DuckDBVector, view: DataView): Part {
  const own = Buffer.from(new Uint8Array(view.buffer, view.byteOffset, vector.itemCount * TEXT_BYTES).slice().buffer);
  const long = new Map<number, string>();
  let bytes = own.byteLength;
  for (let row = 0; row < vector.itemCount; row += 1) {
    if (own.readUInt32LE(row * TEXT_BYTES) <= SHORT_BYTES_MAX) continue;
    // What NULL is beside is anything.
    const text = vector.getItem(row);
    if (typeof text !== 'string') continue;
    long.set(row, text);
    bytes += CELL_BYTES + 2 * text.length;
  }
  const valueAt = (row: number): string => {
    const start = row * TEXT_BYTES + LENGTH_BYTES;
    return long.get(row) ?? own.toString('utf8', start, start + own.readUInt32LE(row * TEXT_BYTES));
  };
  return { bytes, valueAt };
}
