import pg from 'pg';
import { expect, test } from 'vitest';
import type { EventNotice } from '../../server/storage/stores.ts';
import { by, commit, createDataset, datasetWithVersions, landed, landOne, publishNothing, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const free = { expectedHead: undefined, mayMoveProtected: false };

/** Collects notices, and waits for them. */
function notices() {
  const all: EventNotice[] = [];
  let wake = (): void => {};
  return {
    all,
    add: (notice: EventNotice): void => {
      all.push(notice);
      wake();
    },
    async until(enough: () => boolean): Promise<void> {
      while (!enough()) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
    },
  };
}

test('DB1 DB2 every kind of change tells its event, numbered without gaps', async () => {
  const { pointers, datasets, grants, events } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  expect([await events.latest(datasetId), await events.earliest(datasetId)]).toEqual([0, 0]);
  await landOne(metadata.store, datasetId);
  await landOne(metadata.store, datasetId);
  await pointers.createBranch(datasetId, 'side', version(1), by('bob'));
  await pointers.renameBranch(datasetId, 'side', 'trial', free, by('bob'));
  await pointers.resetBranch(datasetId, 'trial', version(2), '', free, by('bob'));
  await pointers.protectBranch(datasetId, 'trial', true, by('alice'));
  await pointers.deleteBranch(datasetId, 'trial', { ...free, mayMoveProtected: true }, by('alice'));
  await pointers.createTag(datasetId, 'v1', version(1), 'hello', by('bob'));
  await datasets.update(datasetId, { description: 'x' }, by('alice'));
  const grant = await grants.create(datasetId, { principal: 'user:zed', permission: 'read', validFrom: null, validUntil: null }, by('alice'));
  await grants.revoke(datasetId, grant.grantId, by('alice'));
  const told = await events.after(datasetId, 0, 100);
  expect(told.map(({ kind, actor, data }) => [kind, actor, data])).toMatchObject([
    ['version.created', 'alice', { versionId: 1, branch: 'main', mode: 'replace', rows: 10, parents: [] }],
    ['branch.created', 'alice', { name: 'main', versionId: 1 }],
    ['version.created', 'alice', { versionId: 2, parents: [1] }],
    ['branch.moved', 'alice', { name: 'main', action: 'commit', from: 1, to: 2 }],
    ['branch.created', 'bob', { name: 'side', versionId: 1 }],
    ['branch.renamed', 'bob', { name: 'trial', from: 'side' }],
    ['branch.moved', 'bob', { name: 'trial', action: 'reset', from: 1, to: 2 }],
    ['branch.protected', 'alice', { name: 'trial', protected: true }],
    ['branch.deleted', 'alice', { name: 'trial', from: 2 }],
    ['tag.created', 'bob', { name: 'v1', versionId: 1, message: 'hello' }],
    ['dataset.updated', 'alice', { description: 'x' }],
    ['grant.changed', 'alice', { action: 'create', principal: 'user:zed', permission: 'read' }],
    ['grant.changed', 'alice', { action: 'revoke', principal: 'user:zed' }],
  ]);
  expect(told.map(({ sequence }) => sequence)).toEqual(told.map((_, index) => index + 1));
  expect(await events.after(datasetId, 11, 1)).toEqual([told[11]]);
  expect([await events.latest(datasetId), await events.earliest(datasetId)]).toEqual([13, 1]);
});

test('every server is told of what any server committed, and only of that', async () => {
  const other = await metadata.open();
  const heard = notices();
  const listening = await other.events.listen(heard.add);
  const { datasetId } = await createDataset(metadata.store);
  const failed = metadata.store.versions.land(datasetId, [commit()], () => Promise.reject(new Error('no')));
  await expect(failed).rejects.toThrow('no');
  await landOne(metadata.store, datasetId);
  await metadata.store.grants.create(datasetId, { principal: 'user:x', permission: 'read', validFrom: null, validUntil: null }, by('alice'));
  await heard.until(() => heard.all.length >= 2);
  await listening.close();
  await landOne(metadata.store, datasetId);
  expect(heard.all).toEqual([
    { kind: 'events', datasetId, sequence: 2, grantsChanged: false, versionsChanged: false, isDeleted: false },
    { kind: 'events', datasetId, sequence: 3, grantsChanged: true, versionsChanged: false, isDeleted: false },
  ]);
});

test('DB16 a listening connection that is lost comes back and tells of the gap', async () => {
  const heard = notices();
  const listening = await metadata.store.events.listen(heard.add);
  const client = new pg.Client({ connectionString: metadata.url });
  await client.connect();
  const cut = await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`,
  );
  expect(cut.rowCount).toBe(1);
  await heard.until(() => heard.all.length >= 1);
  expect(heard.all).toEqual([{ kind: 'gap' }]);
  const datasetId = await datasetWithVersions(metadata.store, 1);
  await client.query(`SELECT pg_notify('covista_events', 'something else')`);
  await heard.until(() => heard.all.length >= 3);
  expect(heard.all.slice(1)).toEqual([
    { kind: 'events', datasetId, sequence: 2, grantsChanged: false, versionsChanged: false, isDeleted: false },
    { kind: 'gap' },
  ]);
  await listening.close();
  await client.end();
});

test('a listener that is closed while it reconnects ends', async () => {
  const heard = notices();
  const listening = await metadata.store.events.listen(heard.add);
  const client = new pg.Client({ connectionString: metadata.url });
  await client.connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()`);
  await listening.close();
  await client.end();
});

test('pruning forgets old events but not their number', async () => {
  const { events } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  await events.prune(3_600_000);
  expect(await events.earliest(datasetId)).toBe(1);
  await events.prune(-1_000);
  expect([await events.latest(datasetId), await events.earliest(datasetId)]).toEqual([4, 0]);
  await landOne(metadata.store, datasetId);
  expect(await events.earliest(datasetId)).toBe(5);
});

test('DB4 a repeated command answers as the first time, and another with its key is conflict', async () => {
  const { datasets, pointers, versions, idempotency, uploads } = metadata.store;
  const once = { key: 'k1', inputHash: 'h1' };
  const given = { name: 'x', description: '', labels: [], key: null };
  const made = await datasets.create(given, by('alice', 'dataset.create', once));
  expect(await idempotency.find('alice', once)).toEqual({ result: made });
  expect(await idempotency.find('bob', once)).toBeUndefined();
  await expect(idempotency.find('alice', { ...once, inputHash: 'h2' })).rejects.toMatchObject({ code: 'conflict' });
  expect(await datasets.create(given, by('alice', 'dataset.create', once))).toEqual(made);
  await expect(datasets.create(given, by('alice', 'dataset.create', { ...once, inputHash: 'h2' }))).rejects.toMatchObject({ code: 'conflict' });

  const { datasetId } = made;
  const committing = commit({ provenance: by('alice', 'version.commit', { key: 'k2', inputHash: 'c' }) });
  const other = commit({ provenance: by('alice', 'version.commit', { key: 'k2', inputHash: 'other' }) });
  const [first, second, third] = await versions.land(datasetId, [committing, committing, other], publishNothing);
  expect(second).toEqual(first);
  expect(third).toMatchObject({ outcome: 'refused', error: { code: 'conflict' } });
  const again = await versions.land(datasetId, [committing, commit()], publishNothing);
  expect(again).toMatchObject([
    { outcome: 'landed', version: landed(first) },
    { outcome: 'landed', version: { versionId: 2 } },
  ]);
  expect(await idempotency.find('alice', { key: 'k2', inputHash: 'c' })).toEqual({ result: landed(first) });

  const tagging = by('alice', 'tag.create', { key: 'k3', inputHash: 't' });
  const tag = await pointers.createTag(datasetId, 'v1', version(1), '', tagging);
  await expect(pointers.createTag(datasetId, 'v1', version(1), '', tagging)).resolves.toEqual(tag);
  await pointers.createBranch(datasetId, 'gone', version(1), by('alice'));
  await pointers.deleteBranch(datasetId, 'gone', free, by('alice', 'branch.delete', { key: 'k4', inputHash: 'd' }));
  expect(await idempotency.find('alice', { key: 'k4', inputHash: 'd' })).toEqual({ result: {} });

  const uploadId = crypto.randomUUID() as Parameters<typeof uploads.get>[0];
  const upload = { uploadId, subject: 'alice', bytes: null, sha256: null, fileName: null };
  await uploads.begin(upload, 1_000, 10, by('alice', 'upload.begin', { key: 'k5', inputHash: 'u' }));
  expect(await idempotency.find('alice', { key: 'k5', inputHash: 'u' })).toMatchObject({
    result: { uploadId, offset: 0, chunkBytesMax: expect.any(Number) },
  });
  await idempotency.prune(3_600_000);
  expect(await idempotency.find('alice', once)).toBeDefined();
  await idempotency.prune(-1_000);
  expect(await idempotency.find('alice', once)).toBeUndefined();
});
