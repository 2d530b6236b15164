import type { PlannedSort } from './plan.ts';

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
    for (const key of keys) terms.push(`${key} NULLS LAST`);
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
    terms.push(`${keys[level - 1]} NULLS LAST`);
  }
  return { items, orderBy: terms.join(', ') };
}

/** What rows are grouped by sorts NULL behind everything; an aggregate that has no value sorts before every value, one whose row has none behind. */
function sortTerm({ sort, key, term, isNullGreatest }: PlannedSort, level: number, keys: readonly string[], alias: string): string {
  const isKey = key !== undefined && level > key;
  const value = isKey ? (keys[key] ?? alias) : alias;
  return directed(value, {
    isAbsolute: sort.isAbsolute && (term.kind === 'integer' || term.kind === 'float'),
    isDescending: sort.isDescending,
    isNullGreatest: isKey || isNullGreatest,
  });
}

interface Direction {
  readonly isAbsolute: boolean;
  readonly isDescending: boolean;
  readonly isNullGreatest: boolean;
}

function directed(value: string, { isAbsolute, isDescending, isNullGreatest }: Direction): string {
  const nulls = isNullGreatest === isDescending ? 'FIRST' : 'LAST';
  return `${isAbsolute ? `abs(${value})` : value} ${isDescending ? 'DESC' : 'ASC'} NULLS ${nulls}`;
}

/** The ORDER BY of a flat view: NULL is the greatest value, and the least distance from zero. */
export function flatOrder(sorts: readonly PlannedSort[], position: string): string {
  const terms = sorts.map(({ sort, term }) => {
    const isAbsolute = sort.isAbsolute && (term.kind === 'integer' || term.kind === 'float');
    return directed(term.sql, { isAbsolute, isDescending: sort.isDescending, isNullGreatest: !isAbsolute });
  });
  return [...terms, position].join(', ');
}
