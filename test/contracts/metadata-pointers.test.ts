import { expect, test } from 'vitest';
import { by, datasetWithVersions, landOne, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const free = { expectedHead: undefined, mayMoveProtected: false };

test('branches and tags share one namespace, and a taken name is conflict', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  const branch = await pointers.createBranch(datasetId, 'q1/draft', version(1), by('bob', 'branch.create'));
  expect(branch).toMatchObject({ name: 'q1/draft', kind: 'branch', versionId: 1, protected: false, createdBy: 'bob' });
  const tag = await pointers.createTag(datasetId, 'v1', version(2), 'released', by('bob', 'tag.create'));
  expect(tag).toMatchObject({ name: 'v1', kind: 'tag', versionId: 2, message: 'released', createdBy: 'bob' });
  expect(await pointers.get(datasetId, 'q1/draft')).toEqual(branch);
  expect(await pointers.get(datasetId, 'v1')).toEqual(tag);
  expect(await pointers.get(datasetId, 'V1')).toBeUndefined();
  const conflict = { code: 'conflict', details: { name: 'v1' } };
  await expect(pointers.createTag(datasetId, 'v1', version(1), '', by('bob'))).rejects.toMatchObject(conflict);
  await expect(pointers.createBranch(datasetId, 'v1', version(1), by('bob'))).rejects.toMatchObject(conflict);
  await expect(pointers.renameBranch(datasetId, 'q1/draft', 'v1', free, by('bob'))).rejects.toMatchObject(conflict);
  await expect(pointers.createTag(datasetId, 'v9', version(9), '', by('bob'))).rejects.toMatchObject({ code: 'not_found' });
});

test('lists are by name in byte order, and go on after a name', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  for (const name of ['b', 'B', 'a-b', 'ä', 'a/b']) await pointers.createBranch(datasetId, name, version(1), by('bob'));
  for (const name of ['t2', 't10']) await pointers.createTag(datasetId, name, version(1), '', by('bob'));
  const names = async (after?: string) => (await pointers.listBranches(datasetId, { limit: 3, after })).map(({ name }) => name);
  expect(await names()).toEqual(['B', 'a-b', 'a/b']);
  expect(await names('a/b')).toEqual(['b', 'main', 'ä']);
  expect(await names('ä')).toEqual([]);
  expect((await pointers.listTags(datasetId, { limit: 10 })).map(({ name }) => name)).toEqual(['t10', 't2']);
  expect((await pointers.listTags(datasetId, { limit: 10, after: 't10' })).map(({ name }) => name)).toEqual(['t2']);
});

test('reset moves a branch anywhere, guarded by its head', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 3);
  const stale = { expectedHead: version(2), mayMoveProtected: false };
  await expect(pointers.resetBranch(datasetId, 'main', version(1), '', stale, by('bob'))).rejects.toMatchObject({
    code: 'conflict',
    details: { actualHead: 3 },
  });
  const reset = await pointers.resetBranch(datasetId, 'main', version(1), 'oops', { ...stale, expectedHead: version(3) }, by('bob', 'branch.reset'));
  expect(reset.versionId).toBe(1);
  expect((await pointers.log(datasetId, 'main', { limit: 1 }))[0]).toMatchObject({ action: 'reset', from: 3, to: 1, actor: 'bob', message: 'oops' });
  await expect(pointers.resetBranch(datasetId, 'main', version(9), '', free, by('bob'))).rejects.toMatchObject({ code: 'not_found' });
  await expect(pointers.resetBranch(datasetId, 'none', version(1), '', free, by('bob'))).rejects.toMatchObject({ code: 'not_found' });
});

test('a protected branch is moved, renamed and deleted by nobody without the right', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  await pointers.createBranch(datasetId, 'kept', version(2), by('bob'));
  expect(await pointers.protectBranch(datasetId, 'kept', true, by('alice', 'branch.protect'))).toMatchObject({ protected: true });
  const forbidden = { code: 'forbidden' };
  await expect(pointers.resetBranch(datasetId, 'kept', version(1), '', free, by('bob'))).rejects.toMatchObject(forbidden);
  await expect(pointers.renameBranch(datasetId, 'kept', 'other', free, by('bob'))).rejects.toMatchObject(forbidden);
  await expect(pointers.deleteBranch(datasetId, 'kept', free, by('bob'))).rejects.toMatchObject(forbidden);
  const right = { expectedHead: undefined, mayMoveProtected: true };
  expect(await pointers.resetBranch(datasetId, 'kept', version(1), '', right, by('bob'))).toMatchObject({ versionId: 1, protected: true });
  expect(await pointers.protectBranch(datasetId, 'kept', false, by('alice'))).toMatchObject({ protected: false });
  await pointers.deleteBranch(datasetId, 'kept', free, by('bob', 'branch.delete'));
  expect(await pointers.get(datasetId, 'kept')).toBeUndefined();
});

test('main keeps its name and stays; tags are no branches', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  await pointers.createTag(datasetId, 'v1', version(1), '', by('bob'));
  await expect(pointers.renameBranch(datasetId, 'main', 'trunk', free, by('bob'))).rejects.toMatchObject({ code: 'conflict' });
  await expect(pointers.deleteBranch(datasetId, 'main', free, by('bob'))).rejects.toMatchObject({ code: 'conflict' });
  for (const name of ['v1', 'none']) {
    await expect(pointers.deleteBranch(datasetId, name, free, by('bob'))).rejects.toMatchObject({ code: 'not_found' });
    await expect(pointers.protectBranch(datasetId, name, true, by('bob'))).rejects.toMatchObject({ code: 'not_found' });
    await expect(pointers.renameBranch(datasetId, name, 'x', free, by('bob'))).rejects.toMatchObject({ code: 'not_found' });
  }
});

test('DB12 the log goes with a renamed branch, and outlives a deleted one', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  await landOne(metadata.store, datasetId, { branch: 'draft', message: 'work' });
  expect(await pointers.renameBranch(datasetId, 'draft', 'final', free, by('bob', 'branch.rename'))).toMatchObject({ name: 'final', versionId: 2 });
  await landOne(metadata.store, datasetId, { branch: 'final' });
  await pointers.deleteBranch(datasetId, 'final', free, by('carol', 'branch.delete'));
  const expected = [
    ['final', 'delete', 3, null],
    ['final', 'commit', 2, 3],
    ['final', 'rename', 2, 2],
    ['draft', 'commit', 1, 2],
    ['draft', 'create', null, 1],
  ];
  const logOf = async (name: string) =>
    (await pointers.log(datasetId, name, { limit: 10 })).map(({ branch, action, from, to }) => [branch, action, from, to]);
  expect(await logOf('final')).toEqual(expected);
  expect(await logOf('draft')).toEqual(expected);

  await landOne(metadata.store, datasetId, { branch: 'final' });
  const all = await pointers.log(datasetId, 'final', { limit: 10 });
  expect(all.map(({ action }) => action)).toEqual(['commit', 'create', 'delete', 'commit', 'rename', 'commit', 'create']);
  const sequences = all.map(({ sequence }) => sequence);
  expect((await pointers.log(datasetId, 'final', { limit: 3, before: sequences[1] })).map(({ sequence }) => sequence)).toEqual(sequences.slice(2, 5));
  expect(await pointers.log(datasetId, 'unknown', { limit: 3 })).toEqual([]);
});

test('DB12 headAt tells the head at a time, through renames and deletion', async () => {
  const { pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const first = (await pointers.log(datasetId, 'main', { limit: 1 }))[0]?.at ?? '';
  await nextMillisecond(first);
  await landOne(metadata.store, datasetId, { branch: 'draft' });
  const born = (await pointers.log(datasetId, 'draft', { limit: 1 }))[0]?.at ?? '';
  await nextMillisecond(born);
  await pointers.renameBranch(datasetId, 'draft', 'final', free, by('bob'));
  const third = await landOne(metadata.store, datasetId, { branch: 'final' });
  expect(await pointers.headAt(datasetId, 'main', first)).toBe(1);
  expect(await pointers.headAt(datasetId, 'main', '2999-01-01T00:00:00+05:00')).toBe(1);
  expect(await pointers.headAt(datasetId, 'main', '2001-01-01T00:00:00Z')).toBeUndefined();
  expect(await pointers.headAt(datasetId, 'final', first)).toBeUndefined();
  expect(await pointers.headAt(datasetId, 'final', born)).toBe(2);
  expect(await pointers.headAt(datasetId, 'draft', born)).toBe(2);
  expect(await pointers.headAt(datasetId, 'final', third.createdAt)).toBe(3);
  expect(await pointers.headAt(datasetId, 'draft', third.createdAt)).toBeUndefined();

  await nextMillisecond(third.createdAt);
  await pointers.deleteBranch(datasetId, 'final', free, by('bob'));
  const gone = (await pointers.log(datasetId, 'final', { limit: 1 }))[0]?.at ?? '';
  expect(await pointers.headAt(datasetId, 'final', third.createdAt)).toBe(3);
  expect(await pointers.headAt(datasetId, 'final', gone)).toBeUndefined();
});

/** Times are told to the millisecond; what happens within one is told apart by its order only. */
async function nextMillisecond(time: string): Promise<void> {
  while (Date.now() <= Date.parse(time)) await new Promise((resolve) => setImmediate(resolve));
}
