import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import { isUnrestricted, type Row, type ScopedContent, scopeIdentity } from '../content-store.ts';
import type { ComparedColumn, Side } from './diff-columns.ts';
import { type DiffPlan, digest } from './diff-plan.ts';
import { countRows, type Fragment, fragment, join, keyNames, sameKey, sideRows } from './diff-sql.ts';
import { identifier } from './quote.ts';
import type { Session } from './session.ts';

/** How many offending keys an error names. */
const SAMPLES = 5;
/** Where there are many rows, the first ones tell whether it is worth while to look at the order of all. */
const PROBE = { rows: 10_000, ofMoreThan: 2_000_000 };

/**
 * Sees to it that no key is NULL or occurs twice on a side of a diff. What was found to be in order is remembered per list
 * of files, so that of a version whose files are mostly those of one that was checked, only the new files are.
 */
export class KeyChecks {
  readonly #inOrder: LRUCache<string, true>;
  /** How often a side was known to be in order. */
  readonly #counts: CacheCounts;

  constructor(limits: Limits, counts: CacheCounts) {
    this.#counts = counts;
    this.#inOrder = new LRUCache({ max: limits.diffKeyChecksMax });
  }

  /** Fails with `unprocessable_data` naming some keys. */
  async check(session: Session, plan: DiffPlan, key: readonly ComparedColumn[]): Promise<void> {
    const identify = (side: Side, { content, scope }: ScopedContent): string =>
      digest([
        content.files.map(({ sha256 }) => sha256).sort(),
        key.map((column) => [column.name, column[side], column.type]),
        isUnrestricted(scope) ? null : [scopeIdentity(content.schema, scope), content.schema.map(({ name, type }) => [name, type])],
      ]);
    const sides = [plan.from, plan.to].filter(({ side, whole }) => !this.#counts.count(this.#inOrder.has(identify(side, whole))));
    const isSharedKnown = sides.length < 2 || this.#inOrder.has(identify('from', plan.shared));
    const parts: KeyPart[] = sides.map(({ side, differing }) => ({ side, source: differing }));
    await checkUnique(session, isSharedKnown ? parts : [{ side: 'from', source: plan.shared }, ...parts], key);
    for (const part of parts) await checkApart(session, part, plan.shared, key);
    for (const { side, whole } of sides) this.#inOrder.set(identify(side, whole), true);
    this.#inOrder.set(identify('from', plan.shared), true);
  }
}

/** Rows of a side whose keys are looked at. */
export interface KeyPart {
  readonly side: Side;
  readonly source: ScopedContent;
}

/** Within each part. Keys in rising order, as they mostly are, cost a glance at each; others are grouped by hash. */
export async function checkUnique(session: Session, all: readonly KeyPart[], key: readonly ComparedColumn[]): Promise<void> {
  const parts = all.filter(({ source }) => source.content.files.length > 0);
  const long = parts.filter(({ source }) => source.content.rows > PROBE.ofMoreThan);
  const begins = await areRising(session, long, key, PROBE.rows);
  const promising = parts.filter((part) => !long.includes(part) || begins[long.indexOf(part)]);
  const rises = await areRising(session, promising, key, undefined);
  const unproven = parts.filter((part) => !promising.includes(part) || !rises[promising.indexOf(part)]);
  for (const part of unproven) {
    await checkNulls(session, part, key);
    await checkByHash(session, part, key);
  }
}

async function checkByHash(session: Session, { side, source }: KeyPart, key: readonly ComparedColumn[]): Promise<void> {
  const names = keyNames(key).join(', ');
  const keys = sideRows(side, source, { key });
  const { sql, values } = fragment`CREATE OR REPLACE TEMP TABLE suspects AS SELECT hash(${names}) AS h FROM (${keys}) GROUP BY h HAVING count(*) > 1`;
  await session.execute(sql, values);
  if ((await countRows(session, 'suspects')) === 0) return;
  const suspect = fragment`SELECT * FROM (${sideRows(side, source, { key, named: key })}) WHERE hash(${names}) IN (SELECT h FROM suspects)`;
  const examples = key.map((_column, index) => `any_value(n${index}) AS n${index}`).join(', ');
  const repeated = fragment`SELECT ${examples} FROM (${suspect}) GROUP BY ${names} HAVING count(*) > 1 ORDER BY ${names} LIMIT ${SAMPLES}`;
  await refuseAny(session, side, key, 'duplicate', repeated);
}

async function checkNulls(session: Session, { side, source }: KeyPart, key: readonly ComparedColumn[]): Promise<void> {
  const isNull = key.map(({ name }) => `${identifier(name)} IS NULL`).join(' OR ');
  const rows = sideRows(side, source, { named: key, where: `(${isNull})` });
  await refuseAny(session, side, key, 'null', fragment`${rows} LIMIT ${SAMPLES}`);
}

/**
 * Of each part, whether no key in it (or in its first rows) is NULL, and all of them, or the values of one of their columns,
 * are each greater (or each less) than the one before, which a repeated key never is. In one statement, as each part takes
 * one thread.
 */
async function areRising(
  session: Session,
  parts: readonly KeyPart[],
  key: readonly ComparedColumn[],
  rowsMax: number | undefined,
): Promise<boolean[]> {
  if (parts.length === 0) return [];
  const names = keyNames(key);
  const before = names.map((name) => `lag(${name}) OVER () AS before_${name}`).join(', ');
  const isNull = names.map((name) => `${name} IS NULL`).join(' OR ');
  const ordered = orders(names).map((order, index) => `count(*) FILTER (WHERE ${order}) AS ordered${index}`);
  const totals = `count(*) AS total, count(*) FILTER (WHERE ${isNull}) AS nulls`;
  const counts = parts.map(({ side, source }, index) => {
    const keys = fragment`${sideRows(side, source, { key })} ${rowsMax === undefined ? '' : `LIMIT ${rowsMax}`}`;
    return fragment`SELECT ${index} AS part, ${totals}, ${ordered.join(', ')} FROM (SELECT ${names.join(', ')}, ${before} FROM (${keys}))`;
  });
  const { sql, values } = join(counts, ' UNION ALL ');
  const rows = await session.rows(sql, values);
  // The first row has none before it.
  const isOrdered = (row: Row | undefined): boolean =>
    row?.nulls === 0 && ordered.some((_sql, index) => Number(row[`ordered${index}`]) >= Number(row.total) - 1);
  return parts.map((_part, index) => isOrdered(rows.find(({ part }) => Number(part) === index)));
}

/** Orders of which any proves that keys do not repeat. */
function orders(names: readonly string[]): string[] {
  const [key, before] = ['', 'before_'].map((prefix) =>
    names.length === 1 ? `${prefix}${names[0]}` : `(${names.map((name) => prefix + name).join(', ')})`,
  );
  const columns = names.length === 1 ? [] : names.map((name) => `${name} > before_${name}`);
  return [`${key} > ${before}`, `${key} < ${before}`, ...columns];
}

/** That no key of the differing files is also in a shared file. */
async function checkApart(session: Session, { side, source }: KeyPart, shared: ScopedContent, key: readonly ComparedColumn[]): Promise<void> {
  if (source.content.files.length === 0 || shared.content.files.length === 0) return;
  const keys = sideRows(side, source, { key });
  const both = fragment`SELECT s.* FROM (${sideRows(side, shared, { key, named: key })}) s SEMI JOIN (${keys}) d ON ${sameKey(key, 's', 'd')}`;
  await refuseAny(session, side, key, 'duplicate', fragment`${both} ORDER BY ${keyNames(key, 's.').join(', ')} LIMIT ${SAMPLES}`);
}

async function refuseAny(session: Session, side: Side, key: readonly ComparedColumn[], problem: 'null' | 'duplicate', rows: Fragment): Promise<void> {
  const found = await session.rows(rows.sql, rows.values);
  if (found.length === 0) return;
  const keys = found.map((row): Row => Object.fromEntries(key.map(({ name }, index) => [name, row[`n${index}`]])));
  const columns = key.map(({ name }) => name);
  const names = columns.map((name) => JSON.stringify(name)).join(', ');
  const example = JSON.stringify(keys[0]);
  const reason = problem === 'null' ? `it is NULL in ${example}` : `${example} occurs more than once`;
  throw new CovistaError('unprocessable_data', `the key ${names} does not tell the rows of "${side}" apart: ${reason}`, {
    side,
    columns,
    problem,
    keys,
  });
}
