import type { Limits } from '../../../protocol/limits.ts';
import { isDecimal } from '../../shared/numeric-types.ts';
import type { RowCondition } from '../../storage/content-store.ts';
import type { CheckedFilter, FilterParameter } from '../../storage/stores.ts';

/** Where the values of a filter come from. */
export interface ValueSource {
  /** All claims of the caller's token. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The current date in UTC, `YYYY-MM-DD`. */
  readonly today: string;
}

export type BoundFilter =
  | { readonly condition: RowCondition }
  /** The claim without which the filter shows nothing, and what is wrong with it. */
  | { readonly claim: string; readonly problem: 'missing' | 'unusable' };

/**
 * Gives a filter its values. They are bound as texts that the statement casts, after it was made sure here that the cast
 * succeeds and loses nothing: a NULL in place of a value could make `IS DISTINCT FROM` or `NOT IN` show everything.
 */
export function bindFilter(filter: CheckedFilter, source: ValueSource, limits: Pick<Limits, 'filterClaimValuesMax'>): BoundFilter {
  const values: string[] = [];
  let sql = filter.pieces[0] ?? '';
  for (const [index, parameter] of filter.parameters.entries()) {
    const bound = valuesOf(parameter, source, limits.filterClaimValuesMax);
    if (typeof bound === 'string') return { claim: parameter.claim ?? '', problem: bound };
    values.push(...bound);
    sql += `${bound.map(() => `CAST(? AS ${parameter.type})`).join(', ')}${filter.pieces[index + 1] ?? ''}`;
  }
  return { condition: { sql, values, columns: filter.columns } };
}

function valuesOf(
  { claim, type, isListItem }: FilterParameter,
  { claims, today }: ValueSource,
  valuesMax: number,
): string[] | 'missing' | 'unusable' {
  if (claim === null) return [today];
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  if (value === undefined || value === null) return 'missing';
  if (Array.isArray(value) && (!isListItem || value.length === 0 || value.length > valuesMax)) return 'unusable';
  const texts = (Array.isArray(value) ? value : [value]).map((item) => textOf(item, type));
  if (texts.includes(undefined)) return 'unusable';
  // In which order a claim lists them is no matter, and must not make another scope.
  return isListItem ? [...new Set(texts as string[])].sort() : (texts as string[]);
}

/** A value as a text that a cast to the type takes exactly; undefined when there is none. */
function textOf(value: unknown, type: string): string | undefined {
  if (!['string', 'number', 'boolean'].includes(typeof value)) return undefined;
  const text = String(value);
  if (type === 'VARCHAR') return typeof value === 'string' || Number.isSafeInteger(value) ? wellFormed(text) : undefined;
  if (type === 'BOOLEAN') return text === 'true' || text === 'false' ? text : undefined;
  if (type === 'UUID') return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text : undefined;
  if (type === 'DATE') return isDay(text) ? text : undefined;
  if (type.startsWith('TIMESTAMP')) return instantOf(text);
  if (type === 'DOUBLE' || type === 'FLOAT') return isNumber(text) ? text : undefined;
  return isDecimal(type) ? decimalOf(text, type) : integerOf(text, type);
}

const wellFormed = (text: string): string | undefined => (text.isWellFormed() && !text.includes('\0') ? text : undefined);

const isNumber = (text: string): boolean => /^-?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?$/.test(text) && Number.isFinite(Math.fround(Number(text)));

function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return false;
  const day = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/** ISO 8601 with a zone, or without one in UTC, as all times are. */
function instantOf(text: string): string | undefined {
  const parts = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  if (parts === null || !isDay(parts[1] ?? '')) return undefined;
  const ms = Date.parse(`${parts[1]}T${parts[2] ?? '00:00'}${parts[3] ?? 'Z'}`);
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString();
}

const INTEGER_BITS: Readonly<Record<string, number>> = { TINYINT: 8, SMALLINT: 16, INTEGER: 32, BIGINT: 64, HUGEINT: 128 };

function integerOf(text: string, type: string): string | undefined {
  if (!/^-?\d{1,39}$/.test(text)) return undefined;
  const isUnsigned = type.startsWith('U');
  const bits = BigInt(INTEGER_BITS[isUnsigned ? type.slice(1) : type] ?? 0);
  const [least, most] = isUnsigned ? [0n, 2n ** bits - 1n] : [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n];
  const value = BigInt(text);
  return bits > 0n && value >= least && value <= most ? value.toString() : undefined;
}

function decimalOf(text: string, type: string): string | undefined {
  const [, digits, scale] = /^DECIMAL\((\d+),\s?(\d+)\)$/.exec(type) ?? [];
  const [, whole = '', fraction = ''] = /^-?0*(\d*?)(?:\.(\d*?)0*)?$/.exec(text) ?? [];
  if (!/^-?\d+(\.\d+)?$/.test(text) || digits === undefined || scale === undefined) return undefined;
  return whole.length <= Number(digits) - Number(scale) && fraction.length <= Number(scale) ? text : undefined;
}
