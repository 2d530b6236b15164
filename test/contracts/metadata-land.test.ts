import { expect, test } from 'vitest';
import type { Original, PendingCommit, Publication } from '../../server/storage/stores.ts';
import {
  by,
  COLUMNS,
  commit,
  createDataset,
  datasetWithVersions,
  landed,
  landOne,
  publishNothing,
  schemaHash,
  sha256,
  stagedFile,
  useMetadata,
  version,
  whole,
} from '../support/metadata.ts';

const metadata = useMetadata();

test('the first commit makes main, and reads back whole', async () => {
  const { versions, pointers } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  const original: Original = { fileName: 'orders.csv', format: 'csv', compression: 'gzip', bytes: 77, sha256: sha256('csv') };
  const conversion = { status: 'partial' as const, errorCount: 1, errors: [{ line: 3, column: 'id', byte: 20, reason: 'not a number: \0\ud800' }] };
  const file = stagedFile(5);
  const published: Publication[] = [];
  const [landing] = await versions.land(
    datasetId,
    [commit({ content: whole(file), original: { ...original, path: '/staging/original' }, conversion, key: ['id'], message: 'first\n"é"' })],
    async (files) => void published.push(...files),
  );
  const { identical, ...record } = landed(landing);
  expect(identical).toBe(false);
  expect(record).toMatchObject({ versionId: 1, parents: [], generation: 0, branch: 'main', mode: 'replace', message: 'first\n"é"' });
  expect(record).toMatchObject({ author: 'alice', rows: 5, bytes: 500, files: 1, key: ['id'], original });
  expect(record.schema).toEqual(COLUMNS.map((column, index) => ({ ...column, columnId: index + 1 })));
  const read = await versions.get(datasetId, version(1));
  expect(read).toEqual({ ...record, conversion: { ...conversion, errors: [{ ...conversion.errors[0], reason: 'not a number: \uFFFD\uFFFD' }] } });
  const [data, raw] = published;
  expect(data?.objectKey).toMatch(new RegExp(`^datasets/${datasetId}/1/data-[0-9a-f]{8}\\.parquet$`));
  expect(raw?.objectKey).toMatch(new RegExp(`^datasets/${datasetId}/1/original-[0-9a-f]{8}$`));
  expect(published.map(({ path }) => path)).toEqual([file.path, '/staging/original']);
  const { path: _, ...kept } = file;
  const manifest = await versions.manifest(datasetId, version(1));
  expect(manifest).toEqual({
    version: read,
    files: [{ ...kept, fileId: expect.any(String), objectKey: data?.objectKey }],
    originalKey: raw?.objectKey,
  });
  expect(await pointers.get(datasetId, 'main')).toMatchObject({ kind: 'branch', versionId: 1, createdBy: 'alice', protected: false });
});

test('commits of a batch build on each other, on every branch, without gaps', async () => {
  const { versions, pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const branches = ['main', 'side', 'main', 'side', 'other'];
  const landings = await versions.land(
    datasetId,
    branches.map((branch) => commit({ branch, provenance: by(`author of ${branch}`) })),
    publishNothing,
  );
  const made = landings.map(landed);
  expect(made.map(({ versionId }) => versionId)).toEqual([2, 3, 4, 5, 6]);
  expect(made.map(({ parents }) => parents)).toEqual([[1], [2], [2], [3], [4]]);
  expect(made.map(({ generation }) => generation)).toEqual([1, 2, 2, 3, 3]);
  expect(await pointers.listBranches(datasetId, { limit: 10 })).toMatchObject([
    { name: 'main', versionId: 4, createdBy: 'alice' },
    { name: 'other', versionId: 6, createdBy: 'author of other' },
    { name: 'side', versionId: 5, createdBy: 'author of side' },
  ]);
  const log = await pointers.log(datasetId, 'side', { limit: 10 });
  expect(log.map(({ action, from, to }) => [action, from, to])).toEqual([
    ['commit', 3, 5],
    ['commit', 2, 3],
    ['create', null, 2],
  ]);
});

test('a branch of a dataset without main begins at a root', async () => {
  const { pointers } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  expect(await landOne(metadata.store, datasetId, { branch: 'trial' })).toMatchObject({ versionId: 1, parents: [] });
  expect(await landOne(metadata.store, datasetId)).toMatchObject({ versionId: 2, parents: [] });
  expect(await pointers.log(datasetId, 'main', { limit: 10 })).toMatchObject([{ action: 'create', from: null, to: 2, message: 'a commit' }]);
});

test('expectedHead guards: stale, too early, absent', async () => {
  const { versions } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  const cases: readonly [Partial<PendingCommit>, unknown][] = [
    [{ expectedHead: version(1) }, { outcome: 'moved', head: 2 }],
    [{ expectedHead: null }, { outcome: 'moved', head: 2 }],
    [
      { branch: 'new', expectedHead: version(2) },
      { outcome: 'moved', head: null },
    ],
    [
      { branch: 'new', expectedHead: null },
      { outcome: 'landed', version: { versionId: 3, parents: [2] } },
    ],
    [
      { branch: 'new', expectedHead: null },
      { outcome: 'moved', head: 3 },
    ],
    [{ expectedHead: version(2) }, { outcome: 'landed', version: { versionId: 4 } }],
  ];
  const landings = await versions.land(
    datasetId,
    cases.map(([overrides]) => commit(overrides)),
    publishNothing,
  );
  expect(landings).toMatchObject(cases.map(([, outcome]) => outcome));
});

test('an append goes behind whatever the head is, if the schema is still the same', async () => {
  const { versions } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const added = [stagedFile(3), stagedFile(4)];
  const append = (ontoSchemaHash: string | null, branch = 'main') =>
    commit({ branch, mode: 'append', content: { kind: 'append', added, ontoSchemaHash } });
  const landings = await versions.land(datasetId, [append(schemaHash()), append('other'), append(null), append(schemaHash())], publishNothing);
  expect(landings.map(({ outcome }) => outcome)).toEqual(['landed', 'moved', 'moved', 'landed']);
  expect(landed(landings[0])).toMatchObject({ versionId: 2, rows: 17, bytes: 1700, files: 3, identical: false });
  expect(landed(landings[3])).toMatchObject({ versionId: 3, rows: 24, files: 5 });
  const files = async (id: number) => (await versions.manifest(datasetId, version(id)))?.files.map(({ fileId }) => fileId) ?? [];
  expect((await files(3)).slice(0, 3)).toEqual(await files(2));
  expect((await files(2)).slice(0, 1)).toEqual(await files(1));

  const fresh = await createDataset(metadata.store);
  const onto = await versions.land(fresh.datasetId, [append(schemaHash()), append(null)], publishNothing);
  expect(onto).toMatchObject([
    { outcome: 'moved', head: null },
    { outcome: 'landed', version: { rows: 7, parents: [] } },
  ]);
});

test('a rewrite holds only on its base, and reuses files', async () => {
  const { versions } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  const base = await versions.manifest(datasetId, version(2));
  const kept = base?.files[0]?.fileId ?? '';
  const rewrite = (on: number) =>
    commit({ mode: 'upsert', content: { kind: 'rewrite', base: version(on), pieces: [stagedFile(1), kept], rows: 11, bytes: 1100 } });
  const landings = await versions.land(datasetId, [rewrite(1), rewrite(2), rewrite(2)], publishNothing);
  expect(landings).toMatchObject([
    { outcome: 'moved', head: 2 },
    { outcome: 'landed', version: { versionId: 3, rows: 11, files: 2 } },
    { outcome: 'moved', head: 3 },
  ]);
  expect((await versions.manifest(datasetId, version(3)))?.files[1]).toEqual(base?.files[0]);
});

test('the same files and schema as the parent are identical; files of another dataset do not land', async () => {
  const { versions } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const other = await datasetWithVersions(metadata.store, 1);
  const fileOf = async (id: typeof datasetId) => (await versions.manifest(id, version(1)))?.files[0]?.fileId ?? '';
  const again: PendingCommit['content'] = { kind: 'whole', pieces: [await fileOf(datasetId)], rows: 10, bytes: 1000 };
  expect(await landOne(metadata.store, datasetId, { content: again, mode: 'restore' })).toMatchObject({ identical: true, rows: 10, files: 1 });
  const [landing] = await versions.land(datasetId, [commit({ content: { ...again, pieces: [await fileOf(other)] } })], publishNothing);
  expect(landing).toEqual({ outcome: 'moved', head: 2 });
});

test('columns keep their ids through versions, and never take those of others', async () => {
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const column = (name: string) => ({ name, type: 'BIGINT', nullable: true });
  const schema = [column('name'), column('extra'), column('id')];
  const second = await landOne(metadata.store, datasetId, { schema });
  expect(second.schema.map(({ name, columnId }) => [name, columnId])).toEqual([
    ['name', 2],
    ['extra', 3],
    ['id', 1],
  ]);
  const third = await landOne(metadata.store, datasetId, { schema: [column('id')] });
  const fourth = await landOne(metadata.store, datasetId, { schema });
  expect(third.schema.map(({ columnId }) => columnId)).toEqual([1]);
  expect(fourth.schema.map(({ columnId }) => columnId)).toEqual([4, 5, 1]);
});

test('protected branches and tags refuse, and the rest of the batch lands', async () => {
  const { versions, pointers } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  await pointers.protectBranch(datasetId, 'main', true, by('alice', 'branch.protect'));
  await pointers.createTag(datasetId, 'v1', version(1), '', by('alice', 'tag.create'));
  const landings = await versions.land(
    datasetId,
    [commit(), commit({ branch: 'v1' }), commit({ mergedFrom: version(99) }), commit({ mayMoveProtected: true }), commit({ branch: 'side' })],
    publishNothing,
  );
  expect(landings).toMatchObject([
    { outcome: 'refused', error: { code: 'forbidden' } },
    { outcome: 'refused', error: { code: 'conflict' } },
    { outcome: 'refused', error: { code: 'forbidden' } },
    { outcome: 'landed', version: { versionId: 2 } },
    { outcome: 'landed', version: { versionId: 3, parents: [2] } },
  ]);
});

test('mergedFrom is the second parent, unless it is the first', async () => {
  const datasetId = await datasetWithVersions(metadata.store, 2);
  await metadata.store.pointers.createBranch(datasetId, 'side', version(1), by('alice', 'branch.create'));
  const side = await landOne(metadata.store, datasetId, { branch: 'side' });
  const third = await landOne(metadata.store, datasetId, { branch: 'side' });
  expect([side.generation, third.generation]).toEqual([1, 2]);
  expect(await landOne(metadata.store, datasetId, { mergedFrom: third.versionId })).toMatchObject({ parents: [2, 4], generation: 3 });
  expect(await landOne(metadata.store, datasetId, { mergedFrom: version(5) })).toMatchObject({ parents: [5], generation: 4 });
});

test('an original that another version has is referred to, not stored again, and is found by its hash', async () => {
  const { versions } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  const original: Original = { fileName: 'a.csv', format: 'csv', compression: 'none', bytes: 3, sha256: sha256('a.csv') };
  await landOne(metadata.store, datasetId, { original: { ...original, path: '/staging/a' } });
  const first = await versions.findByOriginal(datasetId, original.sha256);
  expect(first?.version.versionId).toBe(1);
  const objectKey = first?.originalKey ?? '';
  const published: Publication[] = [];
  await versions.land(datasetId, [commit({ original: { ...original, objectKey } })], async (files) => void published.push(...files));
  expect(published).toHaveLength(1);
  expect(await versions.manifest(datasetId, version(2))).toMatchObject({ originalKey: objectKey, version: { original } });
  const failed = { status: 'failed' as const, errorCount: 1, errors: [] };
  await landOne(metadata.store, datasetId, { original: { ...original, objectKey }, conversion: failed });
  await landOne(metadata.store, datasetId, { original: { ...original, objectKey }, mode: 'append' });
  expect((await versions.findByOriginal(datasetId, original.sha256))?.version.versionId).toBe(2);
  expect(await versions.findByOriginal(datasetId, sha256('unknown'))).toBeUndefined();
  expect(await versions.referenced([objectKey, 'datasets/0/0/nothing'])).toEqual(new Set([objectKey]));
});

test('DB1 when files cannot be published nothing of the batch exists, and the next commit takes the same id', async () => {
  const { versions, audit, events } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const before = [await audit.list(datasetId, { limit: 10 }), await events.after(datasetId, 0, 10)];
  const failing = versions.land(datasetId, [commit(), commit({ branch: 'side' })], async () => {
    throw new Error('no room on the disk');
  });
  await expect(failing).rejects.toThrow('no room on the disk');
  expect(await versions.get(datasetId, version(2))).toBeUndefined();
  expect(await metadata.store.pointers.get(datasetId, 'side')).toBeUndefined();
  expect([await audit.list(datasetId, { limit: 10 }), await events.after(datasetId, 0, 10)]).toEqual(before);
  expect(await landOne(metadata.store, datasetId)).toMatchObject({ versionId: 2 });
});

test('a manifest has a bounded number of files, and a batch a bounded number of commits', async () => {
  const store = await metadata.open({ manifestFilesMax: 2, commitBatchMax: 2 });
  const { datasetId } = await createDataset(store);
  const [landing] = await store.versions.land(datasetId, [commit({ content: whole(stagedFile(), stagedFile(), stagedFile()) })], publishNothing);
  expect(landing).toMatchObject({ outcome: 'refused', error: { code: 'unprocessable_data' } });
  await expect(store.versions.land(datasetId, [commit(), commit(), commit()], publishNothing)).rejects.toThrow('more commits');
});
