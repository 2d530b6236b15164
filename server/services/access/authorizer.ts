import { LRUCache } from 'lru-cache';
import type { PermissionLevel } from '../../../protocol/define.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { Clock } from '../../shared/clock.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type { EventNotice, GrantStore } from '../../storage/stores.ts';
import type { Access } from './access.ts';
import type { Actor } from './actor.ts';
import { type HoldRequest, Holds } from './holds.ts';
import { type GrantIndex, indexGrants, rank, type Standing, weigh } from './standing.ts';

export interface Authorizer {
  /**
   * What the actor may do on the dataset, if that is at least `level`. `not_found` to who holds no grant at all (and for
   * datasets that do not exist: the two cannot be told apart), `forbidden` to who holds a lower one, or one whose filter
   * needs a claim that the actor does not have.
   */
  authorize(actor: Actor, level: PermissionLevel, datasetId: DatasetId): Promise<Access>;
  /** What the grants on a dataset come to for someone; undefined when there is no such dataset. */
  standing(actor: Actor, datasetId: DatasetId): Promise<Standing | undefined>;
  /** Watches over work that goes on, and calls back once when it is allowed no longer; returns how to let go. */
  hold(request: HoldRequest): () => void;
  /** Forgets what it knows of a dataset's grants; for changes made by this server. */
  forget(datasetId: DatasetId): void;
  /** Makes sure that it knows of the changes up to this event of the dataset. */
  catchUp(datasetId: DatasetId, sequence: number): void;
  /** Follows changes made by any server. */
  notice(notice: EventNotice): void;
}

export interface AuthorizerOptions {
  readonly grants: GrantStore;
  readonly limits: Limits;
  readonly clock: Clock;
}

/** The grants of a dataset with what they came to for those who asked. */
interface Known {
  readonly grants: GrantIndex;
  readonly standings: WeakMap<Actor, Standing>;
}

/** Reads grants through a cache; a load that an invalidation overtook is not kept. */
export function createAuthorizer({ grants, limits, clock }: AuthorizerOptions): Authorizer {
  const cache = new LRUCache<DatasetId, Promise<Known | undefined>>({ max: limits.grantCacheMax });
  const changedAt = new LRUCache<DatasetId, number>({ max: limits.grantCacheMax });

  const load = (datasetId: DatasetId): Promise<Known | undefined> => {
    const cached = cache.get(datasetId);
    if (cached !== undefined) return cached;
    const loading = grants.ofDataset(datasetId).then((records) => records && { grants: indexGrants(records), standings: new WeakMap() });
    cache.set(datasetId, loading);
    const drop = (): void => {
      if (cache.peek(datasetId) === loading) cache.delete(datasetId);
    };
    // Neither a failure nor the absence of a dataset is remembered.
    loading.then((known) => known ?? drop(), drop);
    return loading;
  };

  const standing: Authorizer['standing'] = async (actor, datasetId) => {
    const known = await load(datasetId);
    if (known === undefined) return undefined;
    const nowMs = clock.now();
    const earlier = known.standings.get(actor);
    if (earlier !== undefined && nowMs < earlier.changesAtMs) return earlier;
    const weighed = weigh(actor, known.grants, nowMs, limits);
    known.standings.set(actor, weighed);
    return weighed;
  };

  const authorize: Authorizer['authorize'] = async (actor, level, datasetId) => {
    const found = await standing(actor, datasetId);
    if (found === undefined || found.permission === undefined) throw refusal(datasetId, found);
    const { permission, scope, verdicts } = found;
    if (rank(permission) < rank(level)) {
      const message = `this needs ${level} permission on dataset ${datasetId}; you have ${permission}`;
      throw new CovistaError('forbidden', message, { datasetId, needs: level, has: permission });
    }
    // What gives more than reading shows everything; that it does is relied on by all that write.
    assert(permission === 'read' || isUnrestricted(scope), 'a permission to write comes with an unrestricted scope');
    if (scope.parts.length > limits.scopePartsMax) throw tooManyParts(datasetId, limits.scopePartsMax);
    return { datasetId, permission, scope, grantIds: verdicts.flatMap(({ grant, part }) => (part === null ? [] : [grant.grantId])) };
  };

  const holds = new Holds({ authorize, standing, clock });
  const forget = (datasetId: DatasetId): void => {
    cache.delete(datasetId);
    holds.recheck(datasetId);
  };
  const catchUp = (datasetId: DatasetId, sequence: number): void => {
    if ((changedAt.get(datasetId) ?? -1) >= sequence) return;
    changedAt.set(datasetId, sequence);
    forget(datasetId);
  };

  return {
    authorize,
    standing,
    hold: (request) => holds.add(request),
    forget,
    catchUp,
    notice: (notice) => {
      if (notice.kind === 'gap') {
        cache.clear();
        changedAt.clear();
        holds.recheckAll();
      } else if (notice.kind === 'events' && notice.grantsChanged) catchUp(notice.datasetId, notice.sequence);
    },
  };
}

/** Who holds a grant knows of the dataset, and is told which claim it lacks; everybody else is told nothing. */
function refusal(datasetId: DatasetId, standing: Standing | undefined): CovistaError {
  const claims = standing?.verdicts.flatMap((verdict) => (verdict.part === null && verdict.claim !== null ? [verdict.claim] : [])) ?? [];
  if (claims.length === 0) return new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
  const names = [...new Set(claims)].map((claim) => JSON.stringify(claim)).join(', ');
  return new CovistaError(
    'forbidden',
    `your grant on dataset ${datasetId} depends on claims that your token lacks or has in another form: ${names}`,
    {
      datasetId,
      claims: [...new Set(claims)],
    },
  );
}

function tooManyParts(datasetId: DatasetId, partsMax: number): CovistaError {
  return new CovistaError('forbidden', `more than ${partsMax} restricted grants on dataset ${datasetId} apply to you; its admins must join some`, {
    datasetId,
    scopePartsMax: partsMax,
  });
}
