import {
  Bool,
  type Data,
  type DataType,
  DateDay,
  Dictionary,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  makeData,
  makeVector,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMillisecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import type { Frame, FrameColumn, Value } from './frame.ts';
import { columnName } from './frame-text.ts';
import type { TextRoom } from './text-room.ts';
import { ViewFault } from './view-fault.ts';

/** A window as an Arrow IPC stream, with the types that Perspective's own engine gives its columns. */
export function arrowBytes(frame: Frame, groupNames: readonly string[], room: TextRoom): Uint8Array {
  const paths = frame.paths?.columns ?? [];
  const columns = [
    ...paths.map((column, index) => ({ name: groupNames[index] ?? '', data: arrowData(column, index) })),
    ...frame.columns.map((column, index) => ({ name: columnName(column, room), data: arrowData(column, paths.length + index) })),
  ];
  const schema = new Schema(columns.map(({ name, data }) => new Field(name, data.type, true)));
  const data = makeData({ type: new Struct(schema.fields), length: frame.rows, nullCount: 0, children: columns.map((column) => column.data) });
  const writer = new RecordBatchStreamWriter();
  writer.write(new RecordBatch(schema, data));
  writer.close();
  return writer.toUint8Array(true);
}

const DAY_MS = 86_400_000;
const INT64_MAX = 2n ** 63n - 1n;

function arrowData(column: FrameColumn, id: number): Data {
  const { kind, type, values } = column;
  switch (kind) {
    case 'string':
      return dictionaryData(values, id);
    case 'boolean':
      return bitsData(new Bool(), values);
    case 'date':
      return numbersData(new DateDay(), new Int32Array(values.length), values, (value) => Math.floor(Number(value) / DAY_MS));
    case 'datetime':
      return numbersData(new TimestampMillisecond(), new BigInt64Array(values.length), values, (value) => BigInt(Math.floor(Number(value))));
    case 'float':
      return type === 'FLOAT'
        ? numbersData(new Float32(), new Float32Array(values.length), values, Number)
        : numbersData(new Float64(), new Float64Array(values.length), values, Number);
    case 'integer':
      return integerData(column);
  }
}

const INTEGERS: Readonly<Record<string, (values: readonly Value[]) => Data>> = {
  TINYINT: (values) => numbersData(new Int8(), new Int8Array(values.length), values, Number),
  SMALLINT: (values) => numbersData(new Int16(), new Int16Array(values.length), values, Number),
  INTEGER: (values) => numbersData(new Int32(), new Int32Array(values.length), values, Number),
  UTINYINT: (values) => numbersData(new Uint8(), new Uint8Array(values.length), values, Number),
  USMALLINT: (values) => numbersData(new Uint16(), new Uint16Array(values.length), values, Number),
  UINTEGER: (values) => numbersData(new Uint32(), new Uint32Array(values.length), values, Number),
  UBIGINT: (values) => numbersData(new Uint64(), new BigUint64Array(values.length), values, (value) => BigInt(value as bigint)),
};

/** Integers of 128 bits are sums, which almost always fit into 64; where one does not, there is no Arrow type to be exact in. */
function integerData({ type, values }: FrameColumn): Data {
  const known = INTEGERS[type];
  if (known !== undefined) return known(values);
  return numbersData(new Int64(), new BigInt64Array(values.length), values, (value) => {
    const integer = BigInt(value as bigint);
    if (integer > INT64_MAX || integer < -INT64_MAX - 1n)
      throw new ViewFault(`${integer} does not fit into the 64 bits of an Arrow integer; read it as JSON or CSV`);
    return integer;
  });
}

type NumberArray =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

type Present = Exclude<Value, null>;

function numbersData<T extends NumberArray>(type: DataType, data: T, values: readonly Value[], convert: (value: Present) => T[number]): Data {
  const { bitmap, nullCount, present } = validity(values);
  for (const [row, value] of present) data[row] = convert(value) as never;
  return makeData({ type, length: values.length, nullCount, nullBitmap: bitmap, data } as never);
}

function bitsData(type: DataType, values: readonly Value[]): Data {
  const { bitmap, nullCount, present } = validity(values);
  const data = new Uint8Array(Math.ceil(values.length / 8));
  for (const [row, value] of present) if (value === true) setBit(data, row);
  return makeData({ type, length: values.length, nullCount, nullBitmap: bitmap, data } as never);
}

function dictionaryData(values: readonly Value[], id: number): Data {
  const codes = new Map<string, number>();
  const data = new Int32Array(values.length);
  const { bitmap, nullCount, present } = validity(values);
  for (const [row, value] of present) {
    const text = String(value);
    const code = codes.get(text) ?? codes.size;
    codes.set(text, code);
    data[row] = code;
  }
  const type = new Dictionary(new Utf8(), new Int32(), id, false);
  const dictionary = makeVector(textData([...codes.keys()]));
  return makeData({ type, length: values.length, nullCount, nullBitmap: bitmap, data, dictionary } as never);
}

function textData(texts: readonly string[]): Data {
  const encoded = Buffer.from(texts.join(''), 'utf8');
  const valueOffsets = new Int32Array(texts.length + 1);
  let at = 0;
  for (const [index, text] of texts.entries()) {
    at += Buffer.byteLength(text);
    valueOffsets[index + 1] = at;
  }
  return makeData({ type: new Utf8(), length: texts.length, nullCount: 0, valueOffsets, data: new Uint8Array(encoded) } as never);
}

interface Validity {
  readonly bitmap: Uint8Array;
  readonly nullCount: number;
  readonly present: readonly (readonly [number, Present])[];
}

function validity(values: readonly Value[]): Validity {
  const bitmap = new Uint8Array(Math.ceil(values.length / 8));
  const present: [number, Present][] = [];
  for (const [row, value] of values.entries()) {
    if (value === null) continue;
    setBit(bitmap, row);
    present.push([row, value]);
  }
  return { bitmap, nullCount: values.length - present.length, present };
}

function setBit(bits: Uint8Array, index: number): void {
  bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
}
