import { decimalDigits, exactDigits } from '../../shared/numeric-types.ts';
import type { Column, VersionRecord } from '../../storage/stores.ts';

/** Whether those who read the older version can read the newer one in spite of this difference. */
interface Classed {
  readonly compatible: boolean;
}

export interface Retyped extends Classed {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** A version, or what someone may see of it. */
type Compared = Pick<VersionRecord, 'schema' | 'key' | 'rows'>;

export interface SchemaComparison {
  readonly added: (Column & Classed)[];
  readonly removed: (Column & Classed)[];
  readonly retyped: Retyped[];
  readonly reordered: ({ readonly name: string; readonly from: number; readonly to: number } & Classed)[];
  readonly keyChanged: boolean;
  readonly compatible: boolean;
  readonly dataLoss: boolean;
  readonly rows: { readonly from: number; readonly to: number };
}

/** Types into which every value of the named one fits unchanged. */
const WIDENINGS: Readonly<Record<string, readonly string[]>> = {
  TINYINT: ['SMALLINT', 'INTEGER', 'BIGINT', 'FLOAT', 'DOUBLE'],
  SMALLINT: ['INTEGER', 'BIGINT', 'FLOAT', 'DOUBLE'],
  INTEGER: ['BIGINT', 'DOUBLE'],
  UTINYINT: ['USMALLINT', 'UINTEGER', 'UBIGINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'FLOAT', 'DOUBLE'],
  USMALLINT: ['UINTEGER', 'UBIGINT', 'INTEGER', 'BIGINT', 'FLOAT', 'DOUBLE'],
  UINTEGER: ['UBIGINT', 'BIGINT', 'DOUBLE'],
  FLOAT: ['DOUBLE'],
  DATE: ['TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'],
};

/** Compares the columns, keys and row counts of two versions. Columns are matched by name. */
export function compareSchemas(from: Compared, to: Compared): SchemaComparison {
  const before = new Map(from.schema.map((column) => [column.name, column]));
  const after = new Map(to.schema.map((column) => [column.name, column]));
  const added = to.schema.filter(({ name }) => !before.has(name)).map((column) => ({ ...column, compatible: true }));
  const removed = from.schema.filter(({ name }) => !after.has(name)).map((column) => ({ ...column, compatible: false }));
  const retyped = to.schema.flatMap(({ name, type }) => {
    const earlier = before.get(name);
    return earlier === undefined || earlier.type === type ? [] : [{ name, from: earlier.type, to: type, compatible: widens(earlier.type, type) }];
  });
  const lossy = retyped.some((column) => !column.compatible && column.to !== 'VARCHAR');
  return {
    added,
    removed,
    retyped,
    reordered: reordered(from.schema, to.schema),
    keyChanged: JSON.stringify(from.key) !== JSON.stringify(to.key),
    compatible: removed.length === 0 && retyped.every(({ compatible }) => compatible),
    dataLoss: removed.length > 0 || lossy || to.rows < from.rows,
    rows: { from: from.rows, to: to.rows },
  };
}

/** Whether every value of type `from` fits into type `to`, and stays the kind of value that it is. */
export function widens(from: string, to: string): boolean {
  if (from === to || WIDENINGS[from]?.includes(to)) return true;
  const target = decimalDigits(to);
  const source = exactDigits(from);
  return target !== undefined && source !== undefined && source.whole <= target.whole && source.scale <= target.scale;
}

/** The fewest common columns whose move explains the new order: those outside a longest common subsequence. */
function reordered(from: readonly Column[], to: readonly Column[]): SchemaComparison['reordered'] {
  const newPosition = new Map(to.map(({ name }, index) => [name, index]));
  const common = from.flatMap(({ name }, index) => {
    const position = newPosition.get(name);
    return position === undefined ? [] : [{ name, from: index, to: position }];
  });
  const kept = longestRising(common.map((column) => column.to));
  return common.filter((_, index) => !kept.has(index)).map((column) => ({ ...column, compatible: true }));
}

/** Indexes of a longest rising subsequence (patience sorting). */
function longestRising(values: readonly number[]): Set<number> {
  const tails: number[] = [];
  const previous: number[] = [];
  values.forEach((value, index) => {
    let low = 0;
    for (let high = tails.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((values[tails[middle] as number] as number) < value) low = middle + 1;
      else high = middle;
    }
    previous[index] = low > 0 ? (tails[low - 1] as number) : -1;
    tails[low] = index;
  });
  const rising = new Set<number>();
  for (let at = tails.at(-1) ?? -1; at >= 0; at = previous[at] as number) rising.add(at);
  return rising;
}
