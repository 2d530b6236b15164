import { DECIMAL_DIGITS_MAX, exactDigits, isDecimal, WHOLE_DIGITS } from '../../shared/numeric-types.ts';
import { identifier } from './quote.ts';

export type Side = 'from' | 'to';

/** A column as the two sides have it, by name. */
export interface ComparedColumn {
  readonly name: string;
  /** Its type on either side; null where that side lacks the column. */
  readonly from: string | null;
  readonly to: string | null;
  /** The type in which values of both sides are compared. */
  readonly type: string;
}

interface Typed {
  readonly name: string;
  readonly type: string;
}

/** The columns of both sides by name: those of `from` in its order, then those that only `to` has. */
export function pairColumns(from: readonly Typed[], to: readonly Typed[]): ComparedColumn[] {
  const newTypes = new Map(to.map(({ name, type }) => [name, type]));
  const oldNames = new Set(from.map(({ name }) => name));
  return [
    ...from.map(({ name, type }) => pair(name, type, newTypes.get(name) ?? null)),
    ...to.filter(({ name }) => !oldNames.has(name)).map(({ name, type }) => pair(name, null, type)),
  ];
}

function pair(name: string, from: string | null, to: string | null): ComparedColumn {
  return { name, from, to, type: from === null || to === null ? (from ?? to ?? TEXT) : comparisonType(from, to) };
}

export const isSameType = ({ from, to }: ComparedColumn): boolean => from === to;

/**
 * Expressions that are, taken together, equal (NULL to NULL) exactly where two values of the column count as equal. Times
 * have two when they were retyped: one that the common type cannot hold is compared by its text.
 */
export function comparable(column: ComparedColumn, side: Side, value: string = identifier(column.name)): string[] {
  if (column[side] === null) return [`CAST(NULL AS ${column.type})`];
  if (column.from === null || column.to === null || isSameType(column)) return [value];
  const common = `TRY_CAST(${value} AS ${column.type})`;
  return TIMES.includes(column.type) ? [common, `CASE WHEN ${common} IS NULL THEN CAST(${value} AS ${TEXT}) END`] : [common];
}

const TEXT = 'VARCHAR';
const SIGNED = ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'];
const TIMES = ['DATE', 'TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP', 'TIMESTAMP_NS', 'TIMESTAMP WITH TIME ZONE'];

/** The type in which values of two types are compared; VARCHAR where they have nothing else in common. */
export function comparisonType(one: string, other: string): string {
  if (one === other) return one;
  if (TIMES.includes(one) && TIMES.includes(other)) return widest(TIMES, [one, other, 'TIMESTAMP']);
  if (SIGNED.includes(one) && SIGNED.includes(other)) return widest(SIGNED, [one, other]);
  if (!isNumeric(one) || !isNumeric(other)) return TEXT;
  const exact = [exactDigits(one), exactDigits(other)];
  const whole = Math.max(...exact.map((digits) => digits?.whole ?? Number.POSITIVE_INFINITY));
  const scale = Math.max(...exact.map((digits) => digits?.scale ?? 0));
  if (whole + scale <= DECIMAL_DIGITS_MAX) return `DECIMAL(${whole + scale},${scale})`;
  // Whole numbers of any size have the same digits as texts.
  return isWhole(one) && isWhole(other) ? TEXT : 'DOUBLE';
}

function widest(types: readonly string[], candidates: readonly string[]): string {
  return types[Math.max(...candidates.map((type) => types.indexOf(type)))] ?? TEXT;
}

const isWhole = (type: string): boolean => type in WHOLE_DIGITS || type === 'HUGEINT' || type === 'UHUGEINT';
const isNumeric = (type: string): boolean => isWhole(type) || type === 'FLOAT' || type === 'DOUBLE' || isDecimal(type);
