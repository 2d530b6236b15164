import { isUtf8 } from 'node:buffer';
import {
  blobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBTimeNSValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBValue,
  listValue,
  mapValue,
  structValue,
} from '@duckdb/node-api';
import { type Data, DataType, DateUnit, TimeUnit, type Vector } from 'apache-arrow';
import { present } from '../shared/assert.ts';

/** Reads the value at an index; null where there is none. */
export type ValueReader = (index: number) => DuckDBValue;

/**
 * A reader of one column of a record batch. It works on the buffers, because apache-arrow's own accessors round times to
 * milliseconds.
 */
export function readerOf(data: Data): ValueReader {
  const read = readerOfType(data);
  return data.nullCount === 0 ? read : (index) => (data.getValid(index) ? read(index) : null);
}

function readerOfType(data: Data): ValueReader {
  const { type } = data;
  if (DataType.isDictionary(type)) return dictionaryReader(data);
  if (DataType.isNull(type)) return () => null;
  if (DataType.isBool(type)) return (index) => ((data.values[(data.offset + index) >> 3] >> ((data.offset + index) & 7)) & 1) === 1;
  if (DataType.isInt(type) || (DataType.isFloat(type) && type.precision > 0)) return (index) => data.values[index];
  if (DataType.isFloat(type)) return (index) => float16(data.values[index]);
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return textReader(data);
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) {
    return (index) => blobValue(data.values.slice(Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1])));
  }
  if (DataType.isFixedSizeBinary(type)) return (index) => blobValue(data.values.slice(index * type.byteWidth, (index + 1) * type.byteWidth));
  if (DataType.isDecimal(type)) {
    const words = type.bitWidth / 32;
    return (index) => new DuckDBDecimalValue(wholeNumber(data.values, index * words, words), type.precision, type.scale);
  }
  return timeReader(data) ?? nestedReader(data);
}

function textReader(data: Data): ValueReader {
  const bytes = Buffer.from(data.values.buffer, data.values.byteOffset, data.values.byteLength);
  if (!isUtf8(bytes)) throw new RangeError('a text column is not valid UTF-8');
  return (index) => bytes.toString('utf8', Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1]));
}

const DAY_MS = 86_400_000n;

function timeReader(data: Data): ValueReader | undefined {
  const { type, values } = data;
  if (DataType.isDate(type)) {
    if (type.unit === DateUnit.DAY) return (index) => new DuckDBDateValue(values[index]);
    return (index) => new DuckDBDateValue(wholeDays(BigInt(values[index])));
  }
  if (DataType.isTime(type)) {
    if (type.unit === TimeUnit.NANOSECOND) return (index) => new DuckDBTimeNSValue(BigInt(values[index]));
    const micros = microsPerTick(type.unit);
    return (index) => new DuckDBTimeValue(BigInt(values[index]) * micros);
  }
  if (!DataType.isTimestamp(type)) return undefined;
  if (type.unit === TimeUnit.NANOSECOND) return (index) => new DuckDBTimestampNanosecondsValue(values[index]);
  const micros = microsPerTick(type.unit);
  if (type.timezone) return (index) => new DuckDBTimestampTZValue(values[index] * micros);
  return (index) => new DuckDBTimestampValue(values[index] * micros);
}

function microsPerTick(unit: TimeUnit): bigint {
  switch (unit) {
    case TimeUnit.SECOND:
      return 1_000_000n;
    case TimeUnit.MILLISECOND:
      return 1_000n;
    default:
      return 1n;
  }
}

function wholeDays(ms: bigint): number {
  if (ms % DAY_MS !== 0n) throw new RangeError('a date in milliseconds is not a whole day');
  return Number(ms / DAY_MS);
}

function nestedReader(data: Data): ValueReader {
  const { type } = data;
  const [first] = data.children;
  if (DataType.isStruct(type)) {
    const fields = type.children.map((child, index) => ({ name: child.name, read: readerOf(present(data.children[index], 'a field of a struct')) }));
    return (index) => structValue(Object.fromEntries(fields.map(({ name, read }) => [name, read(index)])));
  }
  const child = present(first, 'the values of a list');
  if (DataType.isMap(type)) {
    const [keys, values] = child.children.map(readerOf);
    const entry = (index: number) => ({ key: present(keys, 'keys')(index), value: present(values, 'values')(index) });
    return (index) => mapValue(range(data.valueOffsets[index], data.valueOffsets[index + 1]).map(entry));
  }
  const read = readerOf(child);
  if (DataType.isFixedSizeList(type)) {
    return (index) => listValue(range((data.offset + index) * type.listSize, (data.offset + index + 1) * type.listSize).map(read));
  }
  return (index) => listValue(range(Number(data.valueOffsets[index]), Number(data.valueOffsets[index + 1])).map(read));
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_unused, index) => start + index);
}

/** Values of dictionaries, which are shared by many batches. */
const dictionaries = new WeakMap<Vector, readonly DuckDBValue[]>();

function dictionaryReader(data: Data): ValueReader {
  const dictionary = present(data.dictionary, 'the dictionary of a column');
  let values = dictionaries.get(dictionary);
  if (values === undefined) {
    values = dictionary.data.flatMap((chunk) => range(0, chunk.length).map(readerOf(chunk)));
    dictionaries.set(dictionary, values);
  }
  const found = values;
  return (index) => found[Number(data.values[index])] ?? null;
}

/** A little-endian two's complement number of 32-bit words. */
function wholeNumber(words: Uint32Array, start: number, count: number): bigint {
  let value = 0n;
  for (let index = count - 1; index >= 0; index -= 1) value = (value << 32n) | BigInt(words[start + index] ?? 0);
  return BigInt.asIntN(count * 32, value);
}

/** IEEE 754 half precision. */
function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
