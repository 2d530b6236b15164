import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { GrantId, UploadId } from '../../protocol/ids.ts';
import type { NewGrant } from '../../server/storage/stores.ts';
import { by, createDataset, datasetWithVersions, landOne, sha256, useMetadata } from '../support/metadata.ts';

const metadata = useMetadata();
const HOUR = 3_600_000;

const grantTo = (principal: string, permission: NewGrant['permission'] = 'read', times: Partial<NewGrant> = {}): NewGrant => ({
  principal,
  permission,
  validFrom: null,
  validUntil: null,
  ...times,
});

test('grants come back as given, with times in UTC, and page by id', async () => {
  const { grants } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  const until = grantTo('user:Zoë "q"', 'write', { validFrom: '2030-01-01T00:00:00+02:00', validUntil: '2031-06-01T12:30:00.5Z' });
  const made = await grants.create(datasetId, until, by('alice', 'grant.create'));
  expect(made).toMatchObject({
    ...until,
    datasetId,
    grantedBy: 'alice',
    validFrom: '2029-12-31T22:00:00.000Z',
    validUntil: '2031-06-01T12:30:00.500Z',
  });
  await grants.create(datasetId, grantTo('group:team-b'), by('alice'));
  const all = await grants.ofDataset(datasetId);
  expect(all?.map(({ principal }) => principal)).toEqual(['user:alice', 'user:Zoë "q"', 'group:team-b']);
  expect(await grants.list(datasetId, { limit: 1, after: all?.[0]?.grantId })).toEqual([made]);
  await grants.revoke(datasetId, made.grantId, by('alice', 'grant.revoke'));
  expect(await grants.list(datasetId, { limit: 10 })).toHaveLength(2);
  await expect(grants.revoke(datasetId, made.grantId, by('alice'))).rejects.toMatchObject({ code: 'not_found' });
});

test('a grant of another dataset is not found', async () => {
  const { grants } = metadata.store;
  const [one, other] = [await createDataset(metadata.store), await createDataset(metadata.store)];
  const [grant] = (await grants.ofDataset(other.datasetId)) ?? [];
  await expect(grants.revoke(one.datasetId, grant?.grantId ?? (0 as GrantId), by('alice'))).rejects.toMatchObject({ code: 'not_found' });
});

test('DB15 the last user who is admin without end stays, whatever other admins there are', async () => {
  const { grants } = metadata.store;
  const { datasetId } = await createDataset(metadata.store);
  const [creator] = (await grants.ofDataset(datasetId)) ?? [];
  const creatorGrant = creator?.grantId ?? (0 as GrantId);
  const revoke = () => grants.revoke(datasetId, creatorGrant, by('alice', 'grant.revoke'));
  await grants.create(datasetId, grantTo('group:admins', 'admin'), by('alice'));
  await grants.create(datasetId, grantTo('user:bob', 'admin', { validUntil: '2999-01-01T00:00:00Z' }), by('alice'));
  await grants.create(datasetId, grantTo('user:carol', 'admin', { validFrom: '2999-01-01T00:00:00Z' }), by('alice'));
  await grants.create(datasetId, grantTo('user:dave', 'write'), by('alice'));
  await expect(revoke()).rejects.toMatchObject({ code: 'conflict' });
  expect(await grants.ofDataset(datasetId)).toHaveLength(5);
  const eve = await grants.create(datasetId, grantTo('user:eve', 'admin'), by('alice'));
  const race = await Promise.allSettled([revoke(), grants.revoke(datasetId, eve.grantId, by('alice'))]);
  expect(race.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
});

function upload(subject: string) {
  return { uploadId: randomUUID() as UploadId, subject, bytes: 100, sha256: sha256('x'), fileName: 'ü "x".csv' };
}

test('an upload moves on only from where it is, and each write postpones its end', async () => {
  const { uploads } = metadata.store;
  const given = upload('alice');
  const begun = await uploads.begin(given, HOUR, 10, by('alice', 'upload.begin'));
  expect(begun).toMatchObject({ ...given, offset: 0 });
  expect(Date.parse(begun.expiresAt) - Date.parse(begun.createdAt)).toBe(HOUR);
  const moved = await uploads.advance(given.uploadId, 0, 60, 2 * HOUR);
  expect(moved.offset).toBe(60);
  expect(moved.expiresAt > begun.expiresAt).toBe(true);
  await expect(uploads.advance(given.uploadId, 0, 30, HOUR)).rejects.toMatchObject({ code: 'conflict', details: { offset: 60 } });
  const race = await Promise.allSettled([uploads.advance(given.uploadId, 60, 80, HOUR), uploads.advance(given.uploadId, 60, 100, HOUR)]);
  expect(race.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await uploads.remove(given.uploadId, by('alice', 'upload.abort'));
  expect(await uploads.get(given.uploadId)).toBeUndefined();
  await expect(uploads.advance(given.uploadId, 0, 1, HOUR)).rejects.toMatchObject({ code: 'not_found' });
  await expect(uploads.remove(given.uploadId, by('alice'))).rejects.toMatchObject({ code: 'not_found' });
});

test('uploads of one person are bounded, also when they begin at once', async () => {
  const { uploads } = metadata.store;
  const race = await Promise.allSettled(Array.from({ length: 6 }, () => uploads.begin(upload('greedy'), HOUR, 3, by('greedy'))));
  const refused = race.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(refused).toHaveLength(3);
  for (const reason of refused) expect(reason).toMatchObject({ code: 'rate_limited' });
  await uploads.begin(upload('modest'), HOUR, 3, by('modest'));
});

test('expired uploads count no more, cannot go on, and are removed once', async () => {
  const { uploads } = metadata.store;
  const given = upload('late');
  await uploads.begin(given, 0, 1, by('late'));
  expect(await uploads.get(given.uploadId)).toBeUndefined();
  await expect(uploads.advance(given.uploadId, 0, 1, HOUR)).rejects.toMatchObject({ code: 'not_found' });
  const fresh = upload('late');
  await uploads.begin(fresh, HOUR, 1, by('late'));
  expect(await uploads.removeExpired()).toContain(given.uploadId);
  expect(await uploads.removeExpired()).toEqual([]);
  expect(await uploads.get(fresh.uploadId)).toMatchObject({ subject: 'late' });
});

test('a commit ends its upload', async () => {
  const { uploads } = metadata.store;
  const given = upload('alice');
  await uploads.begin(given, HOUR, 10, by('alice'));
  const { datasetId } = await createDataset(metadata.store);
  await landOne(metadata.store, datasetId, { uploadId: given.uploadId });
  expect(await uploads.get(given.uploadId)).toBeUndefined();
});

test('DB1 every change is audited with who, what, whence, newest first', async () => {
  const { audit, datasets } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, 2);
  const provenance = by('bob', 'dataset.update');
  await datasets.update(datasetId, { name: 'renamed' }, provenance);
  const entries = await audit.list(datasetId, { limit: 10 });
  expect(entries.map(({ operation, versionId }) => [operation, versionId])).toEqual([
    ['dataset.update', null],
    ['version.commit', 2],
    ['version.commit', 1],
    ['dataset.create', null],
  ]);
  const { actor, operation, requestId, address } = provenance;
  expect(entries[0]).toMatchObject({ datasetId, actor, operation, requestId, address, outcome: 'ok', detail: { name: 'renamed' } });
  expect((await audit.list(datasetId, { limit: 1, before: entries[1]?.sequence }))[0]).toEqual(entries[2]);
});
