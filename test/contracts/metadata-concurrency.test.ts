import { expect, test } from 'vitest';
import type { Landing, MetadataStore } from '../../server/storage/stores.ts';
import { by, commit, createDataset, datasetWithVersions, landed, publishNothing, useMetadata, version } from '../support/metadata.ts';

const metadata = useMetadata();

/** Two servers on one database. */
async function twoServers(): Promise<readonly [MetadataStore, MetadataStore]> {
  return [await metadata.open(), await metadata.open({ databasePoolMax: 3 })];
}

test('DB2 DB3 fifty commits at once from two servers: none lost, ids and events without gaps, in order', async () => {
  const servers = await twoServers();
  const { datasetId } = await createDataset(metadata.store);
  const branchOf = (index: number) => (index % 3 === 0 ? 'main' : `branch-${index % 3}`);
  const landings = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      (servers[index % 2] as MetadataStore).versions.land(
        datasetId,
        [commit({ branch: branchOf(index), message: `commit ${index}` })],
        publishNothing,
      ),
    ),
  );
  const versions = landings.map(([landing]) => landed(landing));
  const ids = versions.map(({ versionId }) => versionId as number).sort((left, right) => left - right);
  expect(ids).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));

  const { events, pointers } = metadata.store;
  const told = await events.after(datasetId, 0, 1000);
  expect(told.map(({ sequence }) => sequence)).toEqual(told.map((_, index) => index + 1));
  expect(await events.latest(datasetId)).toBe(told.length);
  const created = told.filter(({ kind }) => kind === 'version.created');
  expect(created.map(({ data }) => data.versionId)).toEqual(ids);
  expect(told.map(({ at }) => at)).toEqual(told.map(({ at }) => at).sort());

  for (const branch of await pointers.listBranches(datasetId, { limit: 10 })) {
    const log = await pointers.log(datasetId, branch.name, { limit: 100 });
    expect(log[0]?.to).toBe(branch.versionId);
    // Each movement starts where the one before it ended: no commit was overwritten unseen.
    expect(log.slice(0, -1).map(({ from }) => from)).toEqual(log.slice(1).map(({ to }) => to));
  }
  const onBranches = await Promise.all(['main', 'branch-1', 'branch-2'].map((name) => pointers.log(datasetId, name, { limit: 100 })));
  const reached = new Set(onBranches.flat().map(({ to }) => to));
  expect([...reached].sort((left, right) => Number(left) - Number(right))).toEqual(ids);
});

test('DB3 of commits that race with one expected head, one lands and the others learn the new head', async () => {
  const servers = await twoServers();
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const race = await Promise.all(
    servers.flatMap((server) =>
      Array.from({ length: 4 }, () => server.versions.land(datasetId, [commit({ expectedHead: version(1) })], publishNothing)),
    ),
  );
  const outcomes: Landing[] = race.flat();
  expect(outcomes.filter(({ outcome }) => outcome === 'landed')).toHaveLength(1);
  expect(outcomes.filter(({ outcome }) => outcome === 'moved')).toEqual(Array(7).fill({ outcome: 'moved', head: 2 }));
});

test('DB3 first commits to one new branch from two servers at once make one chain', async () => {
  const servers = await twoServers();
  const { datasetId } = await createDataset(metadata.store);
  await Promise.all(servers.map((server) => server.versions.land(datasetId, [commit()], publishNothing)));
  const log = await metadata.store.pointers.log(datasetId, 'main', { limit: 10 });
  expect(log.map(({ action, from, to }) => [action, from, to])).toEqual([
    ['commit', 1, 2],
    ['create', null, 1],
  ]);
});

test('DB3 a tag or branch made by several at once is made once, the rest is conflict', async () => {
  const servers = await twoServers();
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const made = await Promise.allSettled(
    servers.flatMap(({ pointers }) => [
      pointers.createTag(datasetId, 'v1', version(1), '', by('alice')),
      pointers.createBranch(datasetId, 'v1', version(1), by('bob')),
    ]),
  );
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const result of made) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
});

test('DB3 a branch that is deleted while it is committed to loses no commit', async () => {
  const [one, other] = await twoServers();
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const guard = { expectedHead: undefined, mayMoveProtected: false };
  for (let round = 0; round < 10; round += 1) {
    const branch = `trial-${round}`;
    await one.versions.land(datasetId, [commit({ branch })], publishNothing);
    const [landings] = await Promise.all([
      one.versions.land(datasetId, [commit({ branch })], publishNothing),
      other.pointers.deleteBranch(datasetId, branch, guard, by('bob', 'branch.delete')),
    ]);
    const { versionId, parents } = landed(landings[0]);
    const log = await one.pointers.log(datasetId, branch, { limit: 10 });
    const movements = log.map(({ action, from, to }) => [action, from, to]);
    // Either the commit came first and the branch is gone with it in the log, or it made the branch anew from main.
    if (log[0]?.action === 'delete') expect(movements[0]).toEqual(['delete', versionId, null]);
    else
      expect(movements.slice(0, 3)).toEqual([
        ['commit', 1, versionId],
        ['create', null, 1],
        ['delete', expect.any(Number), null],
      ]);
    expect(parents).toHaveLength(1);
    expect(await one.versions.get(datasetId, versionId)).toMatchObject({ versionId });
  }
});

test('DB4 one command sent to two servers at once is carried out once', async () => {
  const servers = await twoServers();
  const datasetId = await datasetWithVersions(metadata.store, 1);
  const provenance = by('alice', 'version.commit', { key: 'only once', inputHash: 'x' });
  const race = await Promise.all(
    servers.flatMap((server) => [1, 2].map(() => server.versions.land(datasetId, [commit({ provenance })], publishNothing))),
  );
  expect(race.flat().map((landing) => landed(landing).versionId)).toEqual([2, 2, 2, 2]);
  const datasets = await Promise.all(
    servers.map((server) =>
      server.datasets.create(
        { name: 'once', description: '', labels: [], key: null },
        by('alice', 'dataset.create', { key: 'make', inputHash: 'y' }),
      ),
    ),
  );
  expect(new Set(datasets.map((dataset) => dataset.datasetId)).size).toBe(1);
});

test('DB3 changes of many kinds from two servers at once all succeed', async () => {
  const servers = await twoServers();
  const datasetId = await datasetWithVersions(metadata.store, 2);
  const changes = servers.flatMap(({ pointers, versions, datasets, grants }, server) =>
    Array.from({ length: 5 }, (_, index) => [
      versions.land(datasetId, [commit({ branch: `b${index}` }), commit()], publishNothing),
      pointers.createTag(datasetId, `tag-${server}-${index}`, version(1), '', by('alice')),
      datasets.update(datasetId, { name: `${server} ${index}` }, by('alice')),
      grants.create(datasetId, { principal: `user:${server}-${index}`, permission: 'read', validFrom: null, validUntil: null }, by('alice')),
      pointers.resetBranch(datasetId, 'main', version(1), '', { expectedHead: undefined, mayMoveProtected: false }, by('alice')),
    ]).flat(),
  );
  await Promise.all(changes);
  const told = await metadata.store.events.after(datasetId, 0, 1000);
  expect(told.map(({ sequence }) => sequence)).toEqual(told.map((_, index) => index + 1));
});
