import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { accessTo, startTestServer, type TestServer } from '../support/socket-server.ts';

let server: TestServer;
/** What the handlers were given, latest last. */
const inputs: Record<string, unknown>[] = [];
const keys: (string | undefined)[] = [];
let cancelled = 0;

const note = (input: Record<string, unknown>, context?: CallContext): Record<string, unknown> => {
  inputs.push(input);
  keys.push(context?.provenance.idempotency?.key);
  return { ...input };
};

async function count(body: AsyncIterable<Uint8Array> | undefined): Promise<number> {
  let bytes = 0;
  for await (const chunk of body ?? []) bytes += chunk.length;
  return bytes;
}

async function* events({ after }: { after?: number }, { signal }: CallContext): AsyncGenerator<unknown> {
  yield { sequence: after ?? 0, blob: new Uint8Array([1, 2, 3]), big: 2n ** 60n };
  if (after === 1) throw new CovistaError('slow_consumer', 'fell behind', { at: 1 });
  if (after === 2) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    cancelled += 1;
    throw signal.reason;
  }
}

beforeAll(async () => {
  server = await startTestServer({
    limits: { httpJsonBytesMax: 2_000, streamCreditBytes: 65_536 },
    authorize: (_actor, permission, datasetId) => {
      if (datasetId === 404) throw new CovistaError('not_found', 'there is no dataset 404', { datasetId });
      return accessTo(datasetId, permission);
    },
    handlers: {
      'dataset.create': note,
      'dataset.list': note,
      'dataset.get': note,
      'dataset.delete': () => ({}),
      'dataset.watch': events,
      'branch.get': note,
      'branch.delete': note,
      'branch.protect': note,
      'version.preview': note,
      'version.history': note,
      'grant.list': () => {
        throw new CovistaError('rate_limited', 'slower', { retryAfterMs: 1_500 });
      },
      'audit.list': () => {
        throw new TypeError('a secret');
      },
      'version.commit': async (input: Record<string, unknown>, context: CallContext) => ({
        ...note(input, context),
        bytes: await count(context.body),
      }),
      'upload.write': async (input: Record<string, unknown>) => note(input),
    },
  });
});

afterAll(() => server.close());

const json = (body: unknown, method = 'POST', type = 'application/json'): RequestInit => ({
  method,
  headers: { 'content-type': type },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

async function errorOf(response: Response): Promise<{ status: number; code: string; message: string; details: Record<string, unknown> }> {
  const { error } = (await response.json()) as { error: { code: string; message: string; details: Record<string, unknown> } };
  return { status: response.status, ...error };
}

describe('paths and methods', () => {
  test('REST1 path parameters are decoded, slashes in branch names too, and fixed segments win over parameters', async () => {
    await server.fetch('/api/datasets/7/branches/team%2Fjan%20%C3%A4');
    expect(inputs.at(-1)).toEqual({ datasetId: 7, branch: 'team/jan ä' });
    expect((await server.fetch('/api/datasets/7/branches/a/b')).status).toBe(404);
  });

  test.each(['%', '%zz', '%ff', 'a%2'])('REST1 the malformed encoding %s is invalid_input', async (segment) => {
    expect(await errorOf(await server.fetch(`/api/datasets/7/branches/${segment}`))).toMatchObject({ status: 400, code: 'invalid_input' });
  });

  test.each(['abc', '-1', '0', '1.5', '1e3', '99999999999', '0x1', '%201'])('REST3 the dataset number %s is invalid_input', async (segment) => {
    const response = await server.fetch(`/api/datasets/${segment}`);
    if (segment === '1e3') expect(inputs.at(-1)).toEqual({ datasetId: 1_000 });
    else expect(await errorOf(response)).toMatchObject({ status: 400, code: 'invalid_input', details: { issues: [{ path: 'datasetId' }] } });
  });

  test.each(['/', '/api', '/api/', '/api/nothing', '/api/datasets/', '/api/datasets//branches', '/api/datasets/1/branches/main/nothing'])(
    'REST1 %s is unknown_operation',
    async (path) => {
      expect(await errorOf(await server.fetch(path))).toMatchObject({ status: 404, code: 'unknown_operation' });
    },
  );

  test('REST2 another method is 405 with Allow; HEAD goes with GET and has no body', async () => {
    const response = await server.fetch('/api/datasets/7', { method: 'PUT' });
    expect(response.headers.get('allow')).toBe('DELETE, GET, HEAD, PATCH');
    expect(await errorOf(response)).toMatchObject({
      status: 405,
      code: 'method_not_allowed',
      details: { allow: ['DELETE', 'GET', 'HEAD', 'PATCH'] },
    });
    expect((await server.fetch('/api/datasets/7', { method: 'OPTIONS' })).status).toBe(405);
    const head = await server.fetch('/api/datasets/7', { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe('');
    expect(head.headers.get('content-length')).toBe(String('{"datasetId":7}'.length));
  });
});

describe('the query', () => {
  test('REST3 numbers, lists (repeated or with commas), flags and null are read by the schema', async () => {
    await server.fetch('/api/datasets/1/versions/2/preview?startRow=5&endRow=10&columns=a,b');
    expect(inputs.at(-1)).toEqual({ datasetId: 1, versionId: 2, startRow: 5, endRow: 10, columns: ['a', 'b'] });
    await server.fetch('/api/datasets/1/versions/2/preview?columns=a%2Cb&columns=c');
    expect(inputs.at(-1)).toMatchObject({ columns: ['a,b', 'c'] });
    await server.fetch('/api/datasets/1/branches/main?expectedHead=null', { method: 'DELETE' });
    expect(inputs.at(-1)).toEqual({ datasetId: 1, branch: 'main', expectedHead: null });
    await server.fetch('/api/datasets/1/branches/main/commit?strict=true&key=a,b&message=h%C3%A4&expectedHead=3', { method: 'POST', body: 'x' });
    expect(inputs.at(-1)).toMatchObject({ strict: true, key: ['a', 'b'], message: 'hä', expectedHead: 3, mode: 'replace' });
    await server.fetch('/api/datasets?search=true&limit=3');
    expect(inputs.at(-1)).toMatchObject({ search: 'true', limit: 3 });
  });

  test.each(['limit=x', 'limit=', 'limit=1&limit=2', 'limit=0', 'limit=1001', 'nothing=1', 'serch=x', '__proto__=1', 'constructor=1'])(
    'REST3 NAME4 ?%s is invalid_input',
    async (query) => {
      expect(await errorOf(await server.fetch(`/api/datasets?${query}`))).toMatchObject({ status: 400, code: 'invalid_input' });
    },
  );
});

describe('JSON bodies', () => {
  test('REST4 a JSON object is the input', async () => {
    const response = await server.fetch('/api/datasets', json({ name: 'Orders', labels: ['a'] }, 'POST', 'application/json; charset=utf-8'));
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ name: 'Orders', description: '', labels: ['a'], key: null });
  });

  test.each([
    ['text that is no JSON', '{"name":', 'application/json'],
    ['a list', '[]', 'application/json'],
    ['a number', '5', 'application/json'],
    ['null', 'null', 'application/json'],
    ['another type', 'name=x', 'application/x-www-form-urlencoded'],
    ['no type', '{"name":"x"}', ''],
    ['bytes that are not UTF-8', '{"name":"\xff"}', 'application/json'],
    ['an unknown field', '{"name":"x","nmae":"y"}', 'application/json'],
    ['a field of the wrong type', '{"name":5}', 'application/json'],
    ['a prototype', '{"name":"x","__proto__":{"description":"y"}}', 'application/json'],
    ['nothing', '', 'application/json'],
  ])('REST4 %s is invalid_input', async (_what, body, type) => {
    const response = await server.fetch('/api/datasets', { method: 'POST', headers: { 'content-type': type }, body: Buffer.from(body, 'latin1') });
    expect(await errorOf(response)).toMatchObject({ status: 400, code: 'invalid_input' });
  });

  test('REST4 a body that is too large is payload_too_large, and the connection serves on', async () => {
    const response = await server.fetch('/api/datasets', json({ name: 'x', description: 'y'.repeat(500_000) }));
    expect(await errorOf(response)).toMatchObject({ status: 413, code: 'payload_too_large' });
    expect((await server.fetch('/api/session')).status).toBe(200);
  });

  test('REST3 the path wins over the body', async () => {
    await server.fetch('/api/datasets/7/branches/main/protection', json({ datasetId: 8, branch: 'other', protected: true }, 'PUT'));
    expect(inputs.at(-1)).toEqual({ datasetId: 7, branch: 'main', protected: true });
  });
});

describe('raw bodies', () => {
  test('REST5 bytes stream to the handler, of known and of unknown length, with the other fields from the query', async () => {
    const bytes = new Uint8Array(3_000_000).fill(7);
    const known = await server.fetch('/api/datasets/1/branches/main/commit?message=m', { method: 'POST', body: bytes });
    expect([known.status, await known.json()]).toEqual([201, expect.objectContaining({ bytes: bytes.length, message: 'm' })]);
    const chunks = new ReadableStream({
      start: (controller) => {
        for (let at = 0; at < bytes.length; at += 100_000) controller.enqueue(bytes.subarray(at, at + 100_000));
        controller.close();
      },
    });
    const streamed = await server.fetch('/api/datasets/1/branches/main/commit', { method: 'POST', body: chunks, duplex: 'half' } as RequestInit);
    expect(await streamed.json()).toMatchObject({ bytes: bytes.length });
    const empty = await server.fetch('/api/datasets/1/branches/main/commit', { method: 'POST' });
    expect(await empty.json()).toMatchObject({ bytes: 0 });
  });

  test('REST5 a handler that answers without reading a large body is heard, and the connection serves on', async () => {
    const path = '/api/uploads/5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e?offset=0';
    const response = await server.fetch(path, { method: 'PUT', body: new Uint8Array(2_000_000) });
    expect(await response.json()).toMatchObject({ offset: 0 });
    expect((await server.fetch('/api/session')).status).toBe(200);
  });
});

describe('answers', () => {
  test('REST6 errors have their status, a request id, and nothing of a fault', async () => {
    const response = await server.fetch('/api/datasets/1/audit');
    const error = await errorOf(response);
    expect(error).toMatchObject({ status: 500, code: 'internal', details: { requestId: response.headers.get('x-request-id') } });
    expect(JSON.stringify(error)).not.toContain('secret');
    expect(await errorOf(await server.fetch('/api/datasets/404'))).toMatchObject({ status: 404, code: 'not_found' });
    const limited = await server.fetch('/api/datasets/1/permissions');
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '2']);
  });

  test('REST7 what is read may be kept only by its reader and be used only after asking: ETag and 304', async () => {
    const first = await server.fetch('/api/datasets/7');
    expect(first.headers.get('cache-control')).toBe('private, no-cache');
    expect(first.headers.get('vary')).toBe('authorization');
    const etag = first.headers.get('etag') as string;
    expect(etag).toMatch(/^"[\w-]+"$/);
    const again = await server.fetch('/api/datasets/7', { headers: { 'if-none-match': `"other", W/${etag}` } });
    expect([again.status, await again.text(), again.headers.get('etag')]).toEqual([304, '', etag]);
    expect((await server.fetch('/api/datasets/8', { headers: { 'if-none-match': etag } })).status).toBe(200);
    expect((await server.fetch('/api/datasets/7', { headers: { 'if-none-match': '*' } })).status).toBe(304);
  });

  test('REST6 204 has no body', async () => {
    const response = await server.fetch('/api/datasets/7', { method: 'DELETE' });
    expect([response.status, await response.text()]).toEqual([204, '']);
  });

  test('REST8 a stream is one item a line, with bytes in base64 and large integers as text; an error is its last line', async () => {
    const whole = await server.fetch('/api/datasets/1/events');
    expect(whole.headers.get('content-type')).toBe('application/x-ndjson; charset=utf-8');
    expect(await whole.text()).toBe('{"sequence":0,"blob":"AQID","big":"1152921504606846976"}\n');
    const broken = (await (await server.fetch('/api/datasets/1/events?after=1')).text()).trim().split('\n');
    expect(broken.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ sequence: 1 }),
      { error: { code: 'slow_consumer', message: 'fell behind', details: { at: 1 } } },
    ]);
  });

  test('REST8 a caller who goes away ends the stream', async () => {
    const controller = new AbortController();
    const response = await server.fetch('/api/datasets/1/events?after=2', { signal: controller.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const before = cancelled;
    controller.abort();
    await expect.poll(() => cancelled).toBe(before + 1);
  });

  test('AUTH8 a stream without end ends with its token', async () => {
    const token = await server.token({ ttlMs: 3_000 });
    const response = await server.fetch('/api/datasets/1/events?after=2', { headers: { authorization: `Bearer ${token}` } });
    expect((await response.text()).trim().split('\n').at(-1)).toContain('"code":"session_expired"');
  });

  test('REST9 the header Idempotency-Key reaches the command, and a key that is none is invalid_input', async () => {
    await server.fetch('/api/datasets/1/branches/main/commit', { method: 'POST', body: 'x', headers: { 'idempotency-key': 'k-1' } });
    expect(keys.at(-1)).toBe('k-1');
    const long = await server.fetch('/api/datasets/1/branches/main/commit', {
      method: 'POST',
      body: 'x',
      headers: { 'idempotency-key': 'k'.repeat(201) },
    });
    expect(await errorOf(long)).toMatchObject({ status: 400, code: 'invalid_input' });
  });
});
