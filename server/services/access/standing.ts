import { PERMISSIONS, type PermissionLevel } from '../../../protocol/define.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { isUnrestricted, type Scope, type ScopePart, UNRESTRICTED } from '../../storage/content-store.ts';
import type { EffectiveGrant } from '../../storage/stores.ts';
import { type Actor, principalsOf } from './actor.ts';
import { bindFilter } from './filter-values.ts';

/** Why a grant to someone does not count. */
export type Obstacle = 'not_yet_valid' | 'ended' | 'claim_missing' | 'claim_unusable';

/** A grant to someone, and what it is worth now. */
export type Verdict =
  | { readonly grant: EffectiveGrant; readonly part: ScopePart }
  | { readonly grant: EffectiveGrant; readonly part: null; readonly obstacle: Obstacle; readonly claim: string | null };

/** What someone's grants on a dataset come to. */
export interface Standing {
  /** Undefined when no grant counts. */
  readonly permission: PermissionLevel | undefined;
  readonly scope: Scope;
  readonly verdicts: readonly Verdict[];
  /** When it may come to something else though no grant changes, in milliseconds since 1970. */
  readonly changesAtMs: number;
}

/** Grants of a dataset by principal. */
export type GrantIndex = ReadonlyMap<string, readonly EffectiveGrant[]>;

export type WeighingLimits = Pick<Limits, 'filterClaimValuesMax'>;

const RANKS = Object.fromEntries(PERMISSIONS.map((level, index) => [level, index])) as Readonly<Record<PermissionLevel, number>>;

export const rank = (level: PermissionLevel): number => RANKS[level];

export function indexGrants(grants: readonly EffectiveGrant[]): GrantIndex {
  return Map.groupBy(grants, ({ principal }) => principal);
}

export function weigh(actor: Actor, grants: GrantIndex, nowMs: number, limits: WeighingLimits): Standing {
  const own = principalsOf(actor).flatMap((principal) => grants.get(principal) ?? []);
  const verdicts = own.map((grant) => judge(actor, grant, nowMs, limits));
  const changesAtMs = Math.min(...own.flatMap((grant) => changesOf(grant, nowMs)));
  if (actor.serverAdmin) return { permission: 'admin', scope: UNRESTRICTED, verdicts, changesAtMs };
  const counting = verdicts.flatMap((verdict) => (verdict.part === null ? [] : [verdict]));
  const permission = counting.map(({ grant }) => grant.permission).sort((one, other) => rank(other) - rank(one))[0];
  return { permission, scope: join(counting.map(({ part }) => part)), verdicts, changesAtMs };
}

function judge(actor: Actor, grant: EffectiveGrant, nowMs: number, limits: WeighingLimits): Verdict {
  if (grant.validFrom !== null && Date.parse(grant.validFrom) > nowMs) return { grant, part: null, obstacle: 'not_yet_valid', claim: null };
  if (grant.validUntil !== null && Date.parse(grant.validUntil) <= nowMs) return { grant, part: null, obstacle: 'ended', claim: null };
  const { columnMask, columnIdsBelow, filter } = grant;
  const mask = columnMask === null || columnIdsBelow === null ? null : { hidden: columnMask, columnIdsBelow };
  if (filter === null) return { grant, part: { rows: null, mask } };
  const today = new Date(nowMs).toISOString().slice(0, 'YYYY-MM-DD'.length);
  const bound = bindFilter(filter, { claims: actor.claims, today }, limits);
  if ('condition' in bound) return { grant, part: { rows: bound.condition, mask } };
  return { grant, part: null, obstacle: `claim_${bound.problem}`, claim: bound.claim };
}

const DAY_MS = 86_400_000;

/** Moments after now at which a grant begins or ends, or the date in its filter becomes another. */
function changesOf({ validFrom, validUntil, filter }: EffectiveGrant, nowMs: number): number[] {
  const moments = [validFrom, validUntil].flatMap((moment) => (moment === null ? [] : [Date.parse(moment)]));
  if (filter?.parameters.some(({ claim }) => claim === null)) moments.push((Math.floor(nowMs / DAY_MS) + 1) * DAY_MS);
  return moments.filter((moment) => moment > nowMs);
}

/** The union of parts, each once. */
function join(parts: readonly ScopePart[]): Scope {
  if (isUnrestricted({ parts })) return UNRESTRICTED;
  return { parts: [...new Map(parts.map((part) => [JSON.stringify(part), part])).values()] };
}
