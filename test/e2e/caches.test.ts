import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let one: TestServer;
let other: TestServer;
let alice: Client;

beforeAll(async () => {
  one = await startTestServer();
  other = await startTestServer([], { database: one.databaseUrl });
  alice = await one.client('alice');
});

afterAll(async () => {
  await other?.stop();
  await one?.stop();
});

const codeOf = (work: Promise<unknown>): Promise<string> => work.then(() => 'ok').catch((error: { code: string }) => error.code);

test('CACHE1 SCOPE11 what is revoked, moved or removed on one server is so on other connections and other servers', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Cached' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  const { grantId } = await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read' });
  const readers = await Promise.all([one.client('bob'), one.client('bob'), other.client('bob')]);
  const heads = () => Promise.all(readers.map(async (reader) => (await reader.ref.resolve({ datasetId, ref: 'main' })).versionId));
  // The files of versions are with the first server alone.
  const opened = () =>
    Promise.all(readers.slice(0, 2).map(async (reader) => (await reader.table.open({ datasetId, ref: 'main' }, { perspective: false })).versionId));
  expect(await heads()).toEqual([1, 1, 1]);
  expect(await opened()).toEqual([1, 1]);
  // Everything is in the caches now. A head is looked up, so there is nothing to wait for.
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '2') });
  expect(await heads()).toEqual([2, 2, 2]);
  expect(await opened()).toEqual([2, 2]);
  const records = () => Promise.all(readers.map(async (reader) => (await reader.version.get({ datasetId, versionId: 1 })).removedAt !== null));
  const schemas = () => Promise.all(readers.map((reader) => codeOf(reader.version.schema({ datasetId, versionId: 1 }))));
  expect([await records(), await schemas()]).toEqual([Array(3).fill(false), Array(3).fill('ok')]);
  await alice.retention.set({ datasetId, policy: { keepLast: 0 } });
  await alice.retention.run({ datasetId });
  expect((await schemas()).slice(0, 2)).toEqual(['not_found', 'not_found']);
  await expect.poll(schemas).toEqual(Array(3).fill('not_found'));
  expect(await records()).toEqual(Array(3).fill(true));
  await alice.grant.revoke({ datasetId, grantId });
  const codes = () => Promise.all(readers.map((reader) => codeOf(reader.dataset.get({ datasetId }))));
  expect((await codes()).slice(0, 2)).toEqual(['not_found', 'not_found']);
  await expect.poll(codes).toEqual(Array(3).fill('not_found'));
});

/** How often a cache of a server was asked. */
async function lookups(server: TestServer, cache: string): Promise<{ hits: number; misses: number }> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const count = (what: string): number => Number(new RegExp(`^covista_cache_${what}_total\\{cache="${cache}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
  return { hits: count('hits'), misses: count('misses') };
}

test('CACHE2 grants that were read once are known to the requests that follow, and read anew when they change', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Counted' });
  const ask = async (times: number) => {
    for (let time = 0; time < times; time += 1) await alice.dataset.get({ datasetId });
  };
  await ask(1);
  const before = await lookups(one, 'grants');
  await ask(5);
  const warm = await lookups(one, 'grants');
  expect(warm).toEqual({ hits: before.hits + 5, misses: before.misses });
  await alice.grant.create({ datasetId, principal: 'user:erin', permission: 'read' });
  await ask(5);
  const after = await lookups(one, 'grants');
  expect(after.misses).toBeGreaterThan(warm.misses);
  expect(after.hits).toBeGreaterThanOrEqual(warm.hits + 4);
});

test('CACHE2 ids of tables, what uploads became and answers to copies of documents are made once', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Known' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  const { uploadId } = await alice.upload.begin({ fileName: 'mine.csv' });
  await alice.upload.write({ uploadId, offset: 0 }, { body: csv('id', '1') });
  const uses: Record<string, () => Promise<unknown>> = {
    table_ids: () => alice.table.open({ datasetId, ref: 'main' }, { perspective: false }),
    upload_sources: () => alice.table.open({ uploadId }, { perspective: false }),
    document_answers: async () => (await (await one.client('alice')).document.open(`dataset/${datasetId}`)).whenSynced(),
  };
  for (const [cache, use] of Object.entries(uses)) {
    const before = await lookups(one, cache);
    await use();
    const first = await lookups(one, cache);
    expect([cache, first.misses]).toEqual([cache, before.misses + 1]);
    await use();
    const again = await lookups(one, cache);
    expect([cache, again.misses]).toEqual([cache, first.misses]);
    expect([cache, again.hits]).toEqual([cache, expect.toSatisfy((hits: number) => hits > first.hits)]);
  }
});

test('CACHE2 every cache tells how often it had what it was asked for', async () => {
  const response = await fetch(`${one.url}/metrics`, { headers: { authorization: `Bearer ${await one.token('operator', { admin: true })}` } });
  const text = await response.text();
  for (const cache of [
    'grants',
    'versions',
    'scoped_counts',
    'tables',
    'view_results',
    'table_columns',
    'exports',
    'diffs',
    'diff_key_checks',
    'tokens',
    'table_ids',
    'upload_sources',
    'document_answers',
  ]) {
    expect(text, cache).toMatch(new RegExp(`^covista_cache_hit_ratio\\{cache="${cache}"\\} `, 'm'));
  }
});

test('CACHE2 a full cache lets go of what was used longest ago', async () => {
  const small = await startTestServer(
    ['token', 'grant', 'version', 'scoped-count']
      .flatMap((cache) => [`--${cache}-cache-max`, '2'])
      .concat('--diff-key-checks-max', '2', '--diff-results-max', '1'),
  );
  try {
    const owner = await small.client('alice');
    const places: { datasetId: number; token: string }[] = [];
    for (let number = 0; number < 4; number += 1) {
      const { datasetId } = await owner.dataset.create({ name: `Small ${number}`, key: ['id'] });
      for (const rows of [['1,a'], [`${number},b`, '9,a']]) {
        await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', ...rows) });
      }
      await owner.grant.create({ datasetId, principal: 'group:readers', permission: 'read', rowFilter: "name = 'a'" });
      places.push({ datasetId, token: await small.token(`reader${number}`, { claims: { groups: ['readers'] } }) });
    }
    const get = async (path: string, number: number): Promise<void> => {
      const { token } = places[number] as (typeof places)[number];
      const response = await fetch(`${small.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
      expect([path, response.status]).toEqual([path, 200]);
      await response.arrayBuffer();
    };
    const reading = (path: string) => (number: number) => get(path.replace('{id}', String(places[number]?.datasetId)), number);
    const comparing = async (number: number) => {
      const { datasetId } = places[number] as (typeof places)[number];
      await owner.diff.rows({ datasetId, from: '1', to: '2' });
    };
    const caches: Record<string, (number: number) => Promise<unknown>> = {
      tokens: reading('/api/session'),
      grants: reading('/api/datasets/{id}'),
      versions: reading('/api/datasets/{id}/versions/1/schema'),
      scoped_counts: reading('/api/datasets/{id}/versions/1'),
      diff_key_checks: comparing,
    };
    for (const [cache, use] of Object.entries(caches)) {
      for (const number of [1, 2, 3, 0]) await use(number);
      const full = await lookups(small, cache);
      await use(0);
      const again = await lookups(small, cache);
      // What was used last is there, or was not even asked for.
      expect([cache, again.misses]).toEqual([cache, full.misses]);
      for (const number of [1, 2, 3, 0]) await use(number);
      expect([cache, (await lookups(small, cache)).misses]).toEqual([cache, expect.toSatisfy((misses: number) => misses >= full.misses + 4)]);
    }
  } finally {
    await small.stop();
  }
});
