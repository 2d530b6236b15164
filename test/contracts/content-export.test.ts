import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExportedFile, ExportFormat, ScopedContent } from '../../server/storage/content-store.ts';
import { bytes, calm, contentOfIngested, openTestContent, type TestContent, typesOf, unrestricted } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';

const FORMATS = ['csv', 'ndjson', 'parquet', 'arrow'] as const;
const CACHE_BYTES_MAX = 100_000;

let content: TestContent;
let weather: ScopedContent;
/** The same in two files, the second of an earlier schema. */
let pieces: ScopedContent;

beforeAll(async () => {
  content = await openTestContent({ exportCacheBytesMax: CACHE_BYTES_MAX });
  weather = unrestricted(contentOfIngested(await content.ingest(samplePath('seattle-weather.csv'))));
  const first = await content.ingest(bytes('id,name,price\n1,x,1.5\n2,,\n'));
  const second = await content.ingest(bytes('id,name\n3,"y ""z"", w"\n4,""\n'));
  const whole = contentOfIngested(first);
  pieces = unrestricted({ ...whole, rows: 4, files: [...whole.files, ...contentOfIngested(second).files] });
});

afterAll(async () => {
  await content?.close();
});

async function render(source: ScopedContent, format: ExportFormat): Promise<Buffer> {
  const file = await content.store.export(source, format, calm());
  try {
    const whole = await readAll(file, { start: 0, end: file.bytes });
    expect(whole.length).toBe(file.bytes);
    return whole;
  } finally {
    file.close();
  }
}

async function readAll(file: ExportedFile, range: { start: number; end: number }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of file.read(range)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const rowsOf = (source: ScopedContent) => content.store.rows(source, { startRow: 0, endRow: 1_000_000, columns: undefined, bytesMax: 1e9 }, calm());
const cached = async (): Promise<string[]> => readdir(join(content.directory, 'exports'));

describe('exports', () => {
  test('EXP4 every format holds the same values in the same order', async () => {
    for (const source of [weather, pieces]) {
      const rows = await rowsOf(source);
      const ndjson = (await render(source, 'ndjson')).toString('utf8');
      expect(
        ndjson
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      ).toEqual(rows);
      for (const format of ['csv', 'parquet', 'arrow'] as const) {
        const again = await content.ingest(await render(source, format), { format, onto: source.content.schema });
        expect(await content.rows(again), format).toEqual(rows);
        expect(again.schemaHash, format).toBe(source.content.schemaHash);
      }
    }
  });

  test('EXP4 an Arrow export is one that apache-arrow reads', async () => {
    const table = tableFromIPC(await render(pieces, 'arrow'));
    expect(table.schema.fields.map(({ name }) => name)).toEqual(['id', 'name', 'price']);
    expect(table.toArray().map((row) => [Number(row?.id), row?.name, row?.price])).toEqual([
      [1, 'x', 1.5],
      [2, null, null],
      [3, 'y "z", w', null],
      [4, '', null],
    ]);
  });

  test('EXP6 long texts and many rows end record batches', async () => {
    const batchesOf = async (lines: string[]) => {
      const source = unrestricted(contentOfIngested(await content.ingest(bytes(`text\n${lines.join('\n')}\n`))));
      const { batches } = tableFromIPC(await render(source, 'arrow'));
      expect(batches.reduce((sum, { numRows }) => sum + numRows, 0)).toBe(lines.length);
      return batches.map(({ numRows }) => numRows);
    };
    const long = await batchesOf(Array.from({ length: 2_000 }, (_unused, line) => `${line} ${'x'.repeat(8_000)}`));
    expect(long.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...long)).toBeLessThanOrEqual(1_024);
    const many = await batchesOf(Array.from({ length: 70_000 }, (_unused, line) => `${line}a`));
    expect(many).toEqual([32_768, 32_768, 4_464]);
  });

  test('EXP4 EXP5 values of every type come out of every format as they went in', async () => {
    const values = [
      "CAST('18446744073709551615' AS UBIGINT) AS huge",
      'CAST(9007199254740993 AS BIGINT) AS big',
      "CAST('12345678901234567.89' AS DECIMAL(20,2)) AS money",
      "DATE '2020-02-29' AS day",
      "TIMESTAMP '2020-01-01 10:00:00.123456' AS micro",
      "TIMESTAMP '1960-01-01 10:00:00.5' AS old",
      "TIMESTAMP '0044-03-15 (BC) 01:02:03.5' AS ides",
      "TIMESTAMP '12024-01-01' AS later",
      "DATE '0044-03-15 (BC)' AS ides_day",
      "DATE '-infinity' AS never",
      "TIMESTAMP WITH TIME ZONE '0000-01-01 00:00:00+00' AS zero",
      "TIMESTAMP WITH TIME ZONE '2020-01-01 12:00:00+02' AS instant",
      "CAST('2020-01-01 10:00:00.123456789' AS TIMESTAMP_NS) AS nano",
      "TIME '10:00:00.5' AS clock",
      "'\\xAA\\x00'::BLOB AS bytes",
      "CAST('nan' AS DOUBLE) AS nothing",
      "CAST('-inf' AS FLOAT) AS below",
      'CAST(0.1 AS FLOAT) AS tenth',
      '[1, NULL, 9007199254740993] AS list',
      "{'a': 1, 'b': {'c': [DATE '2020-01-01']}} AS struct",
      "MAP {'k': 1.5::DOUBLE} AS map",
      "UUID '00000000-0000-0000-0000-000000000001' AS uuid",
      'true AS flag',
      '\'café "q" , 😀\' AS text',
      'CAST(NULL AS BIGINT) AS void',
    ];
    const source = await typed(`SELECT ${values.join(', ')}`);
    const rows = await rowsOf(source);
    expect(rows).toEqual([
      {
        huge: '18446744073709551615',
        big: '9007199254740993',
        money: '12345678901234567.89',
        day: '2020-02-29',
        micro: '2020-01-01T10:00:00.123456Z',
        old: '1960-01-01T10:00:00.500Z',
        ides: '-000043-03-15T01:02:03.500Z',
        later: '+012024-01-01T00:00:00Z',
        ides_day: '-000043-03-15',
        never: '-infinity',
        zero: '0000-01-01T00:00:00Z',
        instant: '2020-01-01T10:00:00Z',
        nano: '2020-01-01T10:00:00.123456789Z',
        clock: '10:00:00.5',
        bytes: 'qgA=',
        nothing: 'NaN',
        below: '-Infinity',
        tenth: Math.fround(0.1),
        list: [1, null, '9007199254740993'],
        struct: { a: 1, b: { c: ['2020-01-01'] } },
        map: { k: 1.5 },
        uuid: '00000000-0000-0000-0000-000000000001',
        flag: true,
        text: 'café "q" , 😀',
        void: null,
      },
    ]);
    const ndjson = JSON.parse((await render(source, 'ndjson')).toString('utf8'));
    expect({ ...ndjson, tenth: Math.fround(ndjson.tenth) }).toEqual(rows[0]);
    for (const format of ['csv', 'parquet', 'arrow'] as const) {
      const again = await content.ingest(await render(source, format), { format, onto: source.content.schema });
      expect(await content.rows(again), format).toEqual(rows);
    }
  });

  test('EXP1 the same bytes, however often they are rendered', async () => {
    for (const format of FORMATS) {
      const first = await render(pieces, format);
      // Everything else pushes it out of the cache.
      for (const other of FORMATS) await render(weather, other);
      expect((await render(pieces, format)).equals(first), format).toBe(true);
    }
  });

  test('EXP3 Parquet of a version of one file is that file', async () => {
    const before = await cached();
    const file = await content.store.export(weather, 'parquet', calm());
    expect((await readAll(file, { start: 0, end: 4 })).toString()).toBe('PAR1');
    file.close();
    // Renderings of other tests may go meanwhile; none has come.
    expect((await cached()).filter((name) => !before.includes(name))).toEqual([]);
  });

  test('EXP2 requests at the same time share one rendering; what is read stays', async () => {
    const held = await Promise.all(Array.from({ length: 5 }, () => content.store.export(weather, 'csv', calm())));
    const names = await cached();
    expect(new Set(held.map(({ bytes: size }) => size)).size).toBe(1);
    for (const format of FORMATS) await render(pieces, format);
    for (const file of held) {
      expect((await readAll(file, { start: 0, end: 20 })).toString()).toMatch(/^date,/);
      file.close();
    }
    expect(names.length).toBeGreaterThan(0);
  });

  test('EXP2 one who gives up does not take the rendering from the others', async () => {
    const controller = new AbortController();
    const source = unrestricted(contentOfIngested(await content.ingest(samplePath('flights-200k.arrow'))));
    const gone = content.store.export(source, 'ndjson', { signal: controller.signal });
    const stays = content.store.export(source, 'ndjson', calm());
    controller.abort();
    await expect(gone).rejects.toMatchObject({ code: 'cancelled' });
    const file = await stays;
    expect(file.bytes).toBeGreaterThan(1_000_000);
    file.close();
  });

  test('EXP4 a version without rows is a header, nothing, or an empty table', async () => {
    const empty = unrestricted(contentOfIngested(await content.ingest(bytes('a,b\n'))));
    expect((await render(empty, 'csv')).toString()).toBe('a,b\n');
    expect((await render(empty, 'ndjson')).toString()).toBe('');
    expect(tableFromIPC(await render(empty, 'arrow')).numRows).toBe(0);
    const again = await content.ingest(await render({ ...empty, content: { ...empty.content, files: [] } }, 'parquet'));
    expect(typesOf(again)).toEqual({ a: 'VARCHAR', b: 'VARCHAR' });
  });
});

/** A version whose one row a SELECT yields, by way of a Parquet file. */
async function typed(select: string): Promise<ScopedContent> {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const path = join(content.directory, 'typed.parquet');
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return unrestricted(contentOfIngested(await content.ingest(path)));
}
