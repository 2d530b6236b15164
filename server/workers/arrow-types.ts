import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBType,
  FLOAT,
  INTEGER,
  LIST,
  MAP,
  SMALLINT,
  STRUCT,
  TIME,
  TIME_NS,
  TIMESTAMP,
  TIMESTAMP_NS,
  TIMESTAMPTZ,
  TINYINT,
  UBIGINT,
  UINTEGER,
  USMALLINT,
  UTINYINT,
  VARCHAR,
} from '@duckdb/node-api';
import { DataType, type Field, Precision, TimeUnit } from 'apache-arrow';
import { CovistaError } from '../../protocol/errors.ts';

/** The DuckDB type that keeps every value of an Arrow field; `unprocessable_data` when there is none. */
export function duckdbType(field: Field): DuckDBType {
  return convert(field.type, field.name);
}

function convert(type: DataType, column: string): DuckDBType {
  if (DataType.isDictionary(type)) return convert(type.dictionary, column);
  if (DataType.isNull(type)) return VARCHAR;
  if (DataType.isBool(type)) return BOOLEAN;
  if (DataType.isInt(type)) return integer(type.bitWidth, type.isSigned);
  if (DataType.isFloat(type)) return type.precision === Precision.DOUBLE ? DOUBLE : FLOAT;
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return VARCHAR;
  if (DataType.isBinary(type) || DataType.isLargeBinary(type) || DataType.isFixedSizeBinary(type)) return BLOB;
  if (DataType.isDecimal(type)) return decimal(type, column);
  if (DataType.isDate(type)) return DATE;
  if (DataType.isTime(type)) return type.unit === TimeUnit.NANOSECOND ? TIME_NS : TIME;
  if (DataType.isTimestamp(type)) return timestamp(type);
  return nested(type, column);
}

function nested(type: DataType, column: string): DuckDBType {
  if (DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type)) return LIST(convert(type.valueType, column));
  if (DataType.isMap(type)) return MAP(convert(type.keyType, column), convert(type.valueType, column));
  if (DataType.isStruct(type)) {
    return STRUCT(Object.fromEntries(type.children.map((child) => [child.name, convert(child.type, column)])));
  }
  throw new CovistaError('unprocessable_data', `column ${JSON.stringify(column)} has the Arrow type ${type}, which cannot be stored`, {
    column,
    type: String(type),
  });
}

function integer(bits: number, isSigned: boolean): DuckDBType {
  switch (bits) {
    case 8:
      return isSigned ? TINYINT : UTINYINT;
    case 16:
      return isSigned ? SMALLINT : USMALLINT;
    case 32:
      return isSigned ? INTEGER : UINTEGER;
    default:
      return isSigned ? BIGINT : UBIGINT;
  }
}

function decimal(type: { precision: number; scale: number; bitWidth: number }, column: string): DuckDBType {
  if (type.precision <= 38 && type.scale >= 0 && type.scale <= type.precision) return DECIMAL(type.precision, type.scale);
  const message = `column ${JSON.stringify(column)} is a decimal of ${type.precision} digits, ${type.scale} of them behind the point; at most 38 can be stored`;
  throw new CovistaError('unprocessable_data', message, { column, precision: type.precision, scale: type.scale });
}

/** A zone says that the values are instants; DuckDB keeps instants as microseconds, so nanoseconds stay without a zone, in UTC. */
function timestamp(type: { unit: TimeUnit; timezone?: string | null | undefined }): DuckDBType {
  if (type.unit === TimeUnit.NANOSECOND) return TIMESTAMP_NS;
  return type.timezone ? TIMESTAMPTZ : TIMESTAMP;
}
