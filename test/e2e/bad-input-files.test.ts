import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { CovistaError } from '../../protocol/errors.ts';
import { footprint, sha256 } from '../support/inspect.ts';
import type { Rest } from '../support/rest.ts';
import { csv, sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let rest: Rest;

beforeAll(async () => {
  server = await startTestServer();
  [alice, rest] = await Promise.all([server.client('alice'), server.rest('alice')]);
});

afterAll(async () => {
  await server?.stop();
});

const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const latin1 = (content: string): Uint8Array => new Uint8Array(Buffer.from(content, 'latin1'));
const utf16 = (content: string): Uint8Array => new Uint8Array(Buffer.from(content, 'utf16le'));
const firstOf = (bytes: Uint8Array, part: number): Uint8Array => bytes.slice(0, Math.floor(bytes.length * part));
const damaged = (bytes: Uint8Array, at: number): Uint8Array =>
  bytes.map((byte, index) => (index === Math.floor(bytes.length * at) ? byte ^ 0xff : byte));

const WEATHER = sample('seattle-weather.csv');
const STRIKES = sample('birdstrikes.csv');
const PARQUET = sample('superstore.parquet');
const ARROW = sample('superstore.arrow');

interface Case {
  readonly bytes: Uint8Array;
  readonly options?: Readonly<Record<string, string>>;
}

/** Files that can be read in part: the rows that are left, and what the first error says. */
const PARTIAL: Readonly<Record<string, Case & { readonly rows?: number; readonly line?: number; readonly reason: RegExp }>> = {
  'a gzip that ends early': { bytes: firstOf(gzipSync(WEATHER), 0.5), reason: /gzip.*early/ },
  'a gzip with a damaged middle': { bytes: damaged(gzipSync(WEATHER), 0.5), reason: /gzip.*(damaged|early)/ },
  'a gzip with a wrong checksum': { bytes: damaged(gzipSync(WEATHER), 0.9999), reason: /gzip.*damaged/ },
  'a zstd that ends early': { bytes: firstOf(zstdCompressSync(STRIKES), 0.6), reason: /zstd.*early/ },
  'a CSV with a row that is too long': { bytes: csv('id,name', '1,a', '2,b,c,d', '3,c'), rows: 2, line: 3, reason: /column|row/i },
  'a CSV with a row that is too short': { bytes: csv('id,name,x', '1,a,x', '2', '3,c,y'), rows: 2, line: 3, reason: /column|row/i },
  'a CSV with a wrong encoding': { bytes: latin1('id,name\n1,Zo\xeb\n2,Ann\n'), rows: 1, line: 2, reason: /utf-?8|unicode|encod/i },
  'a JSON array that ends early between its objects': { bytes: text('[{"id":1},{"id":2},'), rows: 2, line: 1, reason: /ends within the array/ },
  'a JSON array that ends early within an object': {
    bytes: text('[{"id":1},\n{"id":2},\n{"id":'),
    rows: 2,
    line: 3,
    reason: /ends within this value/,
  },
  'a JSON array of objects and other things': {
    bytes: text('[{"id":1},2,"x",null,[3]]'),
    rows: 1,
    line: 1,
    reason: /object is needed, not a number/,
  },
  'an NDJSON with a broken line': { bytes: text('{"id":1}\n{"id":2\n{"id":3}\n'), rows: 2, line: 2, reason: /json|malformed|object/i },
};

/** Files of which no row can be read; the version keeps the original. */
const FAILED: Readonly<Record<string, Case>> = {
  'a Parquet cut in half': { bytes: firstOf(PARQUET, 0.5) },
  'a Parquet of which the first half is missing': { bytes: new Uint8Array([...text('PAR1'), ...PARQUET.slice(PARQUET.length / 2)]) },
  'a Parquet that is only its magic bytes': { bytes: text('PAR1') },
  'a gzip of which little came': { bytes: firstOf(gzipSync(WEATHER), 0.001) },
  'a zstd of which too little came': { bytes: firstOf(zstdCompressSync(WEATHER), 0.6) },
  'a JSON list of numbers': { bytes: text('[1,2,3]') },
  'a JSON list of lists': { bytes: text('[[1,2],[3,4]]') },
  'a JSON object that ends early': { bytes: text('{"a":[1,2') },
  'an Arrow file that ends early': { bytes: firstOf(ARROW, 0.01) },
};

/** Files that cannot become a version at all. */
const REFUSED: Readonly<Record<string, Case & { readonly message: RegExp }>> = {
  'an empty file': { bytes: new Uint8Array(), message: /empty/ },
  'an empty gzip': { bytes: gzipSync(''), message: /empty/ },
  'a file of white space': { bytes: text(' \n\t\n  \n'), message: /empty|white space/ },
  'two columns of one name': { bytes: csv('id,name,id', '1,a,2'), message: /column 3 "id" duplicates column 1/ },
  'two columns that differ in case only': { bytes: csv('id,name,ID', '1,a,2'), message: /column 3 "ID" duplicates column 1/ },
  'a column without a name': { bytes: csv('id,,name', '1,2,a'), message: /column 2 "" is empty/ },
  'a column of blanks': { bytes: csv('id,"  ",name', '1,2,a'), message: /column 2 " *" is empty/ },
  'a reserved column name': { bytes: csv('id,__ROW_PATH__', '1,a'), message: /column 2 "__ROW_PATH__" is reserved/ },
  'a reserved column prefix': { bytes: csv('id,__covista_row', '1,a'), message: /"__covista_row" is reserved/ },
  'an NDJSON with two columns that differ in case only': { bytes: text('{"id":1,"ID":2}\n'), message: /"(id|ID)" duplicates/ },
  'a JSON with an empty field name': { bytes: text('[{"":1,"a":2}]'), message: /"" is empty/ },
  'a CSV of 10,000 columns': {
    bytes: csv(Array.from({ length: 10_000 }, (_, n) => `c${n}`).join(), Array.from({ length: 10_000 }, () => '1').join()),
    message: /more than 1000 columns/,
  },
  'an NDJSON of 10,000 columns': {
    bytes: text(JSON.stringify(Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`c${n}`, 1])))),
    message: /more than 1000 columns/,
  },
  'a picture': { bytes: sample('7zip.png'), message: /neither text nor/ },
  'a gzip of a picture': { bytes: gzipSync(sample('7zip.png')), message: /neither text nor/ },
  'a UTF-16 text without its mark': { bytes: utf16('id,name\n1,a\n'), message: /neither text nor/ },
  'a broken UTF-16 text': { bytes: new Uint8Array([0xff, 0xfe, ...utf16('id,name\n1,a'), 0x0a]), message: /utf-16le/i },
  'CSV declared as Parquet': { bytes: csv('id,name', '1,a'), options: { format: 'parquet' }, message: /declared as parquet, but .* csv/ },
  'CSV declared as TSV': { bytes: csv('id,name', '1,a'), options: { format: 'tsv' }, message: /declared as tsv, but .* csv/ },
  'Parquet declared as CSV': { bytes: PARQUET, options: { format: 'csv' }, message: /declared as csv, but .* parquet/ },
  'a JSON text declared as JSON': { bytes: text('"only a text"'), options: { format: 'json' }, message: /declared as json, but .* csv/ },
  'a JSON number declared as NDJSON': { bytes: text('42'), options: { format: 'ndjson' }, message: /declared as ndjson, but .* csv/ },
  'an empty JSON array': { bytes: text('[]'), message: /no object/ },
  'JSON declared as NDJSON': { bytes: text('[{"a":1}]'), options: { format: 'ndjson' }, message: /declared as ndjson, but .* json/ },
  'Arrow declared as JSON': { bytes: ARROW, options: { format: 'json' }, message: /declared as json, but .* arrow/ },
};

const commit = (datasetId: number, { bytes, options }: Case, more: object = {}): ReturnType<Client['version']['commit']> =>
  alice.version.commit({ datasetId, branch: 'main', ...options, ...more }, { body: bytes });

/** Runs what must be refused, and sees to it that nothing is left of it and that the server goes on. */
async function refusal(work: () => Promise<unknown>): Promise<CovistaError> {
  const before = await footprint(server);
  const error = await work().then(
    (value) => expect.fail(`was accepted: ${JSON.stringify(value)}`),
    (fault: CovistaError) => fault,
  );
  expect(await footprint(server)).toEqual(before);
  return error;
}

async function newDataset(): Promise<number> {
  return (await alice.dataset.create({ name: 'Bad input' })).datasetId;
}

async function expectServing(datasetId: number): Promise<void> {
  const { versionId, conversion } = await commit(datasetId, { bytes: csv('id', '1', '2') });
  expect(conversion.status).toBe('complete');
  expect((await alice.version.preview({ datasetId, versionId })).rows).toEqual([{ id: 1 }, { id: 2 }]);
  expect(await server.leftovers()).toEqual([]);
}

async function expectOriginal(datasetId: number, versionId: number, bytes: Uint8Array): Promise<void> {
  const original = await alice.version.fetch({ datasetId, versionId, format: 'original' });
  expect(sha256(await original.toBytes())).toBe(sha256(bytes));
}

describe.each(Object.entries(PARTIAL))('%s', (_, bad) => {
  test('becomes a version of the rows that can be read, with the reasons and the original', async () => {
    const datasetId = await newDataset();
    const { versionId, rows, conversion } = await commit(datasetId, bad);
    expect(conversion.status).toBe('partial');
    expect(conversion.errorCount).toBeGreaterThanOrEqual(1);
    expect(conversion.errors.map(({ reason }) => reason).join()).toMatch(bad.reason);
    if (bad.line !== undefined) expect(conversion.errors[0]?.line).toBe(bad.line);
    if (bad.rows !== undefined) expect(rows).toBe(bad.rows);
    expect(rows).toBeGreaterThan(0);
    expect((await alice.version.preview({ datasetId, versionId, endRow: 10_000 })).totalRows).toBe(rows);
    await expectOriginal(datasetId, versionId, bad.bytes);
    await expectServing(datasetId);
  });

  test('is refused as a whole when the commit is strict', async () => {
    const datasetId = await newDataset();
    const error = await refusal(() => commit(datasetId, bad, { strict: true }));
    expect(error).toMatchObject({ code: 'unprocessable_data', details: { conversion: { status: 'partial' } } });
    await expectServing(datasetId);
  });
});

describe.each(Object.entries(FAILED))('%s', (_, bad) => {
  test('becomes a version without rows that keeps the original and says why', async () => {
    const datasetId = await newDataset();
    const { versionId, rows, schema, conversion } = await commit(datasetId, bad);
    expect({ rows, status: conversion.status }).toEqual({ rows: 0, status: 'failed' });
    expect(conversion.errors[0]?.reason).toMatch(/\w{3}/);
    await expectOriginal(datasetId, versionId, bad.bytes);
    expect((await alice.version.schema({ datasetId, versionId })).schema).toEqual(schema);
    expect(await alice.diff.schema({ datasetId, from: String(versionId), to: String(versionId) })).toMatchObject({ rows: { from: 0, to: 0 } });
    for (const reading of [
      alice.version.preview({ datasetId, versionId }),
      alice.version.statistics({ datasetId, versionId }),
      alice.version.fetch({ datasetId, versionId, format: 'csv' }),
      alice.diff.rows({ datasetId, from: String(versionId), to: String(versionId) }),
    ]) {
      await expect(reading).rejects.toMatchObject({ code: 'unprocessable_data', message: expect.stringContaining('original') });
    }
    await expectServing(datasetId);
  });

  test('is refused when the commit is strict', async () => {
    const datasetId = await newDataset();
    expect(await refusal(() => commit(datasetId, bad, { strict: true }))).toMatchObject({ code: 'unprocessable_data' });
    await expectServing(datasetId);
  });
});

describe('files that look bad and are not', () => {
  const GOOD: Readonly<Record<string, Case & { readonly rows: number; readonly columns: readonly string[]; readonly format: string }>> = {
    'a CSV that is only a header': { bytes: csv('id,name'), rows: 0, columns: ['id', 'name'], format: 'csv' },
    'a header without a line break': { bytes: text('id,name'), rows: 0, columns: ['id', 'name'], format: 'csv' },
    'a CSV with a byte order mark': { bytes: text('\ufeffid,name\n1,a\n'), rows: 1, columns: ['id', 'name'], format: 'csv' },
    'a CSV in UTF-16 with its mark': { bytes: utf16('\ufeffid,name\n1,é\n'), rows: 1, columns: ['id', 'name'], format: 'csv' },
    'a CSV with the line breaks of Windows': { bytes: text('id,name\r\n1,a\r\n2,b\r\n'), rows: 2, columns: ['id', 'name'], format: 'csv' },
    'a CSV with semicolons': { bytes: text('id;name\n1;a\n'), rows: 1, columns: ['id', 'name'], format: 'csv' },
    'a CSV with quotes, commas and line breaks in values': {
      bytes: text('id,name\n1,"a ""b"", c\nd"\n'),
      rows: 1,
      columns: ['id', 'name'],
      format: 'csv',
    },
    'a CSV that is called a Parquet': { bytes: csv('id', '1'), options: { fileName: 'data.parquet' }, rows: 1, columns: ['id'], format: 'csv' },
    'column names with quotes, SQL and emoji': {
      bytes: text('"a""b","x; DROP TABLE y","{{c}}",$1,%s,\'q\',é😀\n1,2,3,4,5,6,7\n'),
      rows: 1,
      columns: ['a"b', 'x; DROP TABLE y', '{{c}}', '$1', '%s', "'q'", 'é😀'],
      format: 'csv',
    },
  };

  test.each(Object.entries(GOOD))('%s is read whole, and every reader can read it', async (_, good) => {
    const datasetId = await newDataset();
    const { versionId, rows, conversion, schema, original } = await commit(datasetId, good);
    expect(conversion).toEqual({ status: 'complete', errorCount: 0, errors: [] });
    expect({ rows, columns: schema.map(({ name }) => name), format: original?.format }).toMatchObject({
      rows: good.rows,
      columns: good.columns,
      format: good.format,
    });
    const page = await alice.version.preview({ datasetId, versionId });
    expect(page.rows).toHaveLength(good.rows);
    for (const row of page.rows) expect(Object.keys(row)).toEqual(good.columns);
    expect((await alice.version.statistics({ datasetId, versionId })).columns).toHaveLength(good.columns.length);
    const again = await alice.version.commit({ datasetId, branch: 'other', mode: 'append' }, { body: good.bytes });
    expect(again.rows).toBe(2 * good.rows);
    const { counts } = await alice.diff.rows({ datasetId, from: '1', to: '2', key: null });
    expect(counts).toEqual({ added: good.rows, removed: 0, changed: 0 });
    for (const format of ['csv', 'ndjson', 'arrow', 'parquet'] as const) {
      const bytes = await (await alice.version.fetch({ datasetId, versionId, format })).toBytes();
      // A version without rows has nothing to say in NDJSON.
      if (bytes.length === 0) expect({ format, rows: good.rows }).toEqual({ format: 'ndjson', rows: 0 });
      else
        expect(await commit(datasetId, { bytes }, { branch: `from-${format}` })).toMatchObject({
          rows: good.rows,
          conversion: { status: 'complete' },
        });
    }
  });
});

describe('as many columns as a version may have', () => {
  const NAMES = Array.from({ length: 1000 }, (_, n) => `c${n}`);
  const row = Object.fromEntries(NAMES.map((name, n) => [name, n]));

  test.each<[string, Uint8Array]>([
    ['CSV', csv(NAMES.join(), NAMES.join())],
    ['NDJSON', text(`${JSON.stringify(row)}\n`)],
    ['Arrow', tableToIPC(tableFromArrays(Object.fromEntries(NAMES.map((name) => [name, [1]]))), 'file')],
  ])('%s of 1,000 columns is read, changed and compared', async (_, bytes) => {
    const datasetId = await newDataset();
    expect(await commit(datasetId, { bytes })).toMatchObject({ rows: 1, conversion: { status: 'complete' } });
    expect(Object.keys((await alice.version.preview({ datasetId, versionId: 1 })).rows[0] ?? {})).toEqual(NAMES);
    expect(await commit(datasetId, { bytes }, { mode: 'append' })).toMatchObject({ rows: 2 });
    const { counts } = await alice.diff.rows({ datasetId, from: '1', to: '1', key: ['c1'] });
    expect(counts).toEqual({ added: 0, removed: 0, changed: 0 });
  });
});

describe.each(Object.entries(REFUSED))('%s', (_, bad) => {
  test('is refused over the socket, over REST and as an upload, says why, and leaves nothing', async () => {
    const datasetId = await newDataset();
    const error = await refusal(() => commit(datasetId, bad));
    expect(error).toMatchObject({ code: 'unprocessable_data', message: expect.stringMatching(bad.message) });
    const query = new URLSearchParams({ ...bad.options });
    const answer = await rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit?${query}`, { body: bad.bytes });
    expect(answer.status).toBe(422);
    expect((answer.body as { error: CovistaError }).error).toMatchObject({ code: 'unprocessable_data', message: error.message });
    const upload = alice.upload.file(bad.bytes, { datasetId, branch: 'main', ...bad.options });
    await expect(upload).rejects.toMatchObject({ code: 'unprocessable_data' });
    await expectServing(datasetId);
  });
});
