import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { sha256 } from '../support/inspect.ts';
import type { Rest } from '../support/rest.ts';
import { sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let rest: Rest;
let directory: string;

beforeAll(async () => {
  server = await startTestServer();
  [alice, rest] = await Promise.all([server.client('alice'), server.rest('alice')]);
  directory = await mkdtemp(join(tmpdir(), 'covista-real-'));
});

afterAll(async () => {
  await server?.stop();
  await rm(directory, { recursive: true, force: true });
});

type Rows = Record<string, unknown>[];

/** Rows of a statement in bare DuckDB, as JSON values; `$file` is where the bytes are. */
async function bare(bytes: Uint8Array, statement: string): Promise<Rows> {
  const file = join(directory, `${crypto.randomUUID()}.bin`);
  await writeFile(file, bytes);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(statement.replaceAll('$file', `'${file}'`));
    return reader.getRowObjectsJson() as Rows;
  } finally {
    connection.closeSync();
    instance.closeSync();
    await rm(file);
  }
}

/** Real files, with how many rows bare readers find in them. */
const FILES: readonly (readonly [name: string, format: string, rows: number])[] = [
  ['seattle-weather.csv', 'csv', 1461],
  ['birdstrikes.csv', 'csv', 10_000],
  ['unemployment.tsv', 'tsv', 3218],
  ['movies.json', 'json', 3201],
  ['cars.json', 'json', 406],
  ['flights-200k.arrow', 'arrow', 200_000],
  ['superstore.arrow', 'arrow', 9994],
  ['superstore.csv', 'csv', 9994],
  ['superstore.parquet', 'parquet', 9994],
];

async function fetchBytes(datasetId: number, versionId: number, format: 'parquet' | 'csv' | 'ndjson' | 'arrow' | 'original'): Promise<Uint8Array> {
  return (await alice.version.fetch({ datasetId, versionId, format })).toBytes();
}

describe.each(FILES)('%s', (name, format, rows) => {
  const bytes = sample(name);

  test('goes in over the socket and over REST and comes out byte for byte', async () => {
    const { datasetId } = await alice.dataset.create({ name });
    const uploaded = await alice.upload.file(bytes, { datasetId, branch: 'main', fileName: name });
    expect(uploaded).toMatchObject({
      versionId: 1,
      rows,
      conversion: { status: 'complete' },
      original: { format, sha256: sha256(bytes), fileName: name },
    });
    const posted = await rest.send('POST', `/api/datasets/${datasetId}/branches/rest/commit`, { body: bytes });
    expect(posted).toMatchObject({ status: 201, body: { versionId: 2, rows, identical: true } });
    expect(sha256(await fetchBytes(datasetId, 1, 'original'))).toBe(sha256(bytes));
    const download = await rest.get(`/api/datasets/${datasetId}/versions/2/download?format=original`);
    expect(sha256(download.bytes)).toBe(sha256(bytes));
  });

  test('has equal rows in every format that it comes out in', async () => {
    const { datasetId } = await alice.dataset.create({ name });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: bytes });
    const { schema } = await alice.version.schema({ datasetId, versionId: 1 });
    const names = schema.map((column) => column.name);
    const parquet = await fetchBytes(datasetId, 1, 'parquet');
    const [counted] = await bare(parquet, 'SELECT count(*) AS n FROM read_parquet($file)');
    expect(Number(counted?.n)).toBe(rows);
    const described = await bare(parquet, 'DESCRIBE SELECT * FROM read_parquet($file)');
    expect(described.map((column) => [column.column_name, column.column_type])).toEqual(schema.map((column) => [column.name, column.type]));
    const table = tableFromIPC(await fetchBytes(datasetId, 1, 'arrow'));
    expect([table.numRows, table.schema.fields.map((field) => field.name)]).toEqual([rows, names]);
    const lines = new TextDecoder()
      .decode(await fetchBytes(datasetId, 1, 'ndjson'))
      .trimEnd()
      .split('\n');
    expect(lines).toHaveLength(rows);
    const preview = await alice.version.preview({ datasetId, versionId: 1, endRow: 100 });
    expect(lines.slice(0, 100).map((line) => JSON.parse(line) as unknown)).toEqual(preview.rows);
    const [csvCount] = await bare(
      await fetchBytes(datasetId, 1, 'csv'),
      'SELECT count(*) AS n FROM read_csv($file, header = true, all_varchar = true)',
    );
    expect(Number(csvCount?.n)).toBe(rows);
  });
});

describe('one table as CSV, Arrow and Parquet', () => {
  const KEY = ['Row ID'];
  const SOURCES = ['superstore.csv', 'superstore.arrow', 'superstore.parquet'] as const;

  test('has equal rows, whichever it was uploaded as', async () => {
    const tables: Rows[] = [];
    for (const source of SOURCES) {
      const { datasetId } = await alice.dataset.create({ name: source });
      await alice.version.commit({ datasetId, branch: 'main' }, { body: sample(source) });
      const statement = `SELECT "Row ID"::BIGINT AS id, "Order ID"::VARCHAR AS orders, "Customer Name"::VARCHAR AS customer,
        round("Sales"::DOUBLE, 4) AS sales, "Quantity"::BIGINT AS quantity, round("Profit"::DOUBLE, 4) AS profit
        FROM read_parquet($file) ORDER BY id`;
      tables.push(await bare(await fetchBytes(datasetId, 1, 'parquet'), statement));
    }
    const [first, ...others] = tables;
    expect(first).toHaveLength(9994);
    for (const other of others) expect(other).toEqual(first);
  });

  test('is versioned, branched, tagged and compared', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'Superstore', key: KEY });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: sample('superstore.parquet') });
    await alice.tag.create({ datasetId, name: 'v1.0' });
    await alice.branch.create({ datasetId, name: 'corrections' });
    const [head] = (await alice.version.preview({ datasetId, versionId: 1, endRow: 1 })).rows;
    const corrected = new TextEncoder().encode(`${JSON.stringify({ ...head, Quantity: 99 })}\n${JSON.stringify({ ...head, 'Row ID': 1_000_001 })}\n`);
    const made = await alice.version.commit({ datasetId, branch: 'corrections', mode: 'upsert' }, { body: corrected });
    expect(made).toMatchObject({ versionId: 2, rows: 9995 });
    const diff = await alice.diff.rows({ datasetId, from: 'v1.0', to: 'corrections' });
    expect(diff.counts).toEqual({ added: 1, removed: 0, changed: 1 });
    expect(diff.changes.find(({ kind }) => kind === 'changed')).toMatchObject({ key: { 'Row ID': head?.['Row ID'] }, changed: ['Quantity'] });
    expect((await alice.ref.resolve({ datasetId, ref: 'v1.0' })).versionId).toBe(1);
    expect(sha256(await fetchBytes(datasetId, 1, 'original'))).toBe(sha256(sample('superstore.parquet')));
  });
});

test('three million rows go in, and come out byte for byte and with the sums they went in with', async () => {
  const bytes = sample('flights-3m.parquet');
  const { datasetId } = await alice.dataset.create({ name: 'Flights' });
  const { rows, schema } = await alice.upload.file(bytes, { datasetId, branch: 'main' });
  expect(sha256(await fetchBytes(datasetId, 1, 'original'))).toBe(sha256(bytes));
  const numeric = schema.filter(({ type }) => /INT|DOUBLE|FLOAT/.test(type)).map(({ name }) => `sum("${name}")::VARCHAR AS "${name}"`);
  const statement = `SELECT count(*)::BIGINT AS n, ${numeric.join(', ')} FROM read_parquet($file)`;
  const [before] = await bare(bytes, statement);
  const [after] = await bare(await fetchBytes(datasetId, 1, 'parquet'), statement);
  expect(Number(before?.n)).toBe(rows);
  expect(after).toEqual(before);
}, 120_000);
