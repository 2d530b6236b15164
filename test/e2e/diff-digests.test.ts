import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../support/server.ts';

const servers: TestServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function start(...flags: string[]) {
  const server = await startTestServer(['--diff-digest-rows-min', '1', ...flags]);
  servers.push(server);
  const client = await server.client('ana');
  const { datasetId } = await client.dataset.create({ name: 'Large', key: ['id'] });
  const commit = async (...lines: string[]) =>
    client.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from(`id,v\n${lines.join('\n')}\n`) });
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`covista_${name} `))
        ?.slice(name.length + 9),
    );
  };
  return { client, datasetId, commit, metric };
}

const diff = async ({ client, datasetId }: Awaited<ReturnType<typeof start>>) => client.diff.rows({ datasetId, from: '1', to: '2' });
const FOUND = {
  counts: { added: 1, removed: 1, changed: 1 },
  changes: [{ kind: 'removed' }, { kind: 'changed', key: { id: 2 }, before: { v: 'b' }, after: { v: 'x' } }, { kind: 'added' }],
};
const HITS = 'cache_hits_total{cache="row_digests"}';

test('DIFF14 versions of a dataset with a key are compared by digests that were made when they were committed', async () => {
  const place = await start();
  await place.commit('1,a', '2,b', '3,c');
  await expect.poll(() => place.metric('row_digests_bytes'), { timeout: 20_000 }).toBeGreaterThan(0);
  const before = await place.metric('row_digests_bytes');
  await place.commit('2,x', '3,c', '4,d');
  await expect.poll(() => place.metric('row_digests_bytes'), { timeout: 20_000 }).toBeGreaterThan(before);
  expect(await diff(place)).toMatchObject(FOUND);
  expect(await place.metric(HITS)).toBe(1);
});

test('DIFF14 there are no digests where files are encrypted, since they hold keys in clear', async () => {
  const place = await start('--master-key', randomBytes(32).toString('base64'));
  await place.commit('1,a', '2,b', '3,c');
  await place.commit('2,x', '3,c', '4,d');
  expect(await diff(place)).toMatchObject(FOUND);
  expect(await place.metric('row_digests_pending')).toBe(0);
  expect(await place.metric('row_digests_bytes')).toBe(0);
  expect(await place.metric(HITS)).toBe(0);
});
