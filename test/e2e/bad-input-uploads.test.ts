import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { FRAME } from '../../protocol/frame.ts';
import { filesOf, footprint, query, sha256 } from '../support/inspect.ts';
import type { Rest } from '../support/rest.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv, sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const UPLOAD_BYTES_MAX = 400_000;
const EXPANDED_BYTES_MAX = 1_000_000;
const CHUNK_BYTES_MAX = 100_000;

let server: TestServer;
let alice: Client;
let rest: Rest;
let datasetId: number;

beforeAll(async () => {
  const limits = { 'upload-bytes-max': UPLOAD_BYTES_MAX, 'upload-expanded-bytes-max': EXPANDED_BYTES_MAX, 'upload-chunk-bytes-max': CHUNK_BYTES_MAX };
  server = await startTestServer(Object.entries(limits).flatMap(([name, value]) => [`--${name}`, String(value)]));
  [alice, rest] = await Promise.all([server.client('alice'), server.rest('alice')]);
});

afterAll(async () => {
  await server?.stop();
});

beforeEach(async () => {
  ({ datasetId } = await alice.dataset.create({ name: 'Uploads' }));
});

afterEach(async () => {
  expect(await server.leftovers()).toEqual([]);
  expect(await query(server.databaseUrl, 'SELECT upload_id FROM uploads')).toEqual([]);
  const { versionId } = await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  expect((await alice.version.preview({ datasetId, versionId })).rows).toEqual([{ id: 1 }]);
});

const WEATHER = sample('seattle-weather.csv');
const wrongHash = '0'.repeat(64);

async function begin(announced: object = {}): Promise<string> {
  return (await alice.upload.begin({ fileName: 'weather.csv', ...announced })).uploadId;
}

const write = (uploadId: string, offset: number, body: Uint8Array) => alice.upload.write({ uploadId, offset }, { body });
const commit = (uploadId: string, options: object = {}) => alice.upload.commit({ uploadId, datasetId, branch: 'main', ...options });

describe('an upload', () => {
  test('UP4 whose hash differs is refused, stays, and can still be committed as what it is', async () => {
    const uploadId = await begin({ sha256: wrongHash });
    await write(uploadId, 0, WEATHER);
    const details = { expected: wrongHash, actual: sha256(WEATHER) };
    await expect(commit(uploadId)).rejects.toMatchObject({ code: 'unprocessable_data', details });
    const other = await begin();
    await write(other, 0, WEATHER);
    await expect(commit(other, { sha256: wrongHash })).rejects.toMatchObject({ code: 'unprocessable_data', details });
    expect((await alice.branch.list({ datasetId })).items).toEqual([]);
    expect(await commit(other, { sha256: sha256(WEATHER) })).toMatchObject({ versionId: 1, original: { sha256: sha256(WEATHER) } });
    await alice.upload.abort({ uploadId });
  });

  test('UP4 that lacks announced bytes, or has none at all, is not committed', async () => {
    const uploadId = await begin({ bytes: WEATHER.length });
    await expect(commit(uploadId)).rejects.toMatchObject({ code: 'conflict', details: { offset: 0, bytes: WEATHER.length } });
    await write(uploadId, 0, WEATHER.subarray(0, 1000));
    await expect(commit(uploadId)).rejects.toMatchObject({ code: 'conflict', details: { offset: 1000 } });
    await write(uploadId, 1000, WEATHER.subarray(1000));
    await commit(uploadId);
    const empty = await begin();
    await expect(commit(empty)).rejects.toMatchObject({ code: 'unprocessable_data', message: 'the upload is empty' });
    await alice.upload.abort({ uploadId: empty });
  });

  test('UP2 resumed at a wrong offset is told the right one, and nothing is written', async () => {
    const uploadId = await begin();
    await write(uploadId, 0, WEATHER.subarray(0, 1000));
    for (const offset of [0, 500, 1001, Number.MAX_SAFE_INTEGER]) {
      await expect(write(uploadId, offset, new Uint8Array(10))).rejects.toMatchObject({ code: 'conflict', details: { offset: 1000 } });
      const answer = await rest.send('PUT', `/api/uploads/${uploadId}?offset=${offset}`, { body: new Uint8Array(10) });
      expect(answer).toMatchObject({ status: 409, body: { error: { code: 'conflict', details: { offset: 1000 } } } });
    }
    await expect(write(uploadId, -1, new Uint8Array(10))).rejects.toMatchObject({ code: 'invalid_input' });
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: 1000 });
    await write(uploadId, 1000, WEATHER.subarray(1000));
    expect(await commit(uploadId)).toMatchObject({ original: { sha256: sha256(WEATHER) } });
  });

  test('UP3 larger than its limits, or than announced, is refused and can go on where it was', async () => {
    await expect(alice.upload.begin({ bytes: UPLOAD_BYTES_MAX + 1 })).rejects.toMatchObject({
      code: 'payload_too_large',
      details: { bytesMax: UPLOAD_BYTES_MAX },
    });
    const uploadId = await begin({ bytes: 1_000 });
    await expect(write(uploadId, 0, new Uint8Array(1_001))).rejects.toMatchObject({ code: 'payload_too_large' });
    await expect(write(uploadId, 0, new Uint8Array(CHUNK_BYTES_MAX + 1))).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: 0 });
    const body = csv('id', ...Array.from({ length: 497 }, () => '1'), '11');
    expect(body).toHaveLength(1_000);
    await write(uploadId, 0, body.subarray(0, 999));
    expect(await commit(uploadId).catch((error: unknown) => error)).toMatchObject({ code: 'conflict' });
    await write(uploadId, 999, body.subarray(999));
    expect(await commit(uploadId)).toMatchObject({ rows: 498 });
    const endless = await begin();
    for (let offset = 0; offset < UPLOAD_BYTES_MAX; offset += CHUNK_BYTES_MAX) await write(endless, offset, new Uint8Array(CHUNK_BYTES_MAX));
    await expect(write(endless, UPLOAD_BYTES_MAX, new Uint8Array(1))).rejects.toMatchObject({ code: 'payload_too_large' });
    await alice.upload.abort({ uploadId: endless });
  });

  test('UP5 that was aborted or committed is gone', async () => {
    const uploadId = await begin();
    await write(uploadId, 0, WEATHER);
    await alice.upload.abort({ uploadId });
    const attempts = [alice.upload.status({ uploadId }), write(uploadId, 0, WEATHER), commit(uploadId), alice.upload.abort({ uploadId })];
    await Promise.all(attempts.map((attempt) => expect(attempt).rejects.toMatchObject({ code: 'not_found' })));
    const committed = await begin();
    await write(committed, 0, WEATHER);
    await commit(committed);
    await expect(commit(committed)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('UP2 that is written to twice at once keeps one of the two', async () => {
    const uploadId = await begin();
    const halves = [csv('id', '1'), csv('id', '2')];
    const outcomes = await Promise.allSettled(halves.map((half) => write(uploadId, 0, half)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const { original } = await commit(uploadId);
    expect(halves.map(sha256)).toContain(original?.sha256);
  });

  test('UP5 that is committed twice at once becomes one version', async () => {
    const uploadId = await begin();
    await write(uploadId, 0, WEATHER);
    const outcomes = await Promise.allSettled([commit(uploadId), commit(uploadId), commit(uploadId)]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await alice.version.history({ datasetId })).items).toHaveLength(1);
  });
});

describe('a commit with a body', () => {
  test('VC2 larger than an upload may be leaves nothing, over either door', async () => {
    const before = await footprint(server);
    const body = new Uint8Array(UPLOAD_BYTES_MAX + 1).fill(49);
    await expect(alice.version.commit({ datasetId, branch: 'main' }, { body })).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(await rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body })).toMatchObject({
      status: 413,
      body: { error: { code: 'payload_too_large' } },
    });
    expect(await footprint(server)).toEqual(before);
  });

  test('VC2 that expands to more than it may leaves nothing', async () => {
    const before = await footprint(server);
    const bomb = gzipSync(new Uint8Array(50_000_000).fill(48));
    expect(bomb.length).toBeLessThan(UPLOAD_BYTES_MAX);
    const details = { bytesMax: EXPANDED_BYTES_MAX };
    await expect(alice.version.commit({ datasetId, branch: 'main' }, { body: bomb })).rejects.toMatchObject({ code: 'payload_too_large', details });
    expect(await footprint(server)).toEqual(before);
    await expect(alice.upload.file(bomb, { datasetId, branch: 'main' })).rejects.toMatchObject({ code: 'payload_too_large', details });
  });

  test('VC2 whose client goes away in the middle leaves nothing', async () => {
    const before = await footprint(server);
    const { port } = new URL(server.url);
    const client = await RpcClient.open(Number(port), await server.token('alice'));
    client.request(1, 'version.commit', { datasetId, branch: 'main' }, { body: true });
    client.send([FRAME.body, 1, WEATHER.subarray(0, 20_000), false]);
    // The body is on the disk before the connection is cut.
    await expect.poll(() => filesOf(server.dataDir).then((files) => files.length)).toBeGreaterThan(before.files.length);
    client.socket.terminate();
    await expect.poll(() => footprint(server)).toEqual(before);
  });

  test('VC2 whose HTTP client goes away in the middle leaves nothing', async () => {
    const before = await footprint(server);
    const socket = await halfOf(`POST /api/datasets/${datasetId}/branches/main/commit`);
    await expect.poll(() => filesOf(server.dataDir).then((files) => files.length)).toBeGreaterThan(before.files.length);
    socket.destroy();
    await expect.poll(() => footprint(server)).toEqual(before);
  });

  test('UP3 a chunk whose client goes away in the middle can be sent again', async () => {
    const uploadId = await begin({ bytes: WEATHER.length });
    await write(uploadId, 0, WEATHER.subarray(0, 100));
    const socket = await halfOf(`PUT /api/uploads/${uploadId}?offset=100`);
    // Writes wait for each other, so this one is answered only when the broken one is over.
    socket.destroy();
    await write(uploadId, 100, WEATHER.subarray(100));
    expect(await commit(uploadId)).toMatchObject({ original: { sha256: sha256(WEATHER) } });
  });

  /** A request of which the announced body comes in half. */
  async function halfOf(head: string): Promise<ReturnType<typeof connectSocket>> {
    const { port, host } = new URL(server.url);
    const socket = connectSocket(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    const headers = [`authorization: Bearer ${await server.token('alice')}`, `host: ${host}`, `content-length: ${WEATHER.length}`];
    socket.write(`${head} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
    socket.write(WEATHER.subarray(0, 20_000));
    return socket;
  }
});

test('UP5 an abandoned upload expires with its bytes, and UP6 a living one survives a restart', async () => {
  const short = await startTestServer();
  try {
    const bob = await short.client('bob');
    const { uploadId, expiresAt } = await bob.upload.begin({});
    await bob.upload.write({ uploadId, offset: 0 }, { body: WEATHER });
    expect(Date.parse(expiresAt)).toBeGreaterThan(0);
    expect(await short.leftovers()).toHaveLength(1);
    await query(short.databaseUrl, 'UPDATE uploads SET expires_at = now()');
    await expect(bob.upload.status({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    await short.restart();
    expect(await short.leftovers()).toEqual([]);
    expect(await query(short.databaseUrl, 'SELECT upload_id FROM uploads')).toEqual([]);
  } finally {
    await short.stop();
  }
  const uploadId = await begin();
  await write(uploadId, 0, WEATHER.subarray(0, 1000));
  await server.restart();
  [alice, rest] = await Promise.all([server.client('alice'), server.rest('alice')]);
  expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: 1000 });
  await write(uploadId, 1000, WEATHER.subarray(1000));
  expect(await commit(uploadId)).toMatchObject({ original: { sha256: sha256(WEATHER), fileName: 'weather.csv' } });
});
