import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, GrantId } from '../../../protocol/ids.ts';
import { isUnrestricted, isWhole, type RowCondition, type Scope, schemaOf, visibleParts } from '../../storage/content-store.ts';
import type { Column, GrantRecord } from '../../storage/stores.ts';
import type { Actor } from './actor.ts';
import type { Authorizer } from './authorizer.ts';
import { type MainSchemaSources, mainSchema } from './main-schema.ts';
import type { Obstacle, Standing, Verdict } from './standing.ts';

export interface WeighedGrant {
  readonly grantId: GrantId;
  readonly principal: string;
  readonly permission: GrantRecord['permission'];
  readonly validFrom: string | null;
  readonly validUntil: string | null;
  readonly counts: boolean;
  readonly obstacle: Obstacle | 'does_not_fit' | null;
  readonly claim: string | null;
  readonly filter: string | null;
}

export interface Explanation {
  readonly datasetId: DatasetId;
  readonly subject: string;
  readonly permission: GrantRecord['permission'] | null;
  readonly unrestricted: boolean;
  readonly columns: { readonly name: string; readonly type: string; readonly inEveryRow: boolean }[];
  readonly filter: string | null;
  readonly grants: WeighedGrant[];
}

export interface Explanations {
  /** What the actor may see. Filters that name columns hidden from them are left out. */
  ofSelf(actor: Actor, datasetId: DatasetId): Promise<Explanation>;
  /** What somebody may see, for who may see everything. */
  ofAnyone(somebody: Actor, datasetId: DatasetId): Promise<Explanation>;
  /** What somebody sees; undefined where they see nothing of the newest version of main. */
  scopeOf(somebody: Actor, datasetId: DatasetId): Promise<Scope | undefined>;
}

export interface ExplanationsOptions extends MainSchemaSources {
  readonly authorizer: Pick<Authorizer, 'standing'>;
}

export function createExplanations({ authorizer, ...sources }: ExplanationsOptions): Explanations {
  const explain = async (actor: Actor, datasetId: DatasetId, isAdmin: boolean): Promise<Explanation> => {
    const standing = await authorizer.standing(actor, datasetId);
    if (standing === undefined) throw new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
    return describe(actor, datasetId, standing, (await mainSchema(sources, datasetId)) ?? [], isAdmin);
  };
  return {
    ofSelf: (actor, datasetId) => explain(actor, datasetId, false),
    ofAnyone: (somebody, datasetId) => explain(somebody, datasetId, true),
    scopeOf: async (somebody, datasetId) => {
      const standing = await authorizer.standing(somebody, datasetId);
      if (standing?.permission === undefined) return undefined;
      const schema = (await mainSchema(sources, datasetId)) ?? [];
      return partsOf(schema, standing.scope).length > 0 ? standing.scope : undefined;
    },
  };
}

function describe(actor: Actor, datasetId: DatasetId, standing: Standing, schema: readonly Column[], isAdmin: boolean): Explanation {
  const { scope, verdicts } = standing;
  const parts = partsOf(schema, scope);
  const visible = schemaOf(parts, schema);
  const names = new Set(visible.map(({ name }) => name));
  const isShown = (condition: RowCondition): boolean => isAdmin || condition.columns.every(({ name }) => names.has(name));
  const isEveryRow = parts.some(({ conditions }) => conditions === null);
  const conditions = isEveryRow ? [] : parts.flatMap((part) => part.conditions ?? []);
  return {
    datasetId,
    subject: actor.subject,
    permission: standing.permission ?? null,
    unrestricted: isUnrestricted(scope),
    columns: visible.map(({ name, type }) => ({ name, type, inEveryRow: isWhole(parts, name) })),
    filter: conditions.length > 0 && conditions.every(isShown) ? [...new Set(conditions.map(readable))].join(' OR ') : null,
    grants: verdicts.map((verdict) => weighed(verdict, schema, isShown)),
  };
}

/** Where a scope shows nothing of a schema there are no parts. */
function partsOf(schema: readonly Column[], scope: Scope): ReturnType<typeof visibleParts> {
  try {
    return schema.length === 0 ? [] : visibleParts(schema, scope);
  } catch (error) {
    if (error instanceof CovistaError && error.code === 'forbidden') return [];
    throw error;
  }
}

function weighed(verdict: Verdict, schema: readonly Column[], isShown: (condition: RowCondition) => boolean): WeighedGrant {
  const { grantId, principal, permission, validFrom, validUntil } = verdict.grant;
  const common = { grantId, principal, permission, validFrom, validUntil };
  if (verdict.part === null) return { ...common, counts: false, obstacle: verdict.obstacle, claim: verdict.claim, filter: null };
  const { rows } = verdict.part;
  const isFitting = schema.length === 0 || partsOf(schema, { parts: [verdict.part] }).length > 0;
  const filter = rows !== null && isShown(rows) ? readable(rows) : null;
  return { ...common, counts: isFitting, obstacle: isFitting ? null : 'does_not_fit', claim: null, filter };
}

/** The condition with its values in place: every `?` that is not quoted stands for one. */
function readable({ sql, values }: RowCondition): string {
  const rest = values.values();
  return sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|\?/g, (token) =>
    token === '?' ? `'${(rest.next().value ?? '').replaceAll("'", "''")}'` : token,
  );
}
