import type { ColumnKind } from './column-types.ts';
import type { PlannedSort } from './plan.ts';
import type { Sort } from './view-config.ts';

/** A tree whose nodes are the rows of a relation: `keys` are the columns of its paths, `depth` the column that tells how many a row has. */
export interface TreeOrder {
  readonly keys: readonly string[];
  readonly depth: string;
  readonly sorts: readonly PlannedSort[];
  /** Whether rows are ordered below their parents; otherwise all have the same depth. */
  readonly isNested: boolean;
}

/** The value that a row's ancestor of a depth has, the row itself being one. */
export function ancestorValue(
  { keys, depth }: Pick<TreeOrder, 'keys' | 'depth'>,
  level: number,
  sql: string,
  within: readonly string[] = [],
): string {
  const partition = [...within, `${depth} >= ${level}`, ...keys.slice(0, level)].join(', ');
  return `max(CASE WHEN ${depth} = ${level} THEN ${sql} END) OVER (PARTITION BY ${partition})`;
}

/** SELECT items that an ORDER BY needs, and the ORDER BY: parents before their children, siblings as sorted, then by their keys. */
export function treeOrder(order: TreeOrder): { readonly items: string[]; readonly orderBy: string } {
  const { keys, depth, sorts, isNested } = order;
  const items: string[] = [];
  const terms: string[] = [];
  if (!isNested) {
    for (const planned of sorts) terms.push(sortTerm(planned, keys.length, keys, planned.alias));
    for (const key of keys) terms.push(`${key} NULLS FIRST`);
    return { items, orderBy: terms.join(', ') };
  }
  for (let level = 1; level <= keys.length; level += 1) {
    terms.push(`${depth} >= ${level}`);
    for (const [index, planned] of sorts.entries()) {
      if (planned.key !== undefined && level > planned.key) {
        terms.push(sortTerm(planned, level, keys, ''));
        continue;
      }
      const alias = `o${level}_${index}`;
      items.push(`${ancestorValue(order, level, planned.alias)} AS ${alias}`);
      terms.push(sortTerm(planned, level, keys, alias));
    }
    terms.push(`${keys[level - 1]} NULLS FIRST`);
  }
  return { items, orderBy: terms.join(', ') };
}

/** What rows are sorted by at a level: an aggregate, or above what they are grouped by, that. */
function sortTerm({ sort, key, kind }: PlannedSort, level: number, keys: readonly string[], alias: string): string {
  const value = key !== undefined && level > key ? (keys[key] ?? alias) : alias;
  return directed(value, sort, kind);
}

/** NULL is less than every value, whatever is sorted, and what is no number is less still. */
function directed(value: string, { isAbsolute, isDescending }: Pick<Sort, 'isAbsolute' | 'isDescending'>, kind: ColumnKind): string {
  const ordered = `${isAbsolute ? distance(value, kind) : value} ${isDescending ? 'DESC NULLS LAST' : 'ASC NULLS FIRST'}`;
  return kind === 'float' ? `coalesce(isnan(${value}), false) ${isDescending ? 'ASC' : 'DESC'}, ${ordered}` : ordered;
}

/** How far a number is from 0: of the least integer of a type, more than the type holds. */
function distance(value: string, kind: ColumnKind): string {
  if (kind === 'integer') return `abs(CAST(${value} AS HUGEINT))`;
  return kind === 'float' ? `abs(${value})` : value;
}

/** The ORDER BY of a flat view. */
export function flatOrder(sorts: readonly PlannedSort[], position: string): string {
  return [...sorts.map(({ sort, term, kind }) => directed(term.sql, sort, kind)), position].join(', ');
}
