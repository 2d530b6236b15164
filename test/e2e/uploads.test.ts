import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  server = await startTestServer(['--upload-bytes-max', '100000', '--upload-chunk-bytes-max', '50000']);
  [alice, bob] = await Promise.all([server.client('alice'), server.client('bob')]);
});

afterAll(async () => {
  await server?.stop();
});

const DATA = csv('id,name', '1,one', '2,two', '3,three');
const HALF = 10;
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function half(announced: { bytes?: number; sha256?: string } = { bytes: DATA.length }): Promise<string> {
  const { uploadId, offset } = await alice.upload.begin({ fileName: 'numbers.csv', ...announced });
  expect(offset).toBe(0);
  expect(await alice.upload.write({ uploadId, offset: 0 }, { body: DATA.subarray(0, HALF) })).toMatchObject({ offset: HALF });
  return uploadId;
}

const finish = (uploadId: string) => alice.upload.write({ uploadId, offset: HALF }, { body: DATA.subarray(HALF) });

describe('uploads', () => {
  test('UP5 an upload in pieces becomes a version, and ends with it', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'Uploaded' });
    const uploadId = await half({ bytes: DATA.length, sha256: hashOf(DATA) });
    await finish(uploadId);
    const version = await alice.upload.commit({ uploadId, datasetId, branch: 'main', message: 'In pieces' });
    expect(version).toMatchObject({
      versionId: 1,
      rows: 3,
      original: { fileName: 'numbers.csv', bytes: DATA.length, sha256: hashOf(DATA), format: 'csv' },
    });
    await expect(alice.upload.status({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await server.leftovers()).toEqual([]);
  });

  test('UP7 a dataset is made of an upload together with its first version, once, and its creator is its admin', async () => {
    const uploadId = await half();
    await finish(uploadId);
    const input = { uploadId, name: 'Made of it', labels: ['new'], key: ['id'], message: 'Whole', sha256: hashOf(DATA) };
    const idempotencyKey = 'make it once';
    const version = await alice.upload.createDataset(input, { idempotencyKey });
    expect(version).toMatchObject({ versionId: 1, branch: 'main', mode: 'replace', rows: 3, parents: [], key: ['id'], message: 'Whole' });
    const { datasetId } = version;
    expect(await alice.upload.createDataset(input, { idempotencyKey })).toEqual(version);
    expect((await alice.dataset.list({ search: 'Made of it' })).items).toMatchObject([
      { datasetId, labels: ['new'], key: ['id'], createdBy: 'alice' },
    ]);
    expect((await alice.grant.list({ datasetId })).items).toMatchObject([{ principal: 'user:alice', permission: 'admin' }]);
    const { items } = await alice.audit.list({ datasetId, operation: 'upload.createDataset' });
    expect(items).toMatchObject([{ actor: 'alice', versionId: 1, detail: { name: 'Made of it', branch: 'main', rows: 3 } }]);
    await expect(alice.upload.status({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await server.leftovers()).toEqual([]);
    await alice.version.commit({ datasetId, branch: 'main', mode: 'upsert' }, { body: csv('id,name', '3,drei') });
    expect(await alice.version.get({ datasetId, versionId: 2 })).toMatchObject({ rows: 3, parents: [1] });
  });

  test('UP7 an upload that makes no version makes no dataset, and stays', async () => {
    const uploadId = await half();
    const named = async () => (await alice.dataset.list({ search: 'Never' })).items;
    await expect(alice.upload.createDataset({ uploadId, name: 'Never' })).rejects.toMatchObject({ code: 'conflict' });
    await finish(uploadId);
    await expect(bob.upload.createDataset({ uploadId, name: 'Never' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(alice.upload.createDataset({ uploadId, name: 'Never', sha256: hashOf(csv('id')) })).rejects.toMatchObject({
      code: 'unprocessable_data',
    });
    await expect(alice.upload.createDataset({ uploadId, name: 'Never', format: 'parquet' })).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect(await named()).toEqual([]);
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: DATA.length });
    await alice.upload.abort({ uploadId });
    await expect(alice.upload.createDataset({ uploadId, name: 'Never' })).rejects.toMatchObject({ code: 'not_found' });
    expect(await named()).toEqual([]);
  });

  test('UP5 an aborted upload is gone with its bytes', async () => {
    const uploadId = await half();
    expect(await server.leftovers()).toEqual([uploadId]);
    await alice.upload.abort({ uploadId });
    await expect(finish(uploadId)).rejects.toMatchObject({ code: 'not_found' });
    expect(await server.leftovers()).toEqual([]);
  });

  test('UP1 an upload does not exist for anybody else', async () => {
    const uploadId = await half();
    const { datasetId } = await bob.dataset.create({ name: "Bob's" });
    await expect(bob.upload.status({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.upload.write({ uploadId, offset: HALF }, { body: DATA })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.upload.commit({ uploadId, datasetId, branch: 'main' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.upload.abort({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    await alice.upload.abort({ uploadId });
  });

  test('UP2 a write at another offset is refused with the right one, and nothing is written', async () => {
    const uploadId = await half();
    for (const offset of [0, HALF - 1, HALF + 1]) {
      await expect(alice.upload.write({ uploadId, offset }, { body: DATA })).rejects.toMatchObject({ code: 'conflict', details: { offset: HALF } });
    }
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: HALF });
    expect(await finish(uploadId)).toMatchObject({ offset: DATA.length });
    await alice.upload.abort({ uploadId });
  });

  test('UP3 more than was announced or may be is refused, and what was accepted stays', async () => {
    const uploadId = await half();
    const tooMuch = new Uint8Array(DATA.length);
    await expect(alice.upload.write({ uploadId, offset: HALF }, { body: tooMuch })).rejects.toMatchObject({ code: 'payload_too_large' });
    expect(await alice.upload.status({ uploadId })).toMatchObject({ offset: HALF });
    await finish(uploadId);
    await alice.upload.abort({ uploadId });
    await expect(alice.upload.begin({ bytes: 100_001 })).rejects.toMatchObject({ code: 'payload_too_large' });
    const open = await alice.upload.begin({});
    await expect(alice.upload.write({ uploadId: open.uploadId, offset: 0 }, { body: new Uint8Array(50_001) })).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    await alice.upload.abort({ uploadId: open.uploadId });
  });

  test('UP4 an upload that is incomplete, empty or has another hash cannot be committed, and stays', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'Refused' });
    const commit = (uploadId: string) => alice.upload.commit({ uploadId, datasetId, branch: 'main' });
    const incomplete = await half();
    await expect(commit(incomplete)).rejects.toMatchObject({ code: 'conflict', details: { offset: HALF, bytes: DATA.length } });
    await finish(incomplete);
    expect(await commit(incomplete)).toMatchObject({ versionId: 1 });
    const wrong = await half({ sha256: '0'.repeat(64) });
    await finish(wrong);
    await expect(commit(wrong)).rejects.toMatchObject({ code: 'unprocessable_data', details: { expected: '0'.repeat(64), actual: hashOf(DATA) } });
    const { uploadId: nothing } = await alice.upload.begin({});
    await expect(commit(nothing)).rejects.toMatchObject({ code: 'unprocessable_data' });
    expect((await alice.version.history({ datasetId })).items).toHaveLength(1);
    for (const uploadId of [wrong, nothing]) {
      expect(await alice.upload.status({ uploadId })).toMatchObject({ uploadId });
      await alice.upload.abort({ uploadId });
    }
  });

  test('UP6 an upload survives a restart and resumes where it was', async () => {
    const { datasetId } = await alice.dataset.create({ name: 'Resumed' });
    const uploadId = await half({ sha256: hashOf(DATA) });
    await server.restart();
    const { offset } = await alice.upload.status({ uploadId });
    expect(offset).toBe(HALF);
    await alice.upload.write({ uploadId, offset }, { body: DATA.subarray(offset) });
    expect(await alice.upload.commit({ uploadId, datasetId, branch: 'main' })).toMatchObject({ rows: 3 });
  });
});
