import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bytes, independentRows, openTestContent, type TestContent, typesOf } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent({ uploadExpandedBytesMax: 20_000_000, uploadBytesMax: 10_000_000 });
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

  test('ING22 lists deep within each other are refused before they are read, each level of which doubles the time of a read', async () => {
    const listsOf = async (levels: number): Promise<Buffer> => {
      const path = join(content.directory, `lists-${levels}.parquet`);
      const lists = `CAST('${'['.repeat(levels)}${']'.repeat(levels)}' AS VARCHAR${'[]'.repeat(levels)})`;
      await writeParquet(`SELECT {'b': ${lists}} AS a`, path);
      return readFileSync(path);
    };
    expect(await refused(await listsOf(40))).toMatchObject({ code: 'unprocessable_data', details: { column: 'a', depthMax: 16 } });
    expect((await content.ingest(await listsOf(8))).conversion.status).toBe('complete');
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
