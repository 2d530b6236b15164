import type { Session } from '../../storage/parquet/session.ts';
import { LEAF_ROWS, POSITION } from './aggregates.ts';
import { ancestorValue, flatOrder, treeOrder } from './ordering.ts';
import type { PlannedAggregate, ViewPlan } from './plan.ts';
import type { RowSource, Statement } from './table.ts';
import { ViewFault } from './view-fault.ts';

/** How many paths a split may have. */
const pathsMaxOf = ({ columns }: ViewPlan, columnsMax: number): number => Math.floor(columnsMax / Math.max(1, columns.length));

export function checkPaths(paths: number, plan: ViewPlan, columnsMax: number): void {
  const pathsMax = pathsMaxOf(plan, columnsMax);
  if (paths <= pathsMax) return;
  throw new ViewFault(`the split makes more than ${pathsMax} columns of each kind; all of them may be at most ${columnsMax} (viewColumnsMax)`);
}

/** The statements that make the tables of a result. `name` is the beginning of their names. */

const numbered = (letter: string, count: number): string[] => Array.from({ length: count }, (_unused, index) => `${letter}${index + 1}`);

/** The columns of paths of rows and of columns in results. */
export const keyNames = (plan: ViewPlan): string[] => numbered('k', plan.keys.length);
export const splitNames = (plan: ViewPlan): string[] => numbered('s', plan.splits.length);
/** The columns of a flat result. */
export const valueNames = (plan: ViewPlan): string[] => plan.terms.map((_term, index) => `v${index}`);
export const shownAliases = (plan: ViewPlan): string[] => plan.aggregates.slice(0, plan.columns.length).map(({ alias }) => alias);

/** The rows that a view is of, with its fields, and POSITION where its order matters. */
function rowsOf(source: RowSource, plan: ViewPlan, isOrdered: boolean): Statement {
  const { sql, values } = source.body(plan.fields, { isOrdered });
  return { sql: plan.where === undefined ? sql : `SELECT * FROM (${sql}) WHERE ${plan.where}`, values };
}

/** Fields of a flat view, followed by those of its split. */
export function flatItems(plan: ViewPlan): string {
  const values = plan.terms.map(({ sql }, index) => `${sql} AS v${index}`);
  const splits = plan.splits.map(({ sql }, index) => `${sql} AS s${index + 1}`);
  return [...values, ...splits].join(', ') || 'NULL AS nothing';
}

/** Copies the rows of a flat view in their order. Returns how many there are. */
export async function computeFlat(session: Session, source: RowSource, plan: ViewPlan, name: string): Promise<number> {
  // Windows leave rows in an order of their own.
  const isSorted = plan.sorts.length > 0 || plan.fields.hasWindows;
  const { sql, values } = rowsOf(source, plan, isSorted);
  const order = isSorted ? ` ORDER BY ${flatOrder(plan.sorts, POSITION)}` : '';
  return create(session, `${name}_rows`, { sql: `SELECT ${flatItems(plan)} FROM (${sql})${order}`, values });
}

/** Makes a table of what a statement yields, in its order. Returns how many rows that is. */
async function create(session: Session, name: string, { sql, values }: Statement): Promise<number> {
  await session.execute(`CREATE TABLE ${name} AS ${sql}`, values);
  const [row] = await session.rows(`SELECT count(*) AS rows FROM ${name}`);
  return Number(row?.rows ?? 0);
}

/** The distinct paths of a split, as columns `s1`, `s2` … in their order; one more than may be where there are too many. */
export function pathsStatement(source: RowSource, plan: ViewPlan, columnsMax: number): Statement {
  const { sql, values } = rowsOf(source, plan, false);
  const items = plan.splits.map(({ sql: split }, index) => `${split} AS s${index + 1}`).join(', ');
  const order = splitNames(plan).map((split) => `${split} NULLS FIRST`);
  return { sql: `SELECT DISTINCT ${items} FROM (${sql}) ORDER BY ${order.join(', ')} LIMIT ${pathsMaxOf(plan, columnsMax) + 1}`, values };
}

interface Levels {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

const upTo = (depth: number): number[] => Array.from({ length: depth + 1 }, (_unused, level) => level);

/** Which depths of paths a result shows. */
function levelsOf({ config, keys, splits }: ViewPlan): Levels {
  const rows = config.groupRollup === 'total' ? [0] : config.groupRollup === 'flat' ? [keys.length] : upTo(keys.length);
  return { rows, columns: config.splitRollup === 'rollup' || splits.length === 0 ? upTo(splits.length) : [splits.length] };
}

/** Sorted leaves keep together what belongs together, as they do below their groups. */
const isOrderedByGroups = ({ config, sorts }: ViewPlan): boolean => config.groupRollup === 'flat' && sorts.some(({ sort }) => !sort.isOfColumns);

/** Which depths must be known: totals of rows order them, those of columns are their paths, and subtotals order both. */
function computedLevels(plan: ViewPlan): Levels {
  const { rows, columns } = levelsOf(plan);
  const needsOthers = isOrderedByGroups(plan) || plan.aggregates.some(({ after }) => after !== undefined && after !== 'leafOnly');
  const isColumnSorted = plan.sorts.some(({ sort }) => sort.isOfColumns);
  return {
    rows: [...new Set([...(needsOthers ? upTo(plan.keys.length) : rows), 0])],
    columns: [...new Set([...(isColumnSorted ? upTo(plan.splits.length) : columns), 0])],
  };
}

/** Every group of every depth: its path `k…`, `s…`, how deep it is (`d`, `e`), how many rows it has (`z`), its aggregates. */
function groupsStatement(source: RowSource, plan: ViewPlan): Statement {
  const { sql, values } = rowsOf(
    source,
    plan,
    plan.aggregates.some(({ isOrdered }) => isOrdered),
  );
  const [keys, splits] = [keyNames(plan), splitNames(plan)];
  const levels = computedLevels(plan);
  const sets = levels.rows.flatMap((d) => levels.columns.map((e) => `(${[...keys.slice(0, d), ...splits.slice(0, e)].join(', ')})`));
  // What no group is of cannot be grouped by, and is NULL in every one.
  const [grouped, split] = [keys.slice(0, Math.max(...levels.rows)), splits.slice(0, Math.max(...levels.columns))];
  const depth = (names: readonly string[]): string => [String(names.length), ...names.map((name) => `GROUPING(${name})`)].join(' - ');
  const named = [...plan.keys, ...plan.splits].map(({ sql: field }) => source.codeOf(field) ?? field);
  const aliased = [...keys, ...splits].map((name, index) => `${named[index]} AS ${name}`);
  const items = [
    ...grouped,
    ...plan.keys.slice(grouped.length).map(({ type }, index) => `CAST(NULL AS ${type}) AS k${grouped.length + index + 1}`),
    ...split,
    `CAST(${depth(grouped)} AS UTINYINT) AS d`,
    `CAST(${depth(split)} AS UTINYINT) AS e`,
  ];
  const keyed = `SELECT ${['*', ...aliased].join(', ')} FROM (${sql})`;
  const aggregated = sets.length > 1 ? foldedAggregates(plan.aggregates, [...grouped, ...split], keyed) : undefined;
  const { from, aggregates } = aggregated ?? { from: keyed, aggregates: plainAggregates(plan.aggregates) };
  const groups = `SELECT ${[...items, ...aggregates].join(', ')} FROM (${from}) GROUP BY GROUPING SETS (${sets.join(', ')})`;
  return { sql: finished(plan, groups), values };
}

/** Paths that are grouped by codes, as SELECT items that are texts again; undefined where none is. */
function textPaths(source: RowSource, plan: ViewPlan): ReadonlyMap<string, string> | undefined {
  const names = [...keyNames(plan), ...splitNames(plan)];
  const fields = [...plan.keys, ...plan.splits];
  const coded = names.filter((_name, index) => source.codeOf(fields[index]?.sql ?? '') !== undefined);
  return coded.length === 0 ? undefined : new Map(coded.map((name) => [name, `CAST(${name} AS VARCHAR) AS ${name}`]));
}

/** What groups are made of, and the items that count their rows (`z`) and aggregate them. */
interface Aggregated {
  readonly from: string;
  readonly aggregates: readonly string[];
}

const plainAggregates = (aggregates: readonly PlannedAggregate[]): string[] => [
  'count(*) AS z',
  ...aggregates.map(({ alias, sql }) => `${sql} AS ${alias}`),
];

/** The smallest groups, of which all larger ones are made: DuckDB would go through every row once for each depth. Undefined where an aggregate needs that. */
function foldedAggregates(aggregates: readonly PlannedAggregate[], keys: readonly string[], source: string): Aggregated | undefined {
  const parts: string[] = [];
  const wholes: string[] = [];
  for (const { alias, fold } of aggregates) {
    if (fold === undefined) return undefined;
    const names = fold.parts.map((_part, index) => `${alias}_${index}`);
    parts.push(...fold.parts.map((part, index) => `${part} AS ${names[index]}`));
    wholes.push(`${fold.whole(names)} AS ${alias}`);
  }
  const leaves = `SELECT ${[...keys, `count(*) AS ${LEAF_ROWS}`, ...parts].join(', ')} FROM (${source}) GROUP BY ${keys.join(', ')}`;
  return { from: leaves, aggregates: [`coalesce(CAST(sum(${LEAF_ROWS}) AS BIGINT), 0) AS z`, ...wholes] };
}

/** Of nothing there is no value, not even a count; and some aggregates are made of others. */
function finished(plan: ViewPlan, groups: string): string {
  const plain = [...keyNames(plan), ...splitNames(plan), 'd', 'e', 'z'];
  const values = plan.aggregates.map((aggregate) => `CASE WHEN z > 0 THEN ${afterSql(plan, aggregate)} END AS ${aggregate.alias}`);
  return `SELECT ${[...plain, ...values].join(', ')} FROM (${groups})`;
}

function afterSql(plan: ViewPlan, { alias, after }: PlannedAggregate): string {
  const tree = { keys: keyNames(plan), depth: 'd' };
  const within = ['e', ...splitNames(plan)];
  const byDepth = (of: (depth: number) => string): string =>
    `CASE d ${upTo(tree.keys.length)
      .map((depth) => `WHEN ${depth} THEN ${of(depth)}`)
      .join(' ')} END`;
  switch (after) {
    case undefined:
      return alias;
    case 'leafOnly':
      return `CASE WHEN d = ${tree.keys.length} THEN ${alias} END`;
    case 'shareOfTotal':
      return `100 * CAST(${alias} AS DOUBLE) / nullif(${ancestorValue(tree, 0, alias, within)}, 0)`;
    case 'shareOfParent':
      return byDepth((depth) =>
        depth === 0 ? '100' : `100 * CAST(${alias} AS DOUBLE) / nullif(${ancestorValue(tree, depth - 1, alias, within)}, 0)`,
      );
    case 'grossOfChildren':
      return byDepth((depth) => (depth === tree.keys.length ? alias : childrenSum(tree.keys, depth, alias, within)));
  }
}

function childrenSum(keys: readonly string[], depth: number, alias: string, within: readonly string[]): string {
  const partition = [...within, `d >= ${depth}`, ...keys.slice(0, depth)].join(', ');
  return `sum(CASE WHEN d = ${depth + 1} THEN abs(${alias}) END) OVER (PARTITION BY ${partition})`;
}

const anyOf = (column: string, levels: readonly number[]): string => `${column} IN (${levels.join(', ')})`;

/** Makes the rows of a view without a split: paths, depths and aggregates, in order. Returns how many there are. */
export async function computeGroups(session: Session, source: RowSource, plan: ViewPlan, name: string): Promise<number> {
  const { sql, values } = groupsStatement(source, plan);
  const levels = levelsOf(plan);
  const order = treeOrder({ keys: keyNames(plan), depth: 'd', sorts: plan.sorts, isNested: levels.rows.length > 1 || isOrderedByGroups(plan) });
  const inner = `SELECT * FROM (SELECT ${['*', ...order.items].join(', ')} FROM (${sql})) WHERE ${anyOf('d', levels.rows)}`;
  const shown = [...keyNames(plan), 'd', ...shownAliases(plan)];
  const texts = textPaths(source, plan);
  // In an ORDER BY of its own, the names of paths would be those of texts.
  const ordered = texts === undefined ? inner : `SELECT * FROM (${inner})${orderBy(order.orderBy)}`;
  const items = shown.map((item) => texts?.get(item) ?? item).join(', ');
  return create(session, `${name}_rows`, { sql: `SELECT ${items} FROM (${ordered})${texts === undefined ? orderBy(order.orderBy) : ''}`, values });
}

const orderBy = (terms: string): string => (terms === '' ? '' : ` ORDER BY ${terms}`);

/**
 * Makes the tables of a view with a split: `_rows` are paths and depths in order, `_columns` the paths of the columns with
 * their numbers `c`, and `_cells` what is where (`n`, `c`), which is less than every row times every column.
 */
export async function computeSplit(session: Session, source: RowSource, plan: ViewPlan, name: string, columnsMax: number): Promise<number> {
  const { sql, values } = groupsStatement(source, plan);
  const levels = levelsOf(plan);
  const texts = textPaths(source, plan);
  const groups = texts === undefined ? sql : `SELECT * REPLACE (${[...texts.values()].join(', ')}) FROM (${sql})`;
  await session.execute(`CREATE TABLE ${name}_groups AS ${groups}`, values);
  const rows = await numberTree(session, `${name}_groups`, `${name}_rows`, {
    keys: keyNames(plan),
    depth: 'd',
    where: 'e = 0',
    shown: levels.rows,
    number: 'n',
    sorts: plan.sorts.filter(({ sort }) => !sort.isOfColumns),
    isNested: levels.rows.length > 1 || isOrderedByGroups(plan),
  });
  const hasRows = (await session.rows(`SELECT 1 AS found FROM ${name}_groups WHERE z > 0 LIMIT 1`)).length > 0;
  const paths = await numberTree(session, `${name}_groups`, `${name}_columns`, {
    keys: splitNames(plan),
    depth: 'e',
    where: hasRows ? 'd = 0' : 'false',
    shown: levels.columns,
    number: 'c',
    sorts: plan.sorts.filter(({ sort }) => sort.isOfColumns),
    isNested: true,
  });
  checkPaths(paths, plan, columnsMax);
  await session.execute(`CREATE TABLE ${name}_cells AS ${cellsSql(plan, name)}`);
  await session.execute(`DROP TABLE ${name}_groups`);
  return rows;
}

function cellsSql(plan: ViewPlan, name: string): string {
  const same = (left: string, names: readonly string[]): string =>
    names.map((column) => `${left}.${column} IS NOT DISTINCT FROM g.${column}`).join(' AND ');
  const rows = `JOIN ${name}_rows r ON ${same('r', ['d', ...keyNames(plan)])}`;
  const columns = `JOIN ${name}_columns p ON ${same('p', ['e', ...splitNames(plan)])}`;
  const values = shownAliases(plan).map((alias) => `g.${alias}`);
  return `SELECT ${['r.n', 'p.c', ...values].join(', ')} FROM ${name}_groups g ${rows} ${columns} ORDER BY r.n, p.c`;
}

interface NumberedTree {
  readonly keys: readonly string[];
  readonly depth: string;
  readonly where: string;
  /** The depths of the rows that are numbered; others order them. */
  readonly shown: readonly number[];
  /** The name of the column that numbers the rows from 0. */
  readonly number: string;
  readonly sorts: ViewPlan['sorts'];
  readonly isNested: boolean;
}

async function numberTree(session: Session, from: string, into: string, tree: NumberedTree): Promise<number> {
  const order = treeOrder(tree);
  const ordered = `SELECT ${['*', ...order.items].join(', ')} FROM ${from} WHERE ${tree.where}`;
  const inner = `SELECT * FROM (${ordered}) WHERE ${anyOf(tree.depth, tree.shown)}`;
  const over = order.orderBy === '' ? '' : `ORDER BY ${order.orderBy}`;
  const number = `row_number() OVER (${over}) - 1 AS ${tree.number}`;
  const items = [number, tree.depth, ...tree.keys].join(', ');
  return create(session, into, { sql: `SELECT ${items} FROM (${inner}) ORDER BY ${tree.number}`, values: [] });
}
