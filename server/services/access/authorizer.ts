import { LRUCache } from 'lru-cache';
import type { PermissionLevel } from '../../../protocol/define.ts';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { assert } from '../../shared/assert.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Hits } from '../../shared/metrics.ts';
import { isUnrestricted } from '../../storage/content-store.ts';
import type { EventNotice, GrantStore } from '../../storage/stores.ts';
import type { Access } from './access.ts';
import type { Actor } from './actor.ts';
import { GrantCache, type Known, type Weighed } from './grant-cache.ts';
import { type HoldRequest, Holds } from './holds.ts';
import { indexGrants, rank, type Standing, weigh } from './standing.ts';

export interface Authorizer {
  /**
   * What the actor may do on the dataset, if that is at least `level`. `not_found` to who holds no grant at all (and for
   * datasets that do not exist: the two cannot be told apart), `forbidden` to who holds a lower one, or one whose filter
   * needs a claim that the actor does not have.
   */
  authorize(actor: Actor, level: PermissionLevel, datasetId: DatasetId): Promise<Access>;
  /** The same, also of a deleted dataset that can be brought back, at once where everything that it takes is known, as it mostly is; then it throws instead of rejecting. */
  decide(actor: Actor, level: PermissionLevel, datasetId: DatasetId, state?: 'present' | 'deleted'): Access | Promise<Access>;
  /** What the grants on a dataset come to for someone; undefined when there is no such dataset. */
  standing(actor: Actor, datasetId: DatasetId): Promise<Standing | undefined>;
  /** Watches over work that goes on, and calls back once when it is allowed no longer; returns how to let go. */
  hold(request: HoldRequest): () => void;
  /** Forgets what it knows of a dataset's grants; for changes made by this server. */
  forget(datasetId: DatasetId): void;
  /** Makes sure that it knows of the changes up to this event of the dataset. */
  catchUp(datasetId: DatasetId, sequence: number): void;
  /** How often the grants that it needed were in memory. */
  readonly grantHits: () => Hits;
  /** Follows changes made by any server. */
  notice(notice: EventNotice): void;
}

export interface AuthorizerOptions {
  readonly grants: GrantStore;
  readonly limits: Limits;
  readonly clock: Clock;
}

export function createAuthorizer({ grants, limits, clock }: AuthorizerOptions): Authorizer {
  const cache = new GrantCache(grants, limits);
  const changedAt = new LRUCache<DatasetId, number>({ max: limits.grantCacheMax });

  const weighIn = (actor: Actor, datasetId: DatasetId, known: Known): Weighed => {
    const earlier = known.weighed.get(actor);
    const changesAtMs = earlier?.standing.changesAtMs;
    if (earlier !== undefined && (changesAtMs === Number.POSITIVE_INFINITY || clock.now() < earlier.standing.changesAtMs)) return earlier;
    const standing = weigh(actor, known.grants, clock.now(), limits);
    const weighed = { standing, access: accessOf(datasetId, standing, limits.scopePartsMax) };
    known.weighed.set(actor, weighed);
    return weighed;
  };

  const standing: Authorizer['standing'] = async (actor, datasetId) => {
    const known = await cache.load(datasetId).promise;
    return known && weighIn(actor, datasetId, known).standing;
  };

  const permit = (actor: Actor, level: PermissionLevel, datasetId: DatasetId, known: Known | undefined): Access => {
    const weighed = known && weighIn(actor, datasetId, known);
    const access = weighed?.access;
    if (access !== undefined && rank(access.permission) >= rank(level)) return access;
    if (weighed?.standing.permission === undefined) throw refusal(datasetId, weighed?.standing);
    const { permission } = weighed.standing;
    if (rank(permission) >= rank(level)) throw tooManyParts(datasetId, limits.scopePartsMax);
    const message = `this needs ${level} permission on dataset ${datasetId}; you have ${permission}`;
    throw new CovistaError('forbidden', message, { datasetId, needs: level, has: permission });
  };

  const ofDeleted = async (datasetId: DatasetId): Promise<Known | undefined> => {
    const found = await grants.ofDeleted(datasetId, limits.removalGraceMs);
    return found && { grants: indexGrants(found), weighed: new WeakMap() };
  };

  const decide: Authorizer['decide'] = (actor, level, datasetId, state = 'present') => {
    if (state === 'deleted') return ofDeleted(datasetId).then((known) => permit(actor, level, datasetId, known));
    const { known, promise } = cache.load(datasetId);
    if (known !== undefined) return permit(actor, level, datasetId, known);
    return promise.then((loaded) => permit(actor, level, datasetId, loaded));
  };
  const authorize: Authorizer['authorize'] = async (actor, level, datasetId) => decide(actor, level, datasetId);

  const holds = new Holds({ authorize, standing, clock });
  const forget = (datasetId: DatasetId): void => {
    cache.forget(datasetId);
    holds.recheck(datasetId);
  };
  const catchUp = (datasetId: DatasetId, sequence: number): void => {
    if ((changedAt.get(datasetId) ?? -1) >= sequence) return;
    changedAt.set(datasetId, sequence);
    forget(datasetId);
  };

  return {
    authorize,
    decide,
    standing,
    hold: (request) => holds.add(request),
    forget,
    catchUp,
    grantHits: () => cache.hits,
    notice: (notice) => {
      if (notice.kind === 'gap') {
        cache.clear();
        changedAt.clear();
        holds.recheckAll();
      } else if (notice.kind === 'events' && notice.grantsChanged) catchUp(notice.datasetId, notice.sequence);
    },
  };
}

function accessOf(datasetId: DatasetId, { permission, scope, verdicts }: Standing, scopePartsMax: number): Access | undefined {
  if (permission === undefined) return undefined;
  // What gives more than reading shows everything; that it does is relied on by all that write.
  assert(permission === 'read' || isUnrestricted(scope), 'a permission to write comes with an unrestricted scope');
  if (scope.parts.length > scopePartsMax) return undefined;
  return { datasetId, permission, scope, grantIds: verdicts.flatMap(({ grant, part }) => (part === null ? [] : [grant.grantId])) };
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
