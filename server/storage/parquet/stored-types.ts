import { DuckDBArrayType, DuckDBListType, DuckDBMapType, DuckDBStructType, type DuckDBType, DuckDBTypeId } from '@duckdb/node-api';
import { identifier } from './quote.ts';

/** Types that Parquet does not keep as they are, and what holds their values without loss. */
const STORED_AS: ReadonlyMap<DuckDBTypeId, string> = new Map([
  [DuckDBTypeId.TIMESTAMP_S, 'TIMESTAMP'],
  [DuckDBTypeId.TIMESTAMP_MS, 'TIMESTAMP'],
  [DuckDBTypeId.ENUM, 'VARCHAR'],
  [DuckDBTypeId.HUGEINT, 'VARCHAR'],
  [DuckDBTypeId.UHUGEINT, 'VARCHAR'],
  [DuckDBTypeId.BIGNUM, 'VARCHAR'],
  [DuckDBTypeId.BIT, 'VARCHAR'],
  [DuckDBTypeId.UNION, 'VARCHAR'],
  [DuckDBTypeId.SQLNULL, 'VARCHAR'],
  [DuckDBTypeId.VARIANT, 'VARCHAR'],
  [DuckDBTypeId.GEOMETRY, 'VARCHAR'],
]);

/** The SQL type under which values of a type are stored. */
export function storedType(type: DuckDBType): string {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) return `${storedType(type.valueType)}[]`;
  if (type instanceof DuckDBMapType) return `MAP(${storedType(type.keyType)}, ${storedType(type.valueType)})`;
  if (type instanceof DuckDBStructType) {
    const fields = type.entryNames.map((name, index) => `${identifier(name)} ${storedType(type.entryTypes[index] ?? type)}`);
    return `STRUCT(${fields.join(', ')})`;
  }
  // Types with an alias, such as JSON, are stored as what they are made of.
  return STORED_AS.get(type.typeId) ?? plainName(type);
}

function plainName(type: DuckDBType): string {
  return type.typeId === DuckDBTypeId.VARCHAR ? 'VARCHAR' : type.toString();
}

/** SQL that yields a column as it is stored. */
export function storedSql({ name, type }: { readonly name: string; readonly type: DuckDBType }): string {
  const stored = storedType(type);
  return stored === type.toString() ? identifier(name) : `CAST(${identifier(name)} AS ${stored}) AS ${identifier(name)}`;
}
