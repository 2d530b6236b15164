import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationsByName } from '../../protocol/operations/index.ts';
import type { Rest, RestAnswer } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Rest;
let datasetId: number;
let datasetPath: string;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.rest('alice');
  ({ datasetId } = (await alice.post('/api/datasets', { name: 'Answers' })).body as { datasetId: number });
  datasetPath = `/api/datasets/${datasetId}`;
  await alice.send('POST', `${datasetPath}/branches/main/commit`, { body: csv('a', '1') });
});

afterAll(async () => {
  await server?.stop();
});

const INSTANT = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/);

const errorOf = ({ status, body }: RestAnswer) => ({ status, ...(body as { error: { code: string; message: string; details: object } }).error });

describe('answers in JSON', () => {
  const cursor = (position: unknown): string => Buffer.from(JSON.stringify(position)).toString('base64url');

  test('can be kept by the caller alone, and are told again only when they changed', async () => {
    const { headers, status } = await alice.get(datasetPath);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('private, no-cache');
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('vary')).toMatch(/authorization/i);
    const etag = headers.get('etag') ?? '';
    expect(await alice.get(datasetPath, { 'if-none-match': etag })).toMatchObject({ status: 304 });
    await alice.send('PATCH', datasetPath, { body: '{"labels":["changed"]}', headers: { 'content-type': 'application/json' } });
    expect(await alice.get(datasetPath, { 'if-none-match': etag })).toMatchObject({ status: 200 });
  });

  test('are errors of one shape, with their status', async () => {
    const { port } = new URL(server.url);
    const cases: readonly (readonly [string, string, RequestInit, number, string])[] = [
      ['GET', '/api/nothing', {}, 404, 'unknown_operation'],
      ['PUT', datasetPath, {}, 405, 'method_not_allowed'],
      ['POST', '/api/datasets', { body: '{' }, 400, 'invalid_input'],
      ['POST', '/api/datasets', { body: '[]' }, 400, 'invalid_input'],
      ['POST', '/api/datasets', { body: '{"name":1}' }, 400, 'invalid_input'],
      ['POST', '/api/datasets', { body: '{"name":"a","__proto__":{"x":1}}' }, 400, 'invalid_input'],
      ['POST', '/api/datasets', { body: JSON.stringify({ name: 'x', description: 'y'.repeat(2_000_000) }) }, 413, 'payload_too_large'],
      ['GET', '/api/datasets?limit=0', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets?limit=100000', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets?cursor=nonsense', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets?cursor=LTE', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets/0', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets/99999999999', {}, 400, 'invalid_input'],
      ['GET', '/api/datasets/1e3', {}, 404, 'not_found'],
      ['GET', `${datasetPath}/history?cursor=${cursor([1])}`, {}, 200, ''],
      ['GET', `${datasetPath}/history?cursor=${cursor([999_999_999_999])}`, {}, 400, 'invalid_input'],
      ['GET', `${datasetPath}/branches?cursor=${cursor('a\0b')}`, {}, 400, 'invalid_input'],
      ['GET', `${datasetPath}/branches/main/log?cursor=${cursor(Number.MAX_SAFE_INTEGER)}`, {}, 200, ''],
      ['GET', `${datasetPath}/audit?cursor=${cursor(-1)}`, {}, 400, 'invalid_input'],
      ['GET', `${datasetPath}/permissions?cursor=${cursor(Number.MAX_SAFE_INTEGER)}`, {}, 200, ''],
      ['GET', `/api/datasets?cursor=${cursor(Number.MAX_SAFE_INTEGER)}`, {}, 400, 'invalid_input'],
      [
        'POST',
        `${datasetPath}/diff`,
        { body: JSON.stringify({ from: '1', to: '1', cursor: cursor([0, 1, 999_999_999_999]) }) },
        400,
        'invalid_input',
      ],
      ['POST', `${datasetPath}/diff`, { body: JSON.stringify({ from: '1', to: '1', cursor: cursor([1e15, 1, 1]) }) }, 200, ''],
    ];
    for (const [method, target, init, status, code] of cases) {
      const answer = await alice.send(method, target, { headers: { 'content-type': 'application/json' }, ...(init as object) });
      expect({ target, status: answer.status }, JSON.stringify(answer.body)).toEqual({ target, status });
      if (code === '') continue;
      expect(answer.body, target).toEqual({ error: { code, message: expect.any(String), details: expect.any(Object) } });
    }
    const unauthenticated = await fetch(`http://127.0.0.1:${port}${datasetPath}`);
    expect(unauthenticated.status).toBe(401);
    expect(unauthenticated.headers.get('www-authenticate')).toContain('Bearer');
  });
});

describe('what needs no token', () => {
  const get = (target: string) => fetch(`${server.url}${target}`);

  test('health, readiness and the front page', async () => {
    for (const target of ['/healthz', '/readyz', '/']) expect((await get(target)).status, target).toBe(200);
    expect((await get('/')).headers.get('content-type')).toContain('text/html');
    expect((await get('/../../etc/passwd')).status).toBe(404);
  });

  test('the description of the API has every route, with its parameters, and is well formed', async () => {
    const description = (await (await get('/openapi.json')).json()) as {
      openapi: string;
      info: object;
      paths: Record<string, Record<string, Described>>;
    };
    expect(description).toMatchObject({ openapi: '3.1.0', info: { title: expect.any(String), version: expect.any(String) } });
    for (const [name, { http, summary }] of operationsByName) {
      if (http === undefined) continue;
      const described = description.paths[http.path]?.[http.method.toLowerCase()];
      expect(described, name).toMatchObject({ operationId: expect.stringMatching(/\w/), summary });
      const inPath = described?.parameters?.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name) ?? [];
      expect(inPath.sort(), name).toEqual([...http.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter).sort());
      expect(Object.keys(described?.responses ?? {}), name).toContain(String(http.status ?? 200));
    }
    expect(dangling(description)).toEqual([]);
    const ids = Object.values(description.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
    expect(new Set(ids).size).toBe(ids.length);
  });

  interface Described {
    readonly operationId: string;
    readonly parameters?: readonly { readonly name: string; readonly in: string }[];
    readonly responses: Record<string, unknown>;
  }

  /** References that lead nowhere. */
  function dangling(document: object): string[] {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, reference]) => reference as string);
    return references.filter((reference) => {
      const found = reference
        .split('/')
        .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step.replaceAll('~1', '/')], document);
      return found === undefined;
    });
  }
});

describe('permissions and audit', () => {
  test('grants are given to users and groups, listed and taken back', async () => {
    const answer = await alice.post(`${datasetPath}/permissions`, {
      principal: 'group:team-b',
      permission: 'read',
      validUntil: '2999-01-31T00:00:00+02:00',
    });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      grantId: expect.any(Number),
      datasetId,
      principal: 'group:team-b',
      permission: 'read',
      validFrom: null,
      validUntil: '2999-01-30T22:00:00.000Z',
      grantedBy: 'alice',
      grantedAt: INSTANT,
    });
    const { grantId } = answer.body as { grantId: number };
    const carol = await server.rest('carol', { claims: { groups: ['team-b'] } });
    expect((await carol.get(datasetPath)).status).toBe(200);
    expect(errorOf(await carol.post(`${datasetPath}/tags`, { name: 'mine', ref: 'main' }))).toMatchObject({ status: 403, code: 'forbidden' });
    expect((await alice.send('DELETE', `${datasetPath}/permissions/${grantId}`)).status).toBe(204);
    expect((await carol.get(datasetPath)).status).toBe(404);
    for (const broken of [
      { principal: 'bob' },
      { principal: 'user:' },
      { principal: 'user:bob', permission: 'own' },
      { principal: 'user:bob', validFrom: 'soon' },
    ]) {
      expect(errorOf(await alice.post(`${datasetPath}/permissions`, { permission: 'read', ...broken }))).toMatchObject({
        status: 400,
        code: 'invalid_input',
      });
    }
  });

  test('the audit names who did what from where', async () => {
    const { body } = await alice.get(`${datasetPath}/audit?limit=1000`);
    const entries = (body as { items: Record<string, unknown>[] }).items;
    expect(entries.at(-1)).toEqual({
      sequence: expect.any(Number),
      at: INSTANT,
      lastAt: INSTANT,
      count: 1,
      actor: 'alice',
      operation: 'dataset.create',
      datasetId,
      versionId: null,
      requestId: expect.any(String),
      address: expect.stringMatching(/127\.0\.0\.1|::1/),
      outcome: 'ok',
      detail: expect.any(Object),
    });
    expect(entries.filter(({ operation, versionId }) => operation === 'version.commit' && versionId === 1)).toHaveLength(1);
  });
});
