import { randomUUID } from 'node:crypto';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { MetadataStore } from '../../server/storage/stores.ts';
import { by } from './metadata.ts';
import type { Random } from './random.ts';
import type { RetentionPlace } from './retention-place.ts';

const NAMES = ['tag', 'branch', 'reset', 'dropBranch', 'retain', 'bringBack', 'create', 'delete', 'undelete'] as const;

/** Changes of the metadata alone; each answers whether there was anything to do. */
export type Changes = Readonly<Record<(typeof NAMES)[number], () => Promise<boolean>>>;

interface Parts {
  readonly place: RetentionPlace;
  readonly store: MetadataStore;
  readonly random: Random;
}

const GUARD = { expectedHead: undefined, mayMoveProtected: false };

export async function anyDataset(place: RetentionPlace, random: Random): Promise<DatasetId | undefined> {
  const all = await place.datasets('deleted_at IS NULL');
  return all[random.below(all.length)];
}

/** One that was not removed. */
export async function anyVersion(place: RetentionPlace, random: Random, datasetId: DatasetId | undefined): Promise<VersionId | undefined> {
  if (datasetId === undefined) return undefined;
  const rows = await place.versions(`v.dataset_id = ${datasetId} AND v.removed_at IS NULL`);
  return rows[random.below(rows.length)]?.versionId;
}

export function changesOf({ place, store, random }: Parts): Changes {
  const { datasets, pointers, retention } = store;
  const chosen = async (): Promise<{ datasetId: DatasetId; versionId: VersionId } | undefined> => {
    const datasetId = await anyDataset(place, random);
    const versionId = await anyVersion(place, random, datasetId);
    return datasetId === undefined || versionId === undefined ? undefined : { datasetId, versionId };
  };
  const anyBranch = async (condition: string) => {
    const found = await place.query<{ datasetId: DatasetId; name: string }>(
      `SELECT p.dataset_id AS "datasetId", p.name FROM pointers p JOIN datasets d USING (dataset_id)
       WHERE d.deleted_at IS NULL AND p.kind = 'branch' AND ${condition} ORDER BY p.dataset_id, p.branch_id`,
    );
    return found[random.below(found.length)];
  };
  return {
    tag: async () => {
      const at = await chosen();
      if (at !== undefined) await pointers.createTag(at.datasetId, `tag-${randomUUID()}`, at.versionId, '', by('alice', 'tag.create'));
      return at !== undefined;
    },
    branch: async () => {
      const at = await chosen();
      if (at !== undefined) await pointers.createBranch(at.datasetId, `branch-${randomUUID()}`, at.versionId, by('alice', 'branch.create'));
      return at !== undefined;
    },
    reset: async () => {
      const branch = await anyBranch('true');
      const versionId = await anyVersion(place, random, branch?.datasetId);
      if (branch === undefined || versionId === undefined) return false;
      await pointers.resetBranch(branch.datasetId, branch.name, versionId, '', GUARD, by('alice', 'branch.reset'));
      return true;
    },
    dropBranch: async () => {
      const branch = await anyBranch(`p.name <> 'main'`);
      if (branch !== undefined) await pointers.deleteBranch(branch.datasetId, branch.name, GUARD, by('alice', 'branch.delete'));
      return branch !== undefined;
    },
    retain: async () => {
      const datasetId = await anyDataset(place, random);
      if (datasetId === undefined) return false;
      const policy = { keepLast: random.below(3), keepDays: null };
      await retention.set(datasetId, policy, by('alice', 'retention.set'));
      const { versionIds } = await retention.unkept(datasetId, policy, 1 + random.below(5));
      await retention.remove(datasetId, versionIds, (removed) => removed, by('alice', 'retention.run'));
      return versionIds.length > 0;
    },
    bringBack: async () => {
      const datasetId = await anyDataset(place, random);
      return datasetId !== undefined && (await retention.restore(datasetId, null, by('alice', 'retention.restore'))).length > 0;
    },
    create: async () => {
      if ((await place.datasets('deleted_at IS NULL')).length >= 4) return false;
      await datasets.create({ name: 'Kept', description: '', labels: [], key: null }, by('alice', 'dataset.create'));
      return true;
    },
    delete: async () => {
      const datasetId = random.below(3) === 0 ? await anyDataset(place, random) : undefined;
      if (datasetId !== undefined) await datasets.delete(datasetId, by('alice', 'dataset.delete'));
      return datasetId !== undefined;
    },
    undelete: async () => {
      const deleted = await place.datasets(`deleted_at > now() - interval '7 days'`);
      const datasetId = deleted[random.below(deleted.length)];
      if (datasetId !== undefined) await datasets.undelete(datasetId, defaultLimits.removalGraceMs, by('alice', 'dataset.undelete'));
      return datasetId !== undefined;
    },
  };
}
