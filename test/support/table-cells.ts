import { readFile } from 'node:fs/promises';
import { DuckDBInstance } from '@duckdb/node-api';

const DAY = 86_400_000;

/** A column of three rows per type: two values at the edges, and NULL. */
const EDGES: Readonly<Record<string, readonly [sql: string, sql: string]>> = {
  flag: ['true', 'false'],
  tiny: ['(-128)::TINYINT', '127::TINYINT'],
  utiny: ['255::UTINYINT', '0::UTINYINT'],
  small: ['(-32768)::SMALLINT', '1::SMALLINT'],
  usmall: ['65535::USMALLINT', '1::USMALLINT'],
  whole: ['(-2147483648)::INTEGER', '1::INTEGER'],
  uwhole: ['4294967295::UINTEGER', '1::UINTEGER'],
  big: ['9007199254740993::BIGINT', '(-9223372036854775807)::BIGINT'],
  ubig: ['18446744073709551615::UBIGINT', '1::UBIGINT'],
  float: ['1.5::FLOAT', "'nan'::FLOAT"],
  double: ['0.1::DOUBLE', "'infinity'::DOUBLE"],
  money: ['123456789012.25::DECIMAL(18,2)', '(-0.01)::DECIMAL(18,2)'],
  day: ["DATE '0001-01-01'", "DATE '9999-12-31'"],
  forever: ["DATE 'infinity'", "DATE '2026-07-31'"],
  ancient: ["DATE '2026-01-01'", "DATE '0044-03-15 (BC)'"],
  moment: ["TIMESTAMP '1969-12-31 23:59:59.9999'", "TIMESTAMP '2026-07-31 12:34:56.789999'"],
  eternal: ["TIMESTAMP 'infinity'", "TIMESTAMP '-infinity'"],
  zoned: ["TIMESTAMPTZ '1969-12-31 23:59:59.9999+00'", "TIMESTAMPTZ '2026-07-31 14:34:56.789+02'"],
  nanos: ['make_timestamp_ns(-1)', 'make_timestamp_ns(1999999)'],
  text: ["''", "'a|\"''é' || chr(0) || 'b'"],
  clock: ["TIME '12:34:56.5'", "TIME '00:00:00'"],
  gap: ["INTERVAL '1 month 2 days'", "INTERVAL '3 seconds'"],
  wide: ['12345678901234567890123456789012345678::DECIMAL(38,0)', '(-1)::DECIMAL(38,0)'],
  id: ["'00000000-0000-0000-0000-00000000000a'::UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID"],
  blob: ["'\\x00\\xFF'::BLOB", "''::BLOB"],
  list: ['[1, NULL, 3]', '[]::INTEGER[]'],
  map: ["MAP {'a': 1}", 'MAP {}'],
  times: ["[TIMESTAMP '2026-07-31 12:34:56.5', NULL]", "[TIMESTAMP '1969-12-31 00:00:00']"],
  moneys: ['[1.50::DECIMAL(18,2)]', '[(-0.01)::DECIMAL(18,2)]'],
  bigs: ['[9007199254740993::BIGINT, 1]', '[]::BIGINT[]'],
  days: ["MAP {1: DATE '2026-07-31'}", "MAP {2: DATE '0001-01-01'}"],
  blobs: ["{'a': '\\x00\\xFF'::BLOB}", "{'a': ''::BLOB}"],
  struct: ["{'a': 1, 'b': 'x'}", "{'a': NULL, 'b': 'y'}"],
};

export const TYPES = {
  ...{ flag: 'boolean', tiny: 'integer', utiny: 'integer', small: 'integer', usmall: 'integer', whole: 'integer', uwhole: 'integer' },
  ...{ big: 'integer', ubig: 'integer', float: 'float', double: 'float', money: 'float', day: 'date', forever: 'string', ancient: 'string' },
  ...{ moment: 'datetime', eternal: 'string', zoned: 'datetime', nanos: 'datetime', text: 'string', clock: 'string', id: 'string', blob: 'string' },
  ...{
    list: 'string',
    struct: 'string',
    map: 'string',
    times: 'string',
    moneys: 'string',
    bigs: 'string',
    days: 'string',
    blobs: 'string',
    gap: 'string',
    wide: 'float',
  },
};

export const CELLS: Readonly<Record<string, readonly unknown[]>> = {
  flag: [true, false, null],
  tiny: [-128, 127, null],
  utiny: [255, 0, null],
  small: [-32_768, 1, null],
  usmall: [65_535, 1, null],
  whole: [-2_147_483_648, 1, null],
  uwhole: [4_294_967_295, 1, null],
  big: [9_007_199_254_740_993n, -9_223_372_036_854_775_807n, null],
  ubig: [18_446_744_073_709_551_615n, 1n, null],
  float: [1.5, Number.NaN, null],
  double: [0.1, Number.POSITIVE_INFINITY, null],
  money: [123_456_789_012.25, -0.01, null],
  day: [-719_162 * DAY, 2_932_896 * DAY, null],
  forever: ['infinity', '2026-07-31', null],
  ancient: ['2026-01-01', '-000043-03-15', null],
  moment: [-1, Date.UTC(2026, 6, 31, 12, 34, 56, 789), null],
  eternal: ['infinity', '-infinity', null],
  zoned: [-1, Date.UTC(2026, 6, 31, 12, 34, 56, 789), null],
  nanos: [-1, 1, null],
  text: ['', 'a|"\'é\u2400b', null],
  clock: ['12:34:56.5', '00:00:00', null],
  gap: ['1 month 2 days', '00:00:03', null],
  wide: [1.234_567_890_123_456_8e37, -1, null],
  id: ['00000000-0000-0000-0000-00000000000a', 'ffffffff-ffff-ffff-ffff-ffffffffffff', null],
  blob: ['AP8=', '', null],
  list: ['[1,null,3]', '[]', null],
  map: ['{"a":1}', '{}', null],
  times: ['["2026-07-31T12:34:56.500Z",null]', '["1969-12-31T00:00:00Z"]', null],
  moneys: ['["1.50"]', '["-0.01"]', null],
  bigs: ['["9007199254740993",1]', '[]', null],
  days: ['[{"key":1,"value":"2026-07-31"}]', '[{"key":2,"value":"0001-01-01"}]', null],
  blobs: ['{"a":"AP8="}', '{"a":""}', null],
  struct: ['{"a":1,"b":"x"}', '{"a":null,"b":"y"}', null],
};

/** Digits that a double does not hold, and that JSON and CSV of the duckdb engine show. */
export const EXACT_TEXTS = [
  '9007199254740993',
  '-9223372036854775807',
  '18446744073709551615',
  '123456789012.25',
  '12345678901234567890123456789012345678',
];

/** A Parquet file of these columns, written at a path. */
export async function typedParquet(path: string): Promise<Uint8Array> {
  const row = (edge: 0 | 1): string =>
    Object.entries(EDGES)
      .map(([name, edges]) => `${edges[edge]} AS ${name}`)
      .join(', ');
  const nulls = Object.keys(EDGES).map((name) => `NULL AS ${name}`);
  return parquetOf(path, `SELECT ${row(0)} UNION ALL SELECT ${row(1)} UNION ALL SELECT ${nulls.join(', ')}`);
}

/** A Parquet file of what a SELECT yields, written at a path. */
export async function parquetOf(path: string, select: string): Promise<Uint8Array> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return new Uint8Array(await readFile(path));
}
