import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import type { FileHead } from '../../protocol/operations/version.ts';
import { chooseEncoding, parseRange } from '../../server/gateway/request-headers.ts';
import { disposition } from '../../server/gateway/rest-response.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

const MiB = 1024 * 1024;
const CONTENT = new Uint8Array(3 * MiB).map((_, index) => (index * 7 + (index >> 8)) & 0xff);

interface DownloadInput {
  readonly versionId: number;
  readonly encoding: FileHead['encoding'];
  readonly range?: { readonly start?: number; readonly end?: number };
}

let server: TestServer;
const inputs: DownloadInput[] = [];
let opened = 0;
let released = 0;
let producedBytes = 0;

/** Version 1 is the content, 2 is empty, 3 breaks in the middle, 4 never ends, 5 is shorter than it says. */
async function* download(input: DownloadInput, { signal }: CallContext): AsyncGenerator<FileHead | Uint8Array> {
  inputs.push(input);
  opened += 1;
  try {
    const size = input.versionId === 2 ? 0 : CONTENT.length;
    const { start, end } = rangeOf(input.range, size);
    yield headOf(input, size, start, end);
    for (let at = start; at < end; at += 100_000) {
      signal.throwIfAborted();
      if (input.versionId === 3 && at > MiB) throw new Error('the disk is gone');
      if (input.versionId === 5 && at > MiB) return;
      const chunk = CONTENT.subarray(at, Math.min(at + 100_000, end));
      producedBytes += chunk.length;
      yield chunk;
      if (input.versionId === 4) at -= 100_000;
    }
  } finally {
    released += 1;
  }
}

function rangeOf(range: DownloadInput['range'], size: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: size };
  const start = range.start ?? Math.max(0, size - (range.end ?? 0));
  const end = range.start === undefined ? size : Math.min(size, (range.end ?? size - 1) + 1);
  if (start >= end) throw new CovistaError('range_not_satisfiable', 'nothing there', { bytes: size });
  return { start, end };
}

function headOf({ versionId, encoding, range }: DownloadInput, size: number, start: number, end: number): FileHead {
  const isEndless = versionId === 4 || encoding !== 'identity';
  return {
    contentType: 'text/csv; charset=utf-8',
    fileName: 'Verkäufe "2026".csv',
    bytes: isEndless ? null : end - start,
    totalBytes: isEndless ? null : size,
    rangeStart: range === undefined ? null : start,
    etag: encoding === 'identity' ? '"abc"' : `"abc-${encoding}"`,
    encoding,
    lastModified: '2026-01-31T10:00:00.500Z',
  };
}

beforeAll(async () => {
  server = await startTestServer({ handlers: { 'version.download': download } });
});

afterAll(() => server.close());

const path = (versionId: number, query = '') => `/api/datasets/1/versions/${versionId}/download${query}`;
const get = (versionId: number, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
  server.fetch(path(versionId), { method, headers: { 'accept-encoding': 'identity', ...headers } });
const bytesOf = async (response: Response): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer());

describe('a whole file', () => {
  test('REST10 comes with its length, type, name, tag and time', async () => {
    const response = await get(1);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-length': String(CONTENT.length),
      'content-type': 'text/csv; charset=utf-8',
      'content-disposition': `attachment; filename="Verk_ufe _2026_.csv"; filename*=UTF-8''Verk%C3%A4ufe%20%222026%22.csv`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      'last-modified': 'Sat, 31 Jan 2026 10:00:00 GMT',
      etag: '"abc"',
      vary: 'accept-encoding, authorization',
      'x-content-type-options': 'nosniff',
    });
    expect(Buffer.compare(await bytesOf(response), CONTENT)).toBe(0);
  });

  test('REST10 an empty file is empty', async () => {
    const response = await get(2);
    expect([response.status, response.headers.get('content-length'), (await bytesOf(response)).length]).toEqual([200, '0', 0]);
  });

  test('REST10 HEAD says the same without the bytes and releases the file', async () => {
    const response = await get(1, {}, 'HEAD');
    expect([response.status, response.headers.get('content-length'), (await bytesOf(response)).length]).toEqual([200, String(CONTENT.length), 0]);
    expect(released).toBe(opened);
  });

  test('REST10 a caller who has the file is told so with 304', async () => {
    const response = await get(1, { 'if-none-match': 'W/"abc"' });
    expect([response.status, response.headers.get('etag'), (await bytesOf(response)).length]).toEqual([304, '"abc"', 0]);
    expect(released).toBe(opened);
    expect((await get(1, { 'if-none-match': '"abd"' })).status).toBe(200);
  });

  test.each([3, 5])(
    'REST10 a file that breaks off (version %i) cuts the connection, so that nobody takes the part for the whole',
    async (versionId) => {
      const response = await get(versionId);
      expect(response.status).toBe(200);
      await expect(response.arrayBuffer()).rejects.toThrow();
      expect((await get(2)).status).toBe(200);
    },
  );

  test('REST10 RPC19 a reader who does not read stops the file, and going away releases it', async () => {
    const before = { producedBytes, released };
    const socket = connect(server.port, '127.0.0.1');
    const token = await server.token();
    socket.write(`GET ${path(4)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    await expect.poll(() => producedBytes).toBeGreaterThan(before.producedBytes);
    socket.pause();
    let latest = -1;
    const isStill = (): boolean => {
      const earlier = latest;
      latest = producedBytes;
      return earlier === latest;
    };
    await expect.poll(isStill, { interval: 200, timeout: 20_000 }).toBe(true);
    expect(producedBytes - before.producedBytes).toBeLessThan(24 * MiB);
    socket.destroy();
    await expect.poll(() => released).toBe(before.released + 1);
  });
});

describe('a range', () => {
  test.each([
    ['bytes=0-9', 0, 10],
    ['bytes=100-', 100, CONTENT.length],
    ['bytes=-5', CONTENT.length - 5, CONTENT.length],
    [`bytes=10-${CONTENT.length * 2}`, 10, CONTENT.length],
    ['BYTES= 7-7', 7, 8],
  ])('REST11 %s is 206 with its Content-Range', async (range, start, end) => {
    const response = await get(1, { range });
    expect([response.status, response.headers.get('content-range'), response.headers.get('content-length')]).toEqual([
      206,
      `bytes ${start}-${end - 1}/${CONTENT.length}`,
      String(end - start),
    ]);
    expect(Buffer.compare(await bytesOf(response), CONTENT.subarray(start, end))).toBe(0);
  });

  test.each(['bytes=0-1,5-6', 'items=0-5', 'bytes=5-1', 'bytes=', 'bytes=-', 'bytes=a-b', 'nonsense'])(
    'REST11 %s is no single range of bytes and is ignored',
    async (range) => {
      const response = await get(2, { range });
      expect(response.status).toBe(200);
    },
  );

  test('REST11 a range outside of the file is 416 and says how large the file is', async () => {
    for (const range of [`bytes=${CONTENT.length}-`, 'bytes=-0']) {
      const response = await get(1, { range });
      expect([response.status, response.headers.get('content-range')]).toEqual([416, `bytes */${CONTENT.length}`]);
      expect(await response.json()).toMatchObject({ error: { code: 'range_not_satisfiable' } });
    }
  });

  test.each([
    ['"abc"', 206],
    ['"abd"', 200],
    ['W/"abc"', 200],
    ['Sat, 31 Jan 2026 10:00:00 GMT', 206],
    ['Sat, 31 Jan 2026 10:00:01 GMT', 200],
    ['nonsense', 200],
  ])('REST11 If-Range: %s makes it %i', async (validator, status) => {
    const response = await get(1, { range: 'bytes=0-9', 'if-range': validator });
    expect([response.status, (await bytesOf(response)).length]).toEqual([status, status === 206 ? 10 : CONTENT.length]);
    expect(released).toBe(opened);
  });

  test('REST11 If-Range of another file makes even an impossible range the whole file', async () => {
    expect((await get(1, { range: `bytes=${CONTENT.length}-`, 'if-range': '"abd"' })).status).toBe(200);
    expect((await get(1, { range: `bytes=${CONTENT.length}-`, 'if-range': '"abc"' })).status).toBe(416);
  });
});

describe('an encoding', () => {
  test.each([
    ['gzip', 'gzip'],
    ['gzip, deflate, br, zstd', 'zstd'],
    ['gzip;q=1, zstd;q=0.5', 'gzip'],
    ['zstd;q=0, gzip;q=0.1', 'gzip'],
    ['identity, gzip;q=0.5', 'identity'],
    ['identity;q=0.5, gzip', 'gzip'],
    ['br', 'identity'],
    ['*', 'identity'],
    ['', 'identity'],
    ['GZIP ; Q=0.8', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip;q=5', 'identity'],
    ['gzip;q=0', 'identity'],
    [',,;;', 'identity'],
  ])('REST11 Accept-Encoding: %s asks for %s', async (header, encoding) => {
    await get(2, { 'accept-encoding': header }, 'HEAD');
    expect(inputs.at(-1)?.encoding).toBe(encoding);
  });

  test('REST11 the query wins over the header, and what it asks for is named in the answer', async () => {
    const response = await server.fetch(path(2, '?encoding=gzip'), { headers: { 'accept-encoding': 'zstd' }, method: 'HEAD' });
    expect(inputs.at(-1)?.encoding).toBe('gzip');
    expect([response.headers.get('content-encoding'), response.headers.get('etag')]).toEqual(['gzip', '"abc-gzip"']);
  });

  test('REST11 none of those offered is undefined', () => {
    expect(chooseEncoding('identity;q=0', ['identity', 'gzip'])).toBeUndefined();
    expect(chooseEncoding('*;q=0', ['identity', 'gzip'])).toBeUndefined();
    expect(chooseEncoding('*;q=0, gzip', ['identity', 'gzip'])).toBe('gzip');
  });
});

describe('parts', () => {
  test('REST11 numbers beyond any file are no range', () => {
    expect(parseRange('bytes=99999999999999999999-')).toBeUndefined();
  });

  test.each([
    ['a.csv', `attachment; filename="a.csv"; filename*=UTF-8''a.csv`],
    ['a\r\nSet-Cookie: x', `attachment; filename="a__Set-Cookie: x"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x`],
    [`it's (1)*.csv`, `attachment; filename="it's (1)*.csv"; filename*=UTF-8''it%27s%20%281%29%2A.csv`],
    ['数据.csv', `attachment; filename="__.csv"; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv`],
  ])('REST10 the file name %j cannot break out of its header', (name, header) => {
    expect(disposition(name)).toBe(header);
  });
});
