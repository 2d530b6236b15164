import { expect, test } from 'vitest';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { by, createDataset, datasetWithVersions, landOne, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();

async function pagesOf(datasetId: DatasetId, from: VersionId[], limit: number): Promise<number[][]> {
  const pages: number[][] = [];
  for (let frontier = from; frontier.length > 0; ) {
    const page = await metadata.store.versions.history(datasetId, frontier, limit);
    pages.push(page.versions.map(({ versionId }) => versionId));
    frontier = page.frontier;
  }
  return pages;
}

test('DB11 a chain pages from its tip to its root', async () => {
  const datasetId = await datasetWithVersions(metadata.store, 25);
  const pages = await pagesOf(datasetId, [version(25)], 10);
  expect(pages.map((page) => page.length)).toEqual([10, 10, 5]);
  expect(pages.flat()).toEqual(Array.from({ length: 25 }, (_, index) => 25 - index));
  const { versions } = await metadata.store.versions.history(datasetId, [version(3)], 1);
  expect(versions).toEqual([await metadata.store.versions.get(datasetId, version(3))]);
  expect(await metadata.store.versions.history(datasetId, [version(99)], 10)).toEqual({ versions: [], frontier: [] });
});

/** Random commits and merges over some branches, with what a walk of the parents by brute force says. */
async function randomGraph(seed: number) {
  const { datasetId } = await createDataset(metadata.store);
  const parents = new Map<number, readonly number[]>();
  const generation = new Map<number, number>();
  let state = seed;
  const random = (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  for (let made = 0; made < 60; made += 1) {
    const mergedFrom = made > 0 && random(3) === 0 ? version(1 + random(made)) : null;
    const record = await landOne(metadata.store, datasetId, { branch: ['main', 'a', 'b', 'c'][random(4)] ?? 'main', mergedFrom });
    parents.set(record.versionId, record.parents);
    generation.set(record.versionId, record.generation);
  }
  return { datasetId, parents, generation };
}

test.each([1, 2, 3])('DB11 history of graph %i visits every ancestor once, by falling generation and id, whatever the page', async (seed) => {
  const { datasetId, parents, generation } = await randomGraph(seed);
  for (const [id, of] of parents) expect(generation.get(id)).toBe(Math.max(-1, ...of.map((parent) => generation.get(parent) ?? Number.NaN)) + 1);
  const ancestors = (from: readonly number[]): number[] => {
    const found = new Set<number>();
    const visit = (id: number): void => {
      if (found.has(id)) return;
      found.add(id);
      for (const parent of parents.get(id) ?? []) visit(parent);
    };
    for (const id of from) visit(id);
    return [...found].sort((left, right) => (generation.get(right) ?? 0) - (generation.get(left) ?? 0) || right - left);
  };
  for (const from of [[60], [55, 30], [60, 59, 58, 1]]) {
    const expected = ancestors(from);
    for (const limit of [1, 7, 1000]) expect((await pagesOf(datasetId, from.map(version), limit)).flat()).toEqual(expected);
  }
});

test('DB11 ancestors follow first parents, in logarithmic steps, on every length of chain', async () => {
  const { datasetId, parents } = await randomGraph(4);
  const { versions } = metadata.store;
  for (let id = 1; id <= 60; id += 1) {
    let expected: number | undefined = id;
    for (let steps = 0; expected !== undefined; steps += 1) {
      expect(await versions.ancestor(datasetId, version(id), steps)).toBe(expected);
      expected = parents.get(expected)?.[0];
      if (expected === undefined) expect(await versions.ancestor(datasetId, version(id), steps + 1)).toBeUndefined();
    }
  }
  expect(await versions.ancestor(datasetId, version(60), Number.MAX_SAFE_INTEGER)).toBeUndefined();
  expect(await versions.ancestor(datasetId, version(61), 0)).toBeUndefined();
});

test('DB11 a branch that was reset gives its next commit the right ancestors', async () => {
  const datasetId = await datasetWithVersions(metadata.store, 20);
  const guard = { expectedHead: undefined, mayMoveProtected: false };
  await metadata.store.pointers.resetBranch(datasetId, 'main', version(7), 'undo', guard, by('alice', 'branch.reset'));
  const next = await landOne(metadata.store, datasetId);
  const back = (steps: number) => metadata.store.versions.ancestor(datasetId, next.versionId, steps);
  expect([next.parents, await back(1), await back(4), await back(7), await back(8)]).toEqual([[7], 7, 4, 1, undefined]);
});

test('DOC31 columns are told in every form that a version had, with what was beside them', async () => {
  const { datasetId } = await createDataset(metadata.store);
  const landWith = (branch: string, ...schema: [name: string, type: string][]) =>
    landOne(metadata.store, datasetId, { branch, schema: schema.map(([name, type]) => ({ name, type, nullable: true })) });
  await landWith('main', ['id', 'BIGINT'], ['region', 'VARCHAR'], ['bonus', 'BIGINT']);
  await landWith('main', ['id', 'BIGINT'], ['region', 'VARCHAR']);
  await landWith('main', ['id', 'BIGINT'], ['region', 'VARCHAR'], ['bonus', 'DOUBLE']);
  await landWith('main', ['id', 'BIGINT'], ['region', 'VARCHAR'], ['bonus', 'DOUBLE']);
  await landWith('other', ['id', 'BIGINT'], ['raise', 'BIGINT']);
  const wanted = { except: ['id', 'region'], beside: ['region', 'nothing'], limit: 10 };
  const forms = await metadata.store.versions.columnForms(datasetId, wanted);
  const plain = forms.map((form) => form.map(({ columnId, name, type }) => `${columnId} ${name} ${type}`).join(', '));
  expect(plain.sort()).toEqual(['3 bonus BIGINT, 2 region VARCHAR', '4 bonus DOUBLE, 2 region VARCHAR', '5 raise BIGINT']);
  expect(await metadata.store.versions.columnForms(datasetId, { ...wanted, limit: 2 })).toHaveLength(2);
  expect(await metadata.store.versions.columnForms(datasetId, { ...wanted, except: ['id', 'region', 'bonus', 'raise'] })).toEqual([]);
});
