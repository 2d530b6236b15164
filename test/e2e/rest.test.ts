import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../support/inspect.ts';
import type { Rest, RestAnswer } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** The contract that outside callers rely on, field by field, with nothing but `fetch`. */
let server: TestServer;
let alice: Rest;
let bob: Rest;
let datasetId: number;
let base: string;

const ORDERS = csv('id,item,price', '1,desk,99.5', '2,chair,45.25', '3,lamp,12');
const CHANGED = csv('id,item,price', '1,desk,89.5', '3,lamp,12', '4,shelf,150');
const INSTANT = expect.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/);

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob] = await Promise.all([server.rest('alice'), server.rest('bob')]);
  const created = await alice.post('/api/datasets', { name: 'Orders', description: 'Of a shop', labels: ['shop'], key: ['id'] });
  datasetId = (created.body as { datasetId: number }).datasetId;
  base = `/api/datasets/${datasetId}`;
  await commit('main', ORDERS, '?message=First');
  await commit('main', CHANGED, '?message=Second');
});

afterAll(async () => {
  await server?.stop();
});

const commit = (branch: string, body: Uint8Array, query = '') =>
  alice.send('POST', `${base}/branches/${encodeURIComponent(branch)}/commit${query}`, { body });

const errorOf = ({ status, body }: RestAnswer) => ({ status, ...(body as { error: { code: string; message: string; details: object } }).error });

describe('datasets', () => {
  test('are created, listed and read', async () => {
    const created = await alice.post('/api/datasets', { name: 'Only a name' });
    expect(created.status).toBe(201);
    const dataset = {
      datasetId: expect.any(Number),
      name: 'Only a name',
      description: '',
      labels: [],
      key: null,
      createdBy: 'alice',
      createdAt: INSTANT,
      updatedAt: INSTANT,
    };
    expect(created.body).toEqual(dataset);
    const { body } = await alice.get(`/api/datasets/${(created.body as { datasetId: number }).datasetId}`);
    expect(body).toEqual(created.body);
    const list = await alice.get('/api/datasets?search=shop&limit=10');
    expect(list.body).toEqual({ items: [expect.objectContaining({ datasetId, name: 'Orders', key: ['id'], labels: ['shop'] })] });
  });

  test('are listed in pages', async () => {
    for (let index = 0; index < 3; index += 1) await bob.post('/api/datasets', { name: `Page ${index}` });
    const first = (await bob.get('/api/datasets?limit=2')).body as { items: { name: string }[]; next: string };
    expect(first.items.map(({ name }) => name)).toEqual(['Page 2', 'Page 1']);
    const second = (await bob.get(`/api/datasets?limit=2&cursor=${encodeURIComponent(first.next)}`)).body as typeof first;
    expect(second).toEqual({ items: [expect.objectContaining({ name: 'Page 0' })] });
  });

  test('are not there for strangers', async () => {
    for (const path of ['', '/branches', '/tags', '/versions/1', '/versions/1/download', '/history', '/pointers/main', '/audit', '/permissions']) {
      expect(errorOf(await bob.get(`${base}${path}`)), path).toMatchObject({ status: 404, code: 'not_found' });
    }
    expect(errorOf(await bob.post(`${base}/diff`, { from: '1', to: '2' }))).toMatchObject({ status: 404, code: 'not_found' });
    expect(errorOf(await bob.send('POST', `${base}/branches/main/commit`, { body: ORDERS }))).toMatchObject({ status: 404, code: 'not_found' });
  });
});

describe('commits', () => {
  test('answer 201 with the version and how the file was read', async () => {
    const answer = await commit('shape', ORDERS, '?message=A%20message&format=csv&fileName=orders.csv');
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      datasetId,
      versionId: expect.any(Number),
      branch: 'shape',
      mode: 'replace',
      message: 'A message',
      author: 'alice',
      createdAt: INSTANT,
      parents: [2],
      generation: 2,
      rows: 3,
      bytes: expect.any(Number),
      files: 1,
      schema: [
        { columnId: 1, name: 'id', type: 'BIGINT', nullable: true },
        { columnId: 2, name: 'item', type: 'VARCHAR', nullable: true },
        { columnId: 3, name: 'price', type: 'DOUBLE', nullable: true },
      ],
      key: ['id'],
      conversion: { status: 'complete', errorCount: 0, errors: [] },
      original: { fileName: 'orders.csv', format: 'csv', compression: 'none', bytes: ORDERS.length, sha256: sha256(ORDERS) },
      removedAt: null,
      identical: false,
    });
  });

  test('check the expected head', async () => {
    const stale = await commit('main', ORDERS, '?expectedHead=1');
    expect(errorOf(stale)).toEqual({
      status: 409,
      code: 'conflict',
      message: expect.stringContaining('main'),
      details: { branch: 'main', expectedHead: 1, actualHead: 2 },
    });
    expect(errorOf(await commit('main', ORDERS, '?expectedHead=null'))).toMatchObject({ status: 409, details: { actualHead: 2 } });
    expect((await commit('brand/new', ORDERS, '?expectedHead=null')).status).toBe(201);
    expect(errorOf(await commit('main', ORDERS, '?expectedHead=two'))).toMatchObject({ status: 400, code: 'invalid_input' });
    expect(errorOf(await commit('main', ORDERS, '?expctedHead=2'))).toMatchObject({ status: 400, message: expect.stringContaining('expctedHead') });
  });

  test('repeated with an Idempotency-Key happen once', async () => {
    const headers = { 'idempotency-key': 'a-key-of-the-caller' };
    const path = `${base}/branches/repeated/commit`;
    const [first, second] = await Promise.all([
      alice.send('POST', path, { body: ORDERS, headers }),
      alice.send('POST', path, { body: ORDERS, headers }),
    ]);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(errorOf(await alice.send('POST', `${path}?message=other`, { body: ORDERS, headers }))).toMatchObject({ status: 409, code: 'conflict' });
  });
});

describe('branches, tags and pointers', () => {
  test('are created, listed and read by name, slashes percent-encoded', async () => {
    const branch = {
      name: 'feature/new prices',
      kind: 'branch',
      versionId: 2,
      protected: false,
      createdBy: 'alice',
      createdAt: INSTANT,
      movedAt: INSTANT,
    };
    expect(await alice.post(`${base}/branches`, { name: 'feature/new prices', from: 'main' })).toMatchObject({ status: 201, body: branch });
    const tag = { name: 'v1.0', kind: 'tag', versionId: 1, message: '', createdBy: 'alice', createdAt: INSTANT };
    expect(await alice.post(`${base}/tags`, { name: 'v1.0', ref: 'main~1' })).toMatchObject({ status: 201, body: tag });
    expect(((await alice.get(`${base}/branches`)).body as { items: unknown[] }).items).toContainEqual(branch);
    expect((await alice.get(`${base}/tags`)).body).toEqual({ items: [tag] });
    expect((await alice.get(`${base}/pointers/feature%2Fnew%20prices`)).body).toEqual({ name: 'feature/new prices', kind: 'branch', versionId: 2 });
    expect((await alice.get(`${base}/pointers/v1.0`)).body).toEqual({ name: 'v1.0', kind: 'tag', versionId: 1 });
    expect(errorOf(await alice.get(`${base}/pointers/absent`))).toMatchObject({ status: 404, code: 'not_found' });
    expect(errorOf(await alice.post(`${base}/tags`, { name: 'v1.0', ref: 'main' }))).toMatchObject({ status: 409, code: 'conflict' });
    expect(errorOf(await alice.post(`${base}/branches`, { name: 'v1.0', from: 'main' }))).toMatchObject({ status: 409, code: 'conflict' });
    for (const name of ['42', 'latest', 'a~b', 'a@b', 'a..b', 'a\u0007']) {
      expect(errorOf(await alice.post(`${base}/branches`, { name, from: 'main' }))).toMatchObject({ status: 400, code: 'invalid_input' });
    }
  });

  test('history follows a ref', async () => {
    const { body } = await alice.get(`${base}/history?ref=main`);
    expect((body as { items: { versionId: number; message: string }[] }).items.map(({ versionId, message }) => [versionId, message])).toEqual([
      [2, 'Second'],
      [1, 'First'],
    ]);
    const paged = (await alice.get(`${base}/history?ref=2&limit=1`)).body as { items: unknown[]; next: string };
    expect(paged).toEqual({ items: [expect.objectContaining({ versionId: 2 })], next: expect.any(String) });
    expect((await alice.get(`${base}/history?ref=latest&limit=1&cursor=${encodeURIComponent(paged.next)}`)).body).toEqual({
      items: [expect.objectContaining({ versionId: 1 })],
    });
    expect((await alice.get(`${base}/versions/1`)).body).toMatchObject({ versionId: 1, message: 'First', parents: [], generation: 0 });
  });
});

describe('comparing', () => {
  test('schemas tells what was added, removed, retyped and reordered, and whether data is lost', async () => {
    const renamed = await commit('schema', csv('price,id,colour', '99,1,red'), '?message=Other%20columns');
    const { versionId } = renamed.body as { versionId: number };
    const { body } = await alice.post(`${base}/schema/compare`, { from: '1', to: 'schema' });
    expect(body).toEqual({
      fromVersionId: 1,
      toVersionId: versionId,
      added: [{ columnId: expect.any(Number), name: 'colour', type: 'VARCHAR', nullable: true, compatible: true }],
      removed: [{ columnId: 2, name: 'item', type: 'VARCHAR', nullable: true, compatible: false }],
      retyped: [{ name: 'price', from: 'DOUBLE', to: 'BIGINT', compatible: false }],
      reordered: [expect.objectContaining({ name: expect.stringMatching(/^(id|price)$/) })],
      keyChanged: false,
      compatible: false,
      dataLoss: true,
      rows: { from: 3, to: 1 },
    });
    expect((await alice.post(`${base}/schema/compare`, { from: '1', to: '2' })).body).toMatchObject({
      added: [],
      removed: [],
      retyped: [],
      reordered: [],
      compatible: true,
      dataLoss: false,
      rows: { from: 3, to: 3 },
    });
  });

  test('rows by key gives counts and the changed cells', async () => {
    const { status, body } = await alice.post(`${base}/diff`, { from: '1', to: 'main', key: ['id'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ counts: { added: 1, removed: 1, changed: 1 }, key: ['id'] });
    const { changes } = body as { changes: { kind: string }[]; next?: string };
    expect([...changes].sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
      { kind: 'added', key: { id: 4 }, after: { id: 4, item: 'shelf', price: 150 } },
      {
        kind: 'changed',
        key: { id: 1 },
        before: { id: 1, item: 'desk', price: 99.5 },
        after: { id: 1, item: 'desk', price: 89.5 },
        changed: ['price'],
      },
      { kind: 'removed', key: { id: 2 }, before: { id: 2, item: 'chair', price: 45.25 } },
    ]);
    expect(body).not.toHaveProperty('next');
    // The default is the key of the dataset.
    expect((await alice.post(`${base}/diff`, { from: '1', to: 'main' })).body).toEqual(body);
  });

  test('rows comes in pages with exact counts on each', async () => {
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const { body } = await alice.post(`${base}/diff`, { from: '1', to: '2', limit: 1, ...(cursor === undefined ? {} : { cursor }) });
      const page = body as { counts: object; changes: unknown[]; next?: string };
      expect(page.counts).toEqual({ added: 1, removed: 1, changed: 1 });
      expect(page.changes.length).toBeLessThanOrEqual(1);
      seen.push(...page.changes);
      cursor = page.next;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(3);
    expect((await alice.post(`${base}/diff`, { from: '1', to: '2', limit: 0 })).body).toMatchObject({
      counts: { added: 1, removed: 1, changed: 1 },
      changes: [],
    });
  });

  test('rows without a key counts how often each occurs', async () => {
    await commit('bag', csv('id,item', '1,a', '1,a', '2,b'), '?message=x');
    await commit('bag', csv('id,item', '1,a', '2,b', '2,b', '2,b'), '?message=y');
    const { body } = await alice.post(`${base}/diff`, { from: 'bag~1', to: 'bag', key: null });
    expect(body).toMatchObject({ key: null, counts: { added: 2, removed: 1, changed: 0 } });
    expect((body as { changes: { kind: string }[] }).changes.sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([
      { kind: 'added', row: { id: 2, item: 'b' }, count: 2 },
      { kind: 'removed', row: { id: 1, item: 'a' }, count: 1 },
    ]);
    const duplicate = errorOf(await alice.post(`${base}/diff`, { from: 'bag~1', to: 'bag', key: ['id'] }));
    expect(duplicate).toMatchObject({ status: 422, code: 'unprocessable_data' });
    expect(JSON.stringify(duplicate)).toContain('1');
    await commit('bag', csv('id,item', ',a', '2,b'), '?message=z');
    expect(errorOf(await alice.post(`${base}/diff`, { from: 'main', to: 'bag', key: ['id'] }))).toMatchObject({
      status: 422,
      code: 'unprocessable_data',
    });
    expect(errorOf(await alice.post(`${base}/diff`, { from: '1', to: '2', key: ['nope'] }))).toMatchObject({
      status: 422,
      message: expect.stringContaining('"nope"'),
    });
  });
});
