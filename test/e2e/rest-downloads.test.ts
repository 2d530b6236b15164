import { once } from 'node:events';
import { Agent, globalAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../support/inspect.ts';
import type { Rest } from '../support/rest.ts';
import { csv, sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Rest;
let path: string;
let datasetPath: string;

const WEATHER = sample('seattle-weather.csv');
const IDENTITY = { 'accept-encoding': 'identity' };

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.rest('alice');
  const { datasetId } = (await alice.post('/api/datasets', { name: 'Weather' })).body as { datasetId: number };
  datasetPath = `/api/datasets/${datasetId}`;
  path = `${datasetPath}/versions/1/download`;
  await alice.send('POST', `${datasetPath}/branches/main/commit?fileName=seattle-weather.csv`, { body: WEATHER });
  await alice.send('POST', `${datasetPath}/branches/main/commit`, { body: csv('a', '1') });
});

afterAll(async () => {
  await server?.stop();
});

const TYPES = {
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson',
  arrow: 'application/vnd.apache.arrow.stream',
  original: 'text/csv; charset=utf-8',
} as const;

/** An answer as it was on the wire: `fetch` undoes encodings unseen. */
async function raw(
  target: string,
  headers: Record<string, string>,
  method = 'GET',
  agent = globalAgent,
): Promise<{ status: number; headers: IncomingMessage['headers']; bytes: Buffer }> {
  const authorization = `Bearer ${await server.token('alice')}`;
  const request = httpRequest(`${server.url}${target}`, { agent, method, headers: { authorization, ...headers } }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, headers: response.headers, bytes: await buffer(response) };
}

describe('a download', () => {
  test.each(Object.entries(TYPES))('as %s says what it is and can be kept by the caller alone', async (format, contentType) => {
    const { status, headers, bytes } = await raw(`${path}?format=${format}`, IDENTITY);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': contentType,
      'content-length': String(bytes.length),
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
      etag: expect.stringMatching(/^"[^"]+"$/),
      vary: expect.stringMatching(/accept-encoding/i),
      'content-disposition': expect.stringContaining('attachment; filename='),
    });
    expect(Date.parse(headers['last-modified'] ?? '')).toBeGreaterThan(0);
    expect(headers).not.toHaveProperty('content-encoding');
  });

  test('has the rows in every format, and the original byte for byte', async () => {
    const [first] = new TextDecoder().decode(WEATHER).split('\n', 2);
    const text = async (format: string) => (await raw(`${path}?format=${format}`, IDENTITY)).bytes;
    expect(sha256(await text('original'))).toBe(sha256(WEATHER));
    const lines = (await text('csv')).toString().trimEnd().split('\n');
    expect([lines[0]?.trimEnd(), lines.length]).toEqual([first?.trimEnd(), 1462]);
    const objects = (await text('ndjson'))
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect([Object.keys(objects[0] ?? {}), objects.length]).toEqual([first?.trimEnd().split(','), 1461]);
    const table = tableFromIPC(await text('arrow'));
    expect([table.numRows, table.schema.fields.map(({ name }) => name)]).toEqual([1461, first?.trimEnd().split(',')]);
    const parquet = await text('parquet');
    expect([parquet.subarray(0, 4).toString(), parquet.subarray(-4).toString()]).toEqual(['PAR1', 'PAR1']);
  });

  test('in a format that does not exist, or of a version that does not, is refused', async () => {
    expect(await alice.get(`${path}?format=xlsx`)).toMatchObject({ status: 400, body: { error: { code: 'invalid_input' } } });
    expect(await alice.get(`${datasetPath}/versions/99/download`)).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    expect(await alice.get(`${datasetPath}/versions/latest/download`)).toMatchObject({ status: 400, body: { error: { code: 'invalid_input' } } });
  });

  test.each(['csv', 'original', 'parquet', 'ndjson', 'arrow'])('of a range as %s gives those bytes', async (format) => {
    const target = `${path}?format=${format}`;
    const { bytes: whole } = await raw(target, IDENTITY);
    const total = whole.length;
    const ranges: readonly (readonly [string, number, number])[] = [
      ['bytes=0-9', 0, 10],
      ['bytes=10-', 10, total],
      ['bytes=-100', total - 100, total],
      [`bytes=${total - 1}-${total + 1_000}`, total - 1, total],
      [`bytes=-${total * 2}`, 0, total],
    ];
    for (const [range, start, end] of ranges) {
      const answer = await raw(target, { ...IDENTITY, range });
      expect({ range, status: answer.status }).toEqual({ range, status: 206 });
      expect(answer.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${total}`);
      expect(answer.bytes.equals(whole.subarray(start, end))).toBe(true);
    }
    for (const range of ['lines=0-9', 'bytes=9-0', 'bytes=0-1,4-5', 'bytes=a-b']) {
      expect(await raw(target, { ...IDENTITY, range }), range).toMatchObject({ status: 200, bytes: whole });
    }
    for (const range of [`bytes=${total}-`, `bytes=${total + 5}-${total + 9}`, 'bytes=-0']) {
      const answer = await raw(target, { ...IDENTITY, range });
      expect({ range, status: answer.status, header: answer.headers['content-range'] }).toEqual({ range, status: 416, header: `bytes */${total}` });
    }
  });

  test('that the caller has already is answered with 304, and a range only continues the same file', async () => {
    const target = `${path}?format=csv`;
    const { headers, bytes } = await raw(target, IDENTITY);
    const etag = headers.etag ?? '';
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await raw(target, { ...IDENTITY, 'if-none-match': known });
      expect({ status: answer.status, etag: answer.headers.etag, length: answer.bytes.length }).toEqual({ status: 304, etag, length: 0 });
    }
    expect((await raw(target, { ...IDENTITY, 'if-none-match': '"other"' })).status).toBe(200);
    expect(await raw(target, { ...IDENTITY, range: 'bytes=5-9', 'if-range': etag })).toMatchObject({ status: 206, bytes: bytes.subarray(5, 10) });
    expect((await raw(target, { ...IDENTITY, range: 'bytes=5-9', 'if-range': '"other"' })).bytes).toHaveLength(bytes.length);
    const other = await raw(`${datasetPath}/versions/2/download?format=csv`, IDENTITY);
    expect(other.headers.etag).not.toBe(etag);
    const parquet = await raw(`${path}?format=parquet`, IDENTITY);
    expect(parquet.headers.etag).not.toBe(etag);
  });

  test('is compressed when the caller takes that, under an entity tag of its own', async () => {
    const target = `${path}?format=csv`;
    const plain = await raw(target, IDENTITY);
    const gzip = await raw(target, { 'accept-encoding': 'gzip' });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(gzip.bytes).equals(plain.bytes)).toBe(true);
    expect(gzip.bytes.length).toBeLessThan(plain.bytes.length);
    const zstd = await raw(target, { 'accept-encoding': 'gzip;q=0.5, zstd;q=1.0, *;q=0' });
    expect(zstd.headers['content-encoding']).toBe('zstd');
    expect(zstdDecompressSync(zstd.bytes).equals(plain.bytes)).toBe(true);
    expect(new Set([plain, gzip, zstd].map(({ headers }) => headers.etag)).size).toBe(3);
    expect((await raw(target, { 'accept-encoding': 'gzip', 'if-none-match': gzip.headers.etag ?? '' })).status).toBe(304);
    for (const header of ['br', 'gzip;q=0', 'deflate, br', '']) {
      expect((await raw(target, { 'accept-encoding': header })).headers, header).not.toHaveProperty('content-encoding');
    }
    // A range is one of the plain bytes.
    expect(await raw(target, { 'accept-encoding': 'gzip', range: 'bytes=0-9' })).toMatchObject({ status: 206, bytes: plain.bytes.subarray(0, 10) });
  });

  test('asked for by HEAD tells all but the bytes', async () => {
    const get = await raw(`${path}?format=csv`, IDENTITY);
    const head = await raw(`${path}?format=csv`, IDENTITY, 'HEAD');
    expect(head).toMatchObject({ status: 200, bytes: Buffer.alloc(0) });
    for (const name of ['etag', 'content-length', 'content-type', 'last-modified']) expect(head.headers[name], name).toBe(get.headers[name]);
  });

  test('asked for by HEAD leaves the connection usable, be the answer an error or not', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const target of [`${path}?format=csv`, datasetPath, '/healthz', '/api/nothing', `${path}?format=xlsx`, '/openapi.json']) {
      const head = await raw(target, IDENTITY, 'HEAD', agent);
      const get = await raw(target, IDENTITY, 'GET', agent);
      expect({ target, status: head.status, length: head.headers['content-length'], bytes: head.bytes.length }).toEqual({
        target,
        status: get.status,
        length: String(get.bytes.length),
        bytes: 0,
      });
    }
    agent.destroy();
  });

  test('whose reader goes away at once can be had again, and the dataset be deleted and brought back', async () => {
    const { datasetId } = (await alice.post('/api/datasets', { name: 'Left' })).body as { datasetId: number };
    await alice.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body: sample('birdstrikes.csv') });
    const target = `/api/datasets/${datasetId}/versions/1/download?format=ndjson`;
    for (let count = 0; count < 5; count += 1) {
      const request = httpRequest(`${server.url}${target}`, { headers: { authorization: `Bearer ${await server.token('alice')}` } }).end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.destroy();
    }
    expect((await raw(target, IDENTITY)).status).toBe(200);
    expect((await alice.send('DELETE', `/api/datasets/${datasetId}`)).status).toBe(204);
    expect((await raw(target, IDENTITY)).status).toBe(404);
    expect((await alice.post(`/api/datasets/${datasetId}/undelete`, {})).status).toBe(200);
    expect((await raw(target, IDENTITY)).status).toBe(200);
  });
});
