import { LRUCache } from 'lru-cache';
import { PERMISSIONS, type PermissionLevel } from '../../../protocol/define.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import { UNRESTRICTED } from '../../storage/content-store.ts';
import type { EventNotice, GrantRecord, GrantStore } from '../../storage/stores.ts';
import type { Access } from './access.ts';
import { type Actor, principalsOf } from './actor.ts';

export interface Authorizer {
  /**
   * What the actor may do on the dataset, if that is at least `level`. `not_found` to who holds no grant at all (and for
   * datasets that do not exist: the two cannot be told apart), `forbidden` to who holds a lower one.
   */
  authorize(actor: Actor, level: PermissionLevel, datasetId: DatasetId): Promise<Access>;
  /** Forgets what it knows of a dataset's grants; for changes made by this server. */
  forget(datasetId: DatasetId): void;
  /** Follows changes made by any server. */
  notice(notice: EventNotice): void;
}

const rank = (level: PermissionLevel): number => PERMISSIONS.indexOf(level);

/** Reads grants through a cache; a load that an invalidation overtook is not kept. */
export function createAuthorizer(options: { readonly grants: GrantStore; readonly limits: Limits; readonly clock: Clock }): Authorizer {
  const cache = new LRUCache<DatasetId, Promise<readonly GrantRecord[] | undefined>>({ max: options.limits.grantCacheMax });

  const load = (datasetId: DatasetId): Promise<readonly GrantRecord[] | undefined> => {
    const cached = cache.get(datasetId);
    if (cached !== undefined) return cached;
    const loading = options.grants.ofDataset(datasetId);
    cache.set(datasetId, loading);
    const drop = (): void => {
      if (cache.peek(datasetId) === loading) cache.delete(datasetId);
    };
    // Neither a failure nor the absence of a dataset is remembered.
    loading.then((grants) => grants ?? drop(), drop);
    return loading;
  };

  return {
    authorize: async (actor, level, datasetId) => {
      const grants = await load(datasetId);
      const permission = grants === undefined ? undefined : strongest(actor, grants, options.clock.now());
      if (permission === undefined) throw new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
      if (rank(permission) < rank(level)) {
        throw new CovistaError('forbidden', `this needs ${level} permission on dataset ${datasetId}; you have ${permission}`, {
          datasetId,
          needs: level,
          has: permission,
        });
      }
      return { datasetId, permission, scope: UNRESTRICTED };
    },
    forget: (datasetId) => {
      cache.delete(datasetId);
    },
    notice: (notice) => {
      if (notice.kind === 'gap') cache.clear();
      else if (notice.grantsChanged) cache.delete(notice.datasetId);
    },
  };
}

/** The highest permission that a grant gives the actor now. */
function strongest(actor: Actor, grants: readonly GrantRecord[], nowMs: number): PermissionLevel | undefined {
  if (actor.serverAdmin) return 'admin';
  const principals = new Set(principalsOf(actor));
  return grants
    .filter((grant) => principals.has(grant.principal) && isValidAt(grant, nowMs))
    .map(({ permission }) => permission)
    .reduce<PermissionLevel | undefined>((best, level) => (best === undefined || rank(level) > rank(best) ? level : best), undefined);
}

function isValidAt(grant: GrantRecord, nowMs: number): boolean {
  if (grant.validFrom !== null && Date.parse(grant.validFrom) > nowMs) return false;
  return grant.validUntil === null || Date.parse(grant.validUntil) > nowMs;
}
