import { expect, test } from 'vitest';
import type { VersionId } from '../../protocol/ids.ts';
import { by, datasetWithVersions, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();
const POLICY = { keepLast: 0, keepDays: null };
const HEAD = version(4);

async function planned() {
  const { retention } = metadata.store;
  const datasetId = await datasetWithVersions(metadata.store, HEAD);
  await retention.set(datasetId, POLICY, by('alice', 'retention.set'));
  const { versionIds } = await retention.unkept(datasetId, POLICY, 10);
  expect(versionIds).toEqual([1, 2, 3]);
  const remove = (): Promise<VersionId[]> => retention.remove(datasetId, versionIds, (removed) => removed, by('alice', 'retention.run'));
  return { retention, datasetId, remove };
}

test('RET1 what was planned is removed as long as the policy is the same', async () => {
  const { remove } = await planned();
  expect(await remove()).toEqual([1, 2, 3]);
  expect(await remove()).toEqual([]);
});

test.each([
  ['was taken back', null, []],
  ['keeps more by now', { keepLast: 2, keepDays: null }, [1]],
  ['keeps all of the last days by now', { keepLast: 0, keepDays: 1 }, []],
])('RET1 of what was planned nothing is removed that a policy keeps which %s', async (_what, policy, removed) => {
  const { retention, datasetId, remove } = await planned();
  await retention.set(datasetId, policy, by('alice', 'retention.set'));
  expect(await remove()).toEqual(removed);
});

test('RET1 a version that became a head after the plan stays', async () => {
  const { datasetId, remove } = await planned();
  await metadata.store.pointers.createTag(datasetId, 'kept', version(2), '', by('alice', 'tag.create'));
  expect(await remove()).toEqual([1, 3]);
});
