import { expect, test } from 'vitest';
import { by, commit, createDataset, datasetWithVersions, landOne, publishNothing, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const everyone = { principals: null, limit: 100 };

test('a dataset comes back as it was made, and its creator is its admin', async () => {
  const { datasets, grants } = metadata.store;
  const given = { name: 'Größe "x"', description: 'line\nline', labels: ['a', 'b,{c}', '"'], key: ['id', 'naïve "key"'] };
  const made = await datasets.create(given, by('carol', 'dataset.create'));
  expect(made).toMatchObject({ ...given, createdBy: 'carol' });
  expect(made.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(made.updatedAt).toBe(made.createdAt);
  expect(await datasets.get(made.datasetId)).toEqual(made);
  expect(await grants.ofDataset(made.datasetId)).toMatchObject([{ principal: 'user:carol', permission: 'admin', validUntil: null }]);
});

test('changes keep what they do not name, and move the time of change', async () => {
  const { datasets } = metadata.store;
  const made = await datasets.create({ name: 'a', description: 'b', labels: ['c'], key: ['d'] }, by('alice'));
  const renamed = await datasets.update(made.datasetId, { name: 'z' }, by('bob', 'dataset.update'));
  expect(renamed).toEqual({ ...made, name: 'z', updatedAt: renamed.updatedAt });
  expect(renamed.updatedAt >= made.updatedAt).toBe(true);
  const cleared = await datasets.update(made.datasetId, { labels: [], key: null }, by('bob', 'dataset.update'));
  expect(cleared).toMatchObject({ name: 'z', description: 'b', labels: [], key: null });
  expect(await datasets.get(made.datasetId)).toEqual(cleared);
});

test('what does not exist is not_found', async () => {
  const { datasets, versions, grants, pointers } = metadata.store;
  const absent = 2_000_000_000 as Awaited<ReturnType<typeof createDataset>>['datasetId'];
  expect(await datasets.get(absent)).toBeUndefined();
  expect(await grants.ofDataset(absent)).toBeUndefined();
  expect(await versions.get(absent, version(1))).toBeUndefined();
  const code = { code: 'not_found' };
  await expect(datasets.update(absent, { name: 'x' }, by('alice'))).rejects.toMatchObject(code);
  await expect(datasets.delete(absent, by('alice'))).rejects.toMatchObject(code);
  await expect(landOne(metadata.store, absent)).rejects.toMatchObject(code);
  await expect(pointers.createTag(absent, 'x', version(1), '', by('alice'))).rejects.toMatchObject(code);
});

test('deleting hides everything but the audit, and tells watchers', async () => {
  const { datasets, pointers, versions, events, audit, grants } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 3);
  await pointers.createTag(datasetId, 'v1', version(1), '', by('alice', 'tag.create'));
  const { files } = (await versions.manifest(datasetId, version(1))) ?? { files: [] };
  const keys = files.map(({ objectKey }) => objectKey);
  expect(await versions.referenced(keys)).toEqual(new Set(keys));
  const before = await events.latest(datasetId);
  await datasets.delete(datasetId, by('alice', 'dataset.delete'));
  expect(await datasets.get(datasetId)).toBeUndefined();
  expect(await grants.ofDataset(datasetId)).toBeUndefined();
  expect(await versions.referenced(keys)).toEqual(new Set(keys));
  expect(await events.after(datasetId, before, 10)).toMatchObject([{ kind: 'dataset.deleted', sequence: before + 1 }]);
  expect(await audit.list(datasetId, { limit: 1 })).toMatchObject([{ operation: 'dataset.delete' }]);
});

test('lists show newest first, page by id, and only what a principal is granted now', async () => {
  const { datasets, grants } = metadata.store;
  const ids = [];
  for (const name of ['one', 'two', 'three']) ids.unshift((await createDataset(metadata.store, name)).datasetId);
  const listed = await datasets.list({ ...everyone, limit: 2 });
  expect(listed.map(({ datasetId }) => datasetId)).toEqual(ids.slice(0, 2));
  expect((await datasets.list({ ...everyone, before: ids[1], limit: 1 }))[0]?.datasetId).toBe(ids[2]);

  const [first, second, third] = ids as [(typeof ids)[0], (typeof ids)[0], (typeof ids)[0]];
  const always = { validFrom: null, validUntil: null, permission: 'read' } as const;
  await grants.create(first, { ...always, principal: 'group:readers' }, by('alice'));
  await grants.create(first, { ...always, principal: 'user:nora' }, by('alice'));
  await grants.create(second, { ...always, principal: 'user:nora', validUntil: '2020-01-01T00:00:00Z' }, by('alice'));
  await grants.create(third, { ...always, principal: 'user:nora', validFrom: '2999-01-01T00:00:00+02:00' }, by('alice'));
  const seenBy = async (...principals: string[]) => (await datasets.list({ principals, limit: 100 })).map(({ datasetId }) => datasetId);
  expect(await seenBy('user:nora', 'group:readers')).toEqual([first]);
  expect(await seenBy('group:readers')).toEqual([first]);
  expect(await seenBy('user:nobody')).toEqual([]);
  expect(await seenBy()).toEqual([]);
});

test('DB13 search finds plain text in name, description and labels, whatever its case', async () => {
  const { datasets } = metadata.store;
  const mine = { principals: ['user:searcher'], limit: 100 };
  const make = async (name: string, description: string, labels: string[]) =>
    (await datasets.create({ name, description, labels, key: null }, by('searcher'))).datasetId;
  const percent = await make('100%_sure', '', []);
  const accented = await make('ÉTÉ', 'Über "uns"', []);
  const labelled = await make('plain', '', ['Größe', 'back\\slash']);
  const find = async (search: string) => (await datasets.list({ ...mine, search })).map(({ datasetId }) => datasetId);
  expect(await find('%_s')).toEqual([percent]);
  expect(await find('_')).toEqual([percent]);
  expect(await find('été')).toEqual([accented]);
  expect(await find('über "u')).toEqual([accented]);
  expect(await find('GRÖSSE')).toEqual([]);
  expect(await find('GRÖß')).toEqual([labelled]);
  expect(await find('k\\s')).toEqual([labelled]);
  expect(await find("' OR true --")).toEqual([]);
  expect((await datasets.list({ ...mine, label: 'Größe' })).map(({ datasetId }) => datasetId)).toEqual([labelled]);
  expect(await datasets.list({ ...mine, label: 'größe' })).toEqual([]);
});

test('a dataset and its first version are made together, by one command once, or not at all', async () => {
  const { datasets, versions, grants } = metadata.store;
  const dataset = { name: 'Made of a file', description: '', labels: [], key: ['id'] };
  const named = () => datasets.list({ ...everyone, search: 'Made of a file' });
  const provenance = by('alice', 'upload.createDataset', { key: 'make', inputHash: 'x' });
  const lost = versions.landFirst(dataset, commit({ provenance }), () => Promise.reject(new Error('the disk is full')));
  await expect(lost).rejects.toThrow();
  const gone = '00000000-0000-4000-8000-000000000000' as NonNullable<ReturnType<typeof commit>['uploadId']>;
  await expect(versions.landFirst(dataset, commit({ uploadId: gone }), publishNothing)).rejects.toMatchObject({ code: 'not_found' });
  expect(await named()).toEqual([]);
  const [first, second] = await Promise.all([1, 2].map(() => versions.landFirst(dataset, commit({ provenance }), publishNothing)));
  expect(second).toEqual(first);
  expect(await versions.landFirst(dataset, commit({ provenance }), publishNothing)).toEqual(first);
  expect(first).toMatchObject({ versionId: 1, branch: 'main', parents: [], key: ['id'], author: 'alice' });
  expect((await named()).map(({ datasetId }) => datasetId)).toEqual([first?.datasetId]);
  expect(await grants.ofDataset((first as NonNullable<typeof first>).datasetId)).toMatchObject([{ principal: 'user:alice', permission: 'admin' }]);
});
