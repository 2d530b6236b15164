import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  Bool,
  CompressionType,
  compressionRegistry,
  DateMillisecond,
  Decimal,
  Dictionary,
  Field,
  FixedSizeList,
  Float16,
  Int32,
  Int64,
  IntervalDayTime,
  List,
  Map_,
  makeVector,
  Struct,
  Table,
  TimeMicrosecond,
  TimeMillisecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  tableFromIPC,
  tableToIPC,
  Uint64,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Ingested } from '../../server/storage/content-store.ts';
import { bytes, independentRows, openTestContent, type TestContent, typesOf } from '../support/content.ts';
import { lz4Frame } from '../support/lz4.ts';
import { samplePath } from '../support/samples.ts';

const BATCH_BYTES_MAX = 4_000_000;

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent({ arrowBatchBytesMax: BATCH_BYTES_MAX, uploadExpandedBytesMax: 20_000_000, uploadBytesMax: 10_000_000 });
});

afterAll(async () => {
  await content?.close();
});

afterEach(async () => {
  for (const name of await content.staged()) {
    expect(name).toMatch(/data\.parquet$/);
    await rm(join(content.directory, 'staging', name));
  }
});

const refused = (file: Uint8Array, options: Parameters<TestContent['ingest']>[1] = {}) => content.ingest(file, options).catch((error) => error);
const arrow = (columns: Record<string, Vector>, kind: 'file' | 'stream' = 'stream', compression: CompressionType | null = null) =>
  tableToIPC(new Table(columns), kind, compression);

describe('Parquet', () => {
  test('ING16 values and types stay', async () => {
    for (const name of ['superstore.parquet', 'flights-3m.parquet']) {
      const ingested = await content.ingest(samplePath(name), { format: 'parquet' });
      const differences = `FROM (SELECT * FROM '${samplePath(name)}' POSITIONAL JOIN (SELECT COLUMNS(*) AS 'other_\\0' FROM '${ingested.file?.path}'))`;
      const pairs = ingested.schema.map(({ name: column }) => `count(*) FILTER ("${column}" IS DISTINCT FROM "other_${column}")`);
      expect(await independentRows(`SELECT ${pairs.join(' + ')}, count(*) ${differences}`)).toEqual([['0', String(ingested.file?.rows)]]);
      expect(ingested).toMatchObject({ format: 'parquet', compression: 'none', conversion: { status: 'complete' } });
    }
  });

  test('ING16 every type that Parquet has comes through', async () => {
    const path = join(content.directory, 'types.parquet');
    const values: Readonly<Record<string, string>> = {
      UTINYINT: '255',
      UBIGINT: '18446744073709551615',
      'DECIMAL(38,10)': '1234567890123456789.0000000001',
      FLOAT: '1.5',
      BLOB: "'\\xAA\\x00'::BLOB",
      UUID: "'00000000-0000-0000-0000-000000000001'",
      DATE: "'infinity'",
      TIME: "'10:00:00.123456'",
      TIMESTAMP: "'-infinity'",
      TIMESTAMP_NS: "'2020-01-01 10:00:00.123456789'",
      'TIMESTAMP WITH TIME ZONE': "'2020-01-01 10:00:00+02'",
      'MAP(VARCHAR, INTEGER[])': "MAP {'a': [1, NULL]}",
      'STRUCT(a INTEGER, b STRUCT(c DATE))': "{'a': 1, 'b': {'c': '2020-01-01'}}",
    };
    const list = Object.entries(values).map(([type, value], index) => `CAST(${value} AS ${type}) AS c${index}`);
    await writeParquet(`SELECT ${list.join(', ')}`, path);
    const ingested = await content.ingest(path);
    expect(Object.values(typesOf(ingested))).toEqual(Object.keys(values));
    expect(await independentRows(`FROM '${ingested.file?.path}'`)).toEqual(await independentRows(`FROM '${path}'`));
  });

  test('ING16 JSON is stored as the text that it is', async () => {
    const path = join(content.directory, 'json.parquet');
    await writeParquet(`SELECT '{"a": 1.50}'::JSON AS j`, path);
    const ingested = await content.ingest(path);
    expect(typesOf(ingested)).toEqual({ j: 'VARCHAR' });
    expect(await content.rows(ingested)).toEqual([{ j: '{"a": 1.50}' }]);
  });

  test('ING6 duplicate names in the file are seen, though DuckDB renames them', async () => {
    const path = join(content.directory, 'names.parquet');
    await writeParquet('SELECT 1 AS a, 2 AS b', path);
    const file = readFileSync(path);
    // The footer has each name once in the schema and once per column chunk.
    for (let at = file.indexOf('\x01b', 0, 'latin1'); at >= 0; at = file.indexOf('\x01b', at + 1, 'latin1')) file.write('A', at + 1, 'latin1');
    expect(await refused(file)).toMatchObject({ code: 'unprocessable_data', details: { columns: [{ name: 'A', position: 2 }] } });
  });

  test('ING16 a broken file fails with a reason that names no path', async () => {
    const whole = readFileSync(samplePath('superstore.parquet'));
    const damaged = Buffer.from(whole).fill(7, 1000, 50_000);
    for (const file of [whole.subarray(0, whole.length / 2), bytes('PAR1 is what this text claims to be'), damaged]) {
      const { conversion, file: written } = await content.ingest(file);
      expect(written).toBeNull();
      expect(conversion).toMatchObject({ status: 'failed', errorCount: 1 });
      expect(conversion.errors[0]?.reason).toMatch(/cannot be read as Parquet/);
      expect(conversion.errors[0]?.reason).not.toContain(content.directory);
    }
  });
});

describe('Arrow', () => {
  test('ING16 real files, value for value', async () => {
    for (const name of ['superstore.arrow', 'superstore.lz4.arrow', 'flights-200k.arrow']) {
      const ingested = await content.ingest(samplePath(name), { format: 'arrow' });
      await expectSame(ingested, tableFromIPC(readFileSync(samplePath(name))));
    }
  });

  test('ING16 files and streams, several batches, dictionaries that grow', async () => {
    const words = (...texts: (string | null)[]) => new Table({ word: vectorFromArray(texts, new Dictionary(new Utf8(), new Int32())) });
    const grown = tableToIPC(words('a', 'b', null, 'a').concat(words('c', 'a')), 'stream');
    const numbers = tableToIPC(new Table({ n: makeVector(Int32Array.of(1, 2)) }).concat(new Table({ n: makeVector(Int32Array.of(3)) })), 'file');
    expect(await content.rows(await content.ingest(grown))).toEqual(['a', 'b', null, 'a', 'c', 'a'].map((word) => ({ word })));
    expect(await content.rows(await content.ingest(numbers))).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  test('ING16 times of every unit, decimals, big numbers and nested values', async () => {
    const half = Uint16Array.from([0x3e00, 0xfc00, 0x0001]);
    const micros = BigInt64Array.from([1_577_872_800_123_456n, -1n, 0n]);
    const nanos = BigInt64Array.from([1_577_872_800_123_456_789n, -1n, 0n]);
    const file = arrow({
      second: makeVector({ data: BigInt64Array.from([1_577_872_800n, -1n, 0n]), type: new TimestampSecond() }),
      milli: makeVector({ data: BigInt64Array.from([1_577_872_800_123n, -1n, 0n]), type: new TimestampMillisecond('Europe/Paris') }),
      micro: makeVector({ data: micros, type: new TimestampMicrosecond() }),
      nano: makeVector({ data: nanos, type: new TimestampNanosecond() }),
      day: makeVector({ data: BigInt64Array.from([86_400_000n, -86_400_000n, 0n]), type: new DateMillisecond() }),
      timeMilli: makeVector({ data: Int32Array.from([1, 2, 3]), type: new TimeMillisecond() }),
      timeMicro: makeVector({ data: BigInt64Array.from([1n, 2n, 3n]), type: new TimeMicrosecond() }),
      decimal: makeVector({
        data: Uint32Array.from([150, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0, 0, 0, 0]),
        type: new Decimal(2, 10, 128),
      }),
      unsigned: makeVector({ data: BigUint64Array.from([18_446_744_073_709_551_615n, 0n, 1n]), type: new Uint64() }),
      half: makeVector({ data: half, type: new Float16() }),
      flag: vectorFromArray([true, null, false], new Bool()),
      list: vectorFromArray([[1n, null], [], null], new List(new Field('item', new Int64(), true))),
      pair: vectorFromArray([[1, 2], null, [3, 4]], new FixedSizeList(2, new Field('item', new Int32(), true))),
      struct: vectorFromArray(
        [{ a: 1, b: 'x' }, null, { a: null, b: null }],
        new Struct([new Field('a', new Int32(), true), new Field('b', new Utf8(), true)]),
      ),
      map: vectorFromArray(
        [new Map([['k', 1]]), new Map(), null],
        new Map_(
          new Field('entries', new Struct<{ key: Utf8; value: Int32 }>([new Field('key', new Utf8()), new Field('value', new Int32(), true)])),
        ),
      ),
    });
    const ingested = await content.ingest(file);
    expect(typesOf(ingested)).toEqual({
      second: 'TIMESTAMP',
      milli: 'TIMESTAMP WITH TIME ZONE',
      micro: 'TIMESTAMP',
      nano: 'TIMESTAMP_NS',
      day: 'DATE',
      timeMilli: 'TIME',
      timeMicro: 'TIME',
      decimal: 'DECIMAL(10,2)',
      unsigned: 'UBIGINT',
      half: 'FLOAT',
      flag: 'BOOLEAN',
      list: 'BIGINT[]',
      pair: 'INTEGER[]',
      struct: 'STRUCT(a INTEGER, b VARCHAR)',
      map: 'MAP(VARCHAR, INTEGER)',
    });
    expect(await content.rows(ingested)).toEqual([
      {
        second: '2020-01-01T10:00:00Z',
        milli: '2020-01-01T10:00:00.123Z',
        micro: '2020-01-01T10:00:00.123456Z',
        nano: '2020-01-01T10:00:00.123456789Z',
        day: '1970-01-02',
        timeMilli: '00:00:00.001',
        timeMicro: '00:00:00.000001',
        decimal: '1.50',
        unsigned: '18446744073709551615',
        half: 1.5,
        flag: true,
        list: [1, null],
        pair: [1, 2],
        struct: { a: 1, b: 'x' },
        map: { k: 1 },
      },
      {
        second: '1969-12-31T23:59:59Z',
        milli: '1969-12-31T23:59:59.999Z',
        micro: '1969-12-31T23:59:59.999999Z',
        nano: '1969-12-31T23:59:59.999999999Z',
        day: '1969-12-31',
        timeMilli: '00:00:00.002',
        timeMicro: '00:00:00.000002',
        decimal: '-0.01',
        unsigned: 0,
        half: '-Infinity',
        flag: null,
        list: [],
        pair: null,
        struct: null,
        map: {},
      },
      {
        second: '1970-01-01T00:00:00Z',
        milli: '1970-01-01T00:00:00Z',
        micro: '1970-01-01T00:00:00Z',
        nano: '1970-01-01T00:00:00Z',
        day: '1970-01-01',
        timeMilli: '00:00:00.003',
        timeMicro: '00:00:00.000003',
        decimal: '0.00',
        unsigned: 1,
        half: 2 ** -24,
        flag: false,
        list: null,
        pair: [3, 4],
        struct: { a: null, b: null },
        map: null,
      },
    ]);
  });

  test('ING21 compressed buffers', async () => {
    const words = Array.from({ length: 5_000 }, (_unused, index) => `word ${index % 97}`);
    compressionRegistry.set(CompressionType.ZSTD, { encode: (data) => zstdCompressSync(data) });
    compressionRegistry.set(CompressionType.LZ4_FRAME, { encode: lz4Frame });
    for (const compression of [CompressionType.ZSTD, CompressionType.LZ4_FRAME]) {
      const file = arrow({ word: vectorFromArray(words, new Utf8()) }, 'stream', compression);
      expect(await content.rows(await content.ingest(file))).toEqual(words.map((word) => ({ word })));
    }
  });

  test('ING21 a batch beyond the bound is refused before it is read', async () => {
    const file = arrow({ n: makeVector(new Float64Array(BATCH_BYTES_MAX / 8 + 1)) });
    expect(await refused(file)).toMatchObject({ code: 'unprocessable_data', details: { bytesMax: BATCH_BYTES_MAX } });
  });

  test('ING16 what cannot be stored, and names that cannot be kept, are refused', async () => {
    const interval = makeVector({ data: Int32Array.from([1, 2]), type: new IntervalDayTime() });
    expect(await refused(arrow({ span: interval }))).toMatchObject({ code: 'unprocessable_data', details: { column: 'span' } });
    const one = vectorFromArray([1], new Int32());
    expect(await refused(arrow({ a: one, A: one }))).toMatchObject({
      code: 'unprocessable_data',
      details: { columns: [{ name: 'A', position: 2 }] },
    });
  });

  test('ING16 a file that breaks off gives its whole batches, or fails with its reason', async () => {
    const batch = (start: number) => new Table({ n: makeVector(Int32Array.from({ length: 1000 }, (_unused, index) => start + index)) });
    const table = batch(0).concat(batch(1000));
    const stream = tableToIPC(table, 'stream');
    for (const file of [stream, Buffer.concat([bytes('ARROW1\0\0'), stream])]) {
      const { conversion, file: written } = await content.ingest(file.subarray(0, file.length - 2500));
      expect(conversion).toMatchObject({ status: 'partial', errorCount: 1 });
      expect(written?.rows).toBe(1000);
    }
    const start = readFileSync(samplePath('superstore.arrow'));
    for (const file of [start.subarray(0, start.length / 2), start.subarray(0, 500), Buffer.concat([bytes('ARROW1\0\0'), Buffer.alloc(5000, 7)])]) {
      expect(await content.ingest(file)).toMatchObject({ file: null, conversion: { status: 'failed', errorCount: 1 } });
    }
  });
});

describe('compression', () => {
  const lines = Array.from({ length: 20_000 }, (_unused, index) => `${index},name ${index}`);
  const text = bytes(`a,b\n${lines.join('\n')}\n`);

  test('ING1 gzip and zstd around any format', async () => {
    for (const [compression, compress] of [
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
    ] as const) {
      for (const name of ['seattle-weather.csv', 'cars.json', 'unemployment.tsv', 'superstore.parquet', 'flights-200k.arrow']) {
        const plain = await content.ingest(samplePath(name));
        const compressed = await content.ingest(compress(readFileSync(samplePath(name))));
        expect(compressed).toMatchObject({ format: plain.format, compression, schemaHash: plain.schemaHash, conversion: { status: 'complete' } });
        expect(compressed.file?.sha256).toBe(plain.file?.sha256);
      }
    }
  });

  test('ING1 streams and frames that follow each other are one', async () => {
    const half = text.indexOf(10, text.length / 2) + 1;
    const parts = [text.subarray(0, half), text.subarray(half)];
    for (const compress of [gzipSync, zstdCompressSync]) {
      expect(await content.ingest(Buffer.concat(parts.map((part) => compress(part))))).toMatchObject({
        file: { rows: 20_000 },
        conversion: { status: 'complete' },
      });
    }
  });

  test('ING3 a stream that ends early gives the whole rows before, and says where', async () => {
    for (const compress of [gzipSync, zstdCompressSync]) {
      const file = compress(text);
      const cut = file.subarray(0, Math.floor(file.length * 0.7));
      const ingested = await content.ingest(cut);
      expect(ingested.conversion).toMatchObject({ status: 'partial', errorCount: 1, errors: [{ byte: cut.length }] });
      expect(ingested.conversion.errors[0]?.reason).toContain(`ends early at byte ${cut.length}`);
      const rows = await content.rows(ingested);
      expect(rows.length).toBeGreaterThan(1000);
      expect(rows.at(-1)).toEqual({ a: rows.length - 1, b: `name ${rows.length - 1}` });
    }
    const lastBytes = [gzipSync(text).subarray(0, -4), zstdCompressSync(text).subarray(0, -4)];
    for (const file of lastBytes) expect((await content.ingest(file)).conversion.status).toBe('partial');
  });

  test('ING3 a stream without a whole row fails', async () => {
    expect(await content.ingest(gzipSync(bytes('a,b\n1,2\n')).subarray(0, 12))).toMatchObject({ file: null, conversion: { status: 'failed' } });
  });

  test('ING4 a file that expands beyond the bound is refused', async () => {
    for (const compress of [gzipSync, zstdCompressSync]) {
      expect(await refused(compress(Buffer.alloc(30_000_000, 'a,b\n1,2\n')))).toMatchObject({ code: 'payload_too_large' });
    }
  });

  test('ING5 a compressed nothing is refused', async () => {
    expect(await refused(gzipSync(''))).toMatchObject({ code: 'unprocessable_data' });
  });

  test('ING1 what is no table is refused', async () => {
    for (const name of ['ffox.png', '7zip.png']) expect(await refused(readFileSync(samplePath(name)))).toMatchObject({ code: 'unprocessable_data' });
  });
});

/** Writes what a SELECT yields with a DuckDB of the test's own. */
async function writeParquet(select: string, path: string): Promise<void> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
}

/** Compares an ingested file with what apache-arrow reads from the original. */
async function expectSame(ingested: Ingested, table: Table): Promise<void> {
  const rows = await content.rows(ingested);
  expect(rows).toHaveLength(table.numRows);
  for (const { name, type } of table.schema.fields) {
    const column = table.getChild(name);
    const values = Array.from({ length: table.numRows }, (_unused, row) => {
      const value: unknown = column?.get(row);
      return String(type).startsWith('Date') && typeof value === 'number' ? new Date(value).toISOString().slice(0, 10) : value;
    });
    expect(
      rows.map((row) => row[name]),
      name,
    ).toEqual(values);
  }
}
