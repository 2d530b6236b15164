import { readFileSync } from 'node:fs';
import { zstdCompressSync } from 'node:zlib';
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
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ingested } from '../../server/storage/content-store.ts';
import { bytes, openTestContent, type TestContent, typesOf } from '../support/content.ts';
import { lz4Frame } from '../support/lz4.ts';
import { samplePath } from '../support/samples.ts';

const BATCH_BYTES_MAX = 4_000_000;

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent({ arrowBatchBytesMax: BATCH_BYTES_MAX });
});

afterAll(async () => {
  await content?.close();
});

const refused = (file: Uint8Array) => content.ingest(file).catch((error) => error);
const arrow = (columns: Record<string, Vector>, kind: 'file' | 'stream' = 'stream', compression: CompressionType | null = null) =>
  tableToIPC(new Table(columns), kind, compression);

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
