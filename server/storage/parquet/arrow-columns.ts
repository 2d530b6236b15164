import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimeNSValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  structValue,
} from '@duckdb/node-api';
import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  Struct,
  TimeMicrosecond,
  TimeNanosecond,
  TimestampMicrosecond,
  TimestampNanosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from 'apache-arrow';
import { assert } from '../../shared/assert.ts';
import {
  type ArrowBuilder,
  BooleanBuilder,
  DecimalBuilder,
  ListBuilder,
  NumberBuilder,
  type Present,
  StructBuilder,
  TextBuilder,
} from './arrow-builders.ts';
import { toJson } from './json-values.ts';
import { parseType, type TypeTree } from './type-tree.ts';

/**
 * A builder for the values of a SQL type. Types keep their exact value: numbers, dates, times, timestamps, decimals, text,
 * binary, lists, structs and maps have Arrow's own; what is left, such as UUID and INTERVAL, is text.
 */
export function arrowBuilder(sqlType: string): ArrowBuilder {
  return builderOf(parseType(sqlType));
}

function builderOf(type: TypeTree): ArrowBuilder {
  switch (type.kind) {
    case 'plain':
      return plainBuilder(type.name);
    case 'list': {
      const item = builderOf(type.item);
      return new ListBuilder(new List(new Field('item', item.type, true)), item, (value) => instance(value, DuckDBListValue).items);
    }
    case 'struct': {
      const fields = type.fields.map((field) => ({ name: field.name, builder: builderOf(field.type) }));
      const arrowType = new Struct(fields.map(({ name, builder }) => new Field(name, builder.type, true)));
      const valuesOf = (value: Present) => {
        const { entries } = instance(value, DuckDBStructValue);
        return fields.map(({ name }) => entries[name] ?? null);
      };
      return new StructBuilder(
        arrowType,
        fields.map(({ builder }) => builder),
        valuesOf,
      );
    }
    case 'map':
      return mapBuilder(type);
  }
}

/** Arrow's maps are lists of entries, whose keys are never NULL. */
function mapBuilder(type: TypeTree & { kind: 'map' }): ArrowBuilder {
  const [key, value] = [builderOf(type.key), builderOf(type.value)];
  const entryType = new Struct<{ key: DataType; value: DataType }>([new Field('key', key.type, false), new Field('value', value.type, true)]);
  const entries = new StructBuilder(entryType, [key, value], (entry) => Object.values(instance(entry, DuckDBStructValue).entries));
  return new ListBuilder(new Map_(new Field('entries', entryType, false)), entries, (map) =>
    instance(map, DuckDBMapValue).entries.map((entry) => structValue({ key: entry.key, value: entry.value })),
  );
}

const asNumber = (value: Present): number => value as number;
const asBigint = (value: Present): bigint => value as bigint;
const int64 = (length: number): BigInt64Array => new BigInt64Array(length);

const BUILDERS: Readonly<Record<string, () => ArrowBuilder>> = {
  BOOLEAN: () => new BooleanBuilder(new Bool()),
  TINYINT: () => new NumberBuilder(new Int8(), (length) => new Int8Array(length), asNumber),
  SMALLINT: () => new NumberBuilder(new Int16(), (length) => new Int16Array(length), asNumber),
  INTEGER: () => new NumberBuilder(new Int32(), (length) => new Int32Array(length), asNumber),
  BIGINT: () => new NumberBuilder(new Int64(), int64, asBigint),
  UTINYINT: () => new NumberBuilder(new Uint8(), (length) => new Uint8Array(length), asNumber),
  USMALLINT: () => new NumberBuilder(new Uint16(), (length) => new Uint16Array(length), asNumber),
  UINTEGER: () => new NumberBuilder(new Uint32(), (length) => new Uint32Array(length), asNumber),
  UBIGINT: () => new NumberBuilder(new Uint64(), (length) => new BigUint64Array(length), asBigint),
  FLOAT: () => new NumberBuilder(new Float32(), (length) => new Float32Array(length), asNumber),
  DOUBLE: () => new NumberBuilder(new Float64(), (length) => new Float64Array(length), asNumber),
  DATE: () =>
    new NumberBuilder(
      new DateDay(),
      (length) => new Int32Array(length),
      (value) => instance(value, DuckDBDateValue).days,
    ),
  TIME: () => new NumberBuilder(new TimeMicrosecond(), int64, (value) => instance(value, DuckDBTimeValue).micros),
  TIME_NS: () => new NumberBuilder(new TimeNanosecond(), int64, (value) => instance(value, DuckDBTimeNSValue).nanos),
  TIMESTAMP: () => new NumberBuilder(new TimestampMicrosecond(), int64, (value) => instance(value, DuckDBTimestampValue).micros),
  TIMESTAMP_NS: () => new NumberBuilder(new TimestampNanosecond(), int64, (value) => instance(value, DuckDBTimestampNanosecondsValue).nanos),
  'TIMESTAMP WITH TIME ZONE': () =>
    new NumberBuilder(new TimestampMicrosecond('UTC'), int64, (value) => instance(value, DuckDBTimestampTZValue).micros),
  BLOB: () => new TextBuilder(new Binary(), (value) => instance(value, DuckDBBlobValue).bytes),
};

function plainBuilder(sqlType: string): ArrowBuilder {
  const build = BUILDERS[sqlType];
  if (build !== undefined) return build();
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(sqlType);
  if (decimal === null) return new TextBuilder(new Utf8(), textOf);
  return new DecimalBuilder(new Decimal(Number(decimal[2]), Number(decimal[1]), 128), (value) => instance(value, DuckDBDecimalValue).value);
}

function instance<T extends Present>(value: Present, kind: abstract new (...args: never[]) => T): T {
  assert(value instanceof kind, `a value of ${kind.name}`);
  return value;
}

function textOf(value: Present): string {
  if (typeof value === 'string') return value;
  const json = toJson(value);
  return typeof json === 'string' ? json : JSON.stringify(json);
}
