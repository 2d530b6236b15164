import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { CovistaError } from '../../protocol/errors.ts';
import { footprint, query } from '../support/inspect.ts';
import { contradictions } from '../support/integrity.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

async function newDataset(): Promise<number> {
  const { datasetId } = await alice.dataset.create({ name: 'Raced', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,n', '0,0') });
  return datasetId;
}

const commit = (datasetId: number, branch: string, id: number, options: object = {}): ReturnType<Client['version']['commit']> =>
  alice.version.commit({ datasetId, branch, ...options }, { body: csv('id,n', `${id},1`) });

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: CovistaError) => error.code,
  );

async function expectWhole(): Promise<void> {
  expect(await contradictions(server.databaseUrl, server.dataDir)).toEqual([]);
  expect(await server.leftovers()).toEqual([]);
}

describe('what happens at the same time', () => {
  test('VC4 a stale head is refused and leaves nothing', async () => {
    const datasetId = await newDataset();
    await commit(datasetId, 'main', 1);
    const before = await footprint(server);
    for (const mode of ['replace', 'append', 'upsert', 'delete']) {
      await expect(commit(datasetId, 'main', 2, { mode, expectedHead: 1 })).rejects.toMatchObject({ code: 'conflict', details: { actualHead: 2 } });
    }
    expect(await footprint(server)).toEqual(before);
  });

  test('VC4 of commits that race for one head one lands, and the others leave nothing', async () => {
    const datasetId = await newDataset();
    const modes = ['replace', 'append', 'upsert', 'replace', 'append', 'upsert'];
    const outcomes = await Promise.all(modes.map((mode, index) => codeOf(commit(datasetId, 'main', index + 1, { mode, expectedHead: 1 }))));
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'conflict')).toHaveLength(modes.length - 1);
    await expectWhole();
  });

  test('VC7 a tag that is created by many at once is created once', async () => {
    const datasetId = await newDataset();
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => codeOf(alice.tag.create({ datasetId, name: 'v1' }))));
    expect(outcomes.sort()).toEqual([...Array.from({ length: 7 }, () => 'conflict'), 'done']);
    await expectWhole();
  });

  test('VC5 VC9 a branch that is deleted while it is committed to is gone, or was made anew', async () => {
    const datasetId = await newDataset();
    for (let round = 0; round < 10; round += 1) {
      await codeOf(alice.branch.create({ datasetId, name: 'side' }));
      const commits = ['append', 'upsert', 'replace'].map((mode, index) => codeOf(commit(datasetId, 'side', round * 3 + index + 1, { mode })));
      const [removal, ...outcomes] = await Promise.all([codeOf(alice.branch.delete({ datasetId, branch: 'side' })), ...commits]);
      expect(removal).toBe('done');
      expect(outcomes).toEqual(['done', 'done', 'done']);
    }
    const { items } = await alice.branch.log({ datasetId, branch: 'side', limit: 1000 });
    expect(items.filter(({ action }) => action === 'commit')).toHaveLength(30);
    await expectWhole();
  });

  test('VC19 a dataset that is deleted while it is committed to stays deleted, and whole', async () => {
    for (let round = 0; round < 5; round += 1) {
      const datasetId = await newDataset();
      const commits = Array.from({ length: 5 }, (_, index) => codeOf(commit(datasetId, 'main', index + 1, { mode: 'append' })));
      const [removal, ...outcomes] = await Promise.all([codeOf(alice.dataset.delete({ datasetId })), ...commits]);
      expect(removal).toBe('done');
      for (const outcome of outcomes) expect(['done', 'not_found']).toContain(outcome);
      expect((await query(server.databaseUrl, 'SELECT deleted_at FROM datasets WHERE dataset_id = $1', [datasetId]))[0]).not.toEqual({
        deleted_at: null,
      });
    }
    await expectWhole();
  });
});
