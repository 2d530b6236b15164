import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const OUTBOX_BYTES_MAX = 20_000;
const PAGE_BYTES_MAX = 10_000;

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer([
    '--outbox-bytes-max',
    String(OUTBOX_BYTES_MAX),
    '--channel-outbox-bytes-max',
    String(OUTBOX_BYTES_MAX),
    '--page-bytes-max',
    String(PAGE_BYTES_MAX),
  ]);
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

/** A table with so many columns that its version record is about `columns * 60` bytes long. */
const wide = (columns: number): Uint8Array => {
  const names = Array.from({ length: columns }, (_, index) => `column${index}`);
  return csv(names.join(','), names.map(() => '1').join(','));
};

test('VC14 pages end before their limit where they exceed their bytes, and lose nothing of a merge', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Wide' });
  for (const branch of ['main', 'side', 'main', 'side', 'main']) await alice.version.commit({ datasetId, branch }, { body: wide(40) });
  await alice.version.commit({ datasetId, branch: 'main', mergedFrom: 'side' }, { body: wide(40) });
  const whole: number[] = [];
  const sizes: number[] = [];
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await alice.version.history({ datasetId, limit: 100, ...(cursor === undefined ? {} : { cursor }) });
    whole.push(...page.items.map(({ versionId }) => versionId));
    sizes.push(page.items.length);
    cursor = page.next;
  }
  expect(whole).toEqual([6, 5, 4, 3, 2, 1]);
  expect(Math.max(...sizes)).toBeLessThan(6);
});

test('VC14 lists of texts end so too, and go on where they ended', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Tagged' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: wide(1) });
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await alice.tag.create({ datasetId, name, message: 'é'.repeat(3_000) });
  const first = await alice.tag.list({ datasetId });
  expect(first.items.length).toBeLessThan(names.length);
  const rest = await alice.tag.list({ datasetId, cursor: first.next as string });
  expect([...first.items, ...rest.items].map(({ name }) => name).slice(0, 2)).toEqual(['a', 'b']);
});

test('RPC23 an answer that could never leave is an error of its request, and the connection stays', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Widest' });
  const rest = await server.rest('alice');
  const made = await rest.send('POST', `/api/datasets/${datasetId}/branches/main/commit`, { body: wide(600) });
  expect(made.status).toBe(201);
  await expect(alice.version.get({ datasetId, versionId: 1 })).rejects.toMatchObject({
    code: 'payload_too_large',
    details: { bytesMax: OUTBOX_BYTES_MAX },
  });
  expect(await alice.session.whoami({})).toMatchObject({ subject: 'alice' });
});
