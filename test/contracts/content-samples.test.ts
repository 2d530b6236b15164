import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ingested } from '../../server/storage/content-store.ts';
import { bytes, independentRows, openTestContent, type TestContent } from '../support/content.ts';
import { samplePath } from '../support/samples.ts';

let content: TestContent;

beforeAll(async () => {
  content = await openTestContent();
});

afterAll(async () => {
  await content?.close();
});

const names = (extension: string): string[] =>
  readdirSync(dirname(samplePath('cars.json')))
    .filter((name) => extname(name) === extension)
    .map((name) => basename(name));

/** Values as text, numbers in one spelling: a DuckDB of the test's own reads the original, another the data file. */
async function expectSameText(ingested: Ingested, original: string): Promise<void> {
  const number = (value: string | null): string | null => (value !== null && /^-?[\d.]+(?:e[+-]?\d+)?$/.test(value) ? String(Number(value)) : value);
  const written = await independentRows(`SELECT * FROM '${ingested.file?.path}'`);
  const read = await independentRows(original);
  expect(written.length).toBe(read.length);
  const different = written.flatMap((row, index) =>
    row.flatMap((value, at) => (number(value) === number(read[index]?.[at] ?? null) ? [] : [[index, at, value, read[index]?.[at]]])),
  );
  expect(different.slice(0, 3), original).toEqual([]);
}

/** Columns whose dates are not spelt as ISO dates in the file. */
const RESPELT: Readonly<Record<string, readonly string[]>> = {
  'sp500.csv': ['date'],
  'stocks.csv': ['date'],
  'github.csv': ['time'],
  'windvectors.csv': [],
};

describe('sample data', () => {
  test('ING1 every CSV and TSV file keeps every value, as DuckDB reads it as text', async () => {
    for (const name of [...names('.csv'), ...names('.tsv')]) {
      const ingested = await content.ingest(samplePath(name));
      expect(ingested.conversion, name).toEqual({ status: 'complete', errorCount: 0, errors: [] });
      expect(ingested.format, name).toBe(extname(name).slice(1));
      const respelt = RESPELT[name] ?? [];
      const original = `read_csv('${samplePath(name)}', all_varchar = true, header = true, delim = '${name.endsWith('tsv') ? '\\t' : ','}', quote = '"')`;
      const columns = ingested.schema.map(({ name: column, type }) => {
        const quoted = `"${column}"`;
        if (respelt.includes(column)) return `CAST(strptime(${quoted}, ['%b %d %Y', '%Y/%m/%d %H:%M:%S']) AS ${type}) AS ${quoted}`;
        return ['DATE', 'TIMESTAMP', 'TIME', 'BOOLEAN'].includes(type) ? `CAST(${quoted} AS ${type}) AS ${quoted}` : quoted;
      });
      await expectSameText(ingested, `SELECT ${columns.join(', ')} FROM ${original}`);
    }
  });

  test('ING1 every JSON file keeps every value, as JavaScript reads it', async () => {
    for (const name of names('.json')) {
      const parsed: unknown = JSON.parse(readFileSync(samplePath(name), 'utf8'));
      const ingested = await content.ingest(samplePath(name));
      const isTabular = !Array.isArray(parsed) || parsed.some((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
      expect(ingested.conversion.status, name).toBe(isTabular ? 'complete' : 'failed');
      if (!isTabular) continue;
      const objects: Record<string, unknown>[] = Array.isArray(parsed) ? parsed : [parsed];
      const rows = await content.rows(ingested);
      expect(rows.length, name).toBe(objects.length);
      const types = Object.fromEntries(ingested.schema.map((column) => [column.name, column.type]));
      for (const key of new Set(objects.flatMap((object) => Object.keys(object)))) {
        // Nested values get NULL for keys that others of their kind have, so flat ones are compared.
        if (/\]|STRUCT|MAP/.test(types[key] ?? '')) continue;
        const expected = objects.map((object) => flat(object[key], types[key] ?? ''));
        const different = rows.flatMap((row, index) => (Object.is(row[key], expected[index]) ? [] : [[index, row[key], expected[index]]]));
        expect(different.slice(0, 3), `${name} ${key}`).toEqual([]);
      }
    }
  });

  test('ING1 the four forms of the same table hold the same rows', async () => {
    const forms = await Promise.all(['superstore.csv', 'superstore.parquet', 'superstore.arrow'].map((name) => content.ingest(samplePath(name))));
    const [csv = [], parquet = [], arrow = []] = await Promise.all(forms.map((form) => content.rows(form)));
    expect(arrow).toEqual(parquet);
    expect(csv.length).toBe(parquet.length);
    for (const [index, row] of csv.entries()) expect(row).toEqual(parquet[index]);
  });

  test('ING19 one zstd file in the order of the source, hashed, the same every time', async () => {
    const lines = Array.from({ length: 300_000 }, (_unused, index) => `${index},${index % 7}`);
    const file = bytes(`a,b\n${lines.join('\n')}\n`);
    const [first, second] = [await content.ingest(file), await content.ingest(file)];
    expect(first.file?.sha256).toBe(
      createHash('sha256')
        .update(readFileSync(first.file?.path ?? ''))
        .digest('hex'),
    );
    expect(second.file?.sha256).toBe(first.file?.sha256);
    const order = await independentRows(
      `SELECT count(*) FILTER (a <> file_row_number) FROM read_parquet('${first.file?.path}', file_row_number = true)`,
    );
    expect(order).toEqual([['0']]);
    expect(await independentRows(`SELECT DISTINCT compression FROM parquet_metadata('${first.file?.path}')`)).toEqual([['ZSTD']]);
  });
});

/** A value as a column of a type shows it. */
function flat(value: unknown, type: string): unknown {
  if (value === undefined || value === null) return null;
  if (type === 'VARCHAR' && typeof value !== 'string') return JSON.stringify(value);
  if (type.startsWith('TIMESTAMP') && typeof value === 'string') {
    return new Date(type === 'TIMESTAMP' ? `${value.replace(' ', 'T')}Z` : value).toISOString().replace('.000Z', 'Z');
  }
  return value;
}
