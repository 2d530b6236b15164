import { DECIMAL_DIGITS_MAX, decimalDigits } from '../../shared/numeric-types.ts';
import { type ColumnKind, type Field, isSmallInteger } from './column-types.ts';
import { ViewFault } from './view-fault.ts';

/** A field with the SQL that names it. */
export interface Term extends Field {
  readonly sql: string;
}

export interface AggregateInput {
  readonly value: Term;
  /** What else the aggregate takes: a weight, or what it goes by. */
  readonly by: Term | undefined;
}

/** SQL that gives the order of rows in the table, as a number. */
export const POSITION = 'pos';

/** Names how many rows a smallest group has. */
export const LEAF_ROWS = 'y';

interface AggregateForm {
  readonly kinds: readonly ColumnKind[];
  readonly takesColumn?: true;
  /** Whether it needs POSITION. */
  readonly isOrdered?: true;
  /** The kind of its results; absent: the kind of the column. */
  readonly kind?: ColumnKind;
  readonly sql: (input: AggregateInput) => string;
  /** How it follows from those of smaller groups, for aggregates that do. */
  readonly fold?: (input: AggregateInput) => Fold;
  /** What becomes of it once all groups are known. */
  readonly after?: AfterAggregate;
}

/** An aggregate in two steps: what is kept of each of the smallest groups, and how larger groups are made of that. */
export interface Fold {
  /** SQL over the rows of a smallest group. */
  readonly parts: readonly string[];
  /** SQL over the names of the parts; LEAF_ROWS names how many rows a smallest group has. */
  readonly whole: (parts: readonly string[]) => string;
}

/** Aggregates that are made of those of other groups: the share of the parent or of everything, or what the groups below sum up to. */
export type AfterAggregate = 'shareOfParent' | 'shareOfTotal' | 'grossOfChildren' | 'leafOnly';

const NUMBERS: readonly ColumnKind[] = ['integer', 'float'];
const COUNTABLE: readonly ColumnKind[] = ['integer', 'float', 'boolean'];
const TIMES: readonly ColumnKind[] = ['date', 'datetime'];
const ALL: readonly ColumnKind[] = ['string', 'date', 'datetime', 'integer', 'float', 'boolean'];

const isReal = ({ type }: Field): boolean => type === 'DOUBLE' || type === 'FLOAT';
/** Limits an aggregate to values that are numbers. */
const numbersOnly = (term: Term): string => (isReal(term) ? ` FILTER (WHERE NOT isnan(${term.sql}))` : '');
const numeric = (term: Term): string => (term.kind === 'boolean' ? `CAST(${term.sql} AS INTEGER)` : term.sql);
const real = (term: Term): string => (isReal(term) || isSmallInteger(term.type) ? numeric(term) : `CAST(${numeric(term)} AS DOUBLE)`);
const floating = (term: Term): string => (term.type === 'DOUBLE' ? term.sql : `CAST(${numeric(term)} AS DOUBLE)`);

/** SQL of a value of a column in a type that holds its distances from others as well. */
const wide = ({ type }: Field, sql: string): string => {
  if (isSmallInteger(type)) return `CAST(${sql} AS BIGINT)`;
  if (type === 'FLOAT') return `CAST(${sql} AS DOUBLE)`;
  return type === 'BIGINT' || type === 'UBIGINT' ? `CAST(${sql} AS HUGEINT)` : sql;
};

const difference = (term: Field, one: string, other: string): string => `(${wide(term, one)} - ${wide(term, other)})`;

/** A sum of nothing but NULLs is 0, as the memory engine has it. */
const sumOf = (term: Term, sql: string): string => wholeSum(term, `sum(${sql})${numbersOnly(term)}`);

const wholeSum = (term: Term, sum: string): string => {
  const sumOrZero = `coalesce(${sum}, 0)`;
  return isSmallInteger(term.type) || term.kind === 'boolean' ? `CAST(${sumOrZero} AS BIGINT)` : sumOrZero;
};

const foldOf =
  (part: (value: Term) => string, whole: (part: string, value: Term) => string) =>
  ({ value }: AggregateInput): Fold => ({ parts: [part(value)], whole: ([name = '']) => whole(name, value) });

const foldedSum = foldOf(
  (value) => `sum(${numeric(value)})${numbersOnly(value)}`,
  (part, value) => wholeSum(value, `sum(${part})`),
);

const foldedMean = ({ value }: AggregateInput): Fold => ({
  parts: [`sum(${floating(value)})${numbersOnly(value)}`, `count(${value.sql})${numbersOnly(value)}`],
  whole: ([sum, count]) => `(sum(${sum}) / sum(${count}))`,
});

const foldedExtremes = ({ value }: AggregateInput): Fold => ({
  parts: [highOf(value), lowOf(value)],
  whole: ([greatest, least]) => difference(value, `max(${greatest})`, `min(${least})`),
});

const foldedUnique = ({ value }: AggregateInput): Fold => ({
  parts: [`count(${value.sql})`, `min(${value.sql})`, `max(${value.sql})`],
  whole: ([count, least, greatest]) => `CASE WHEN sum(${count}) = sum(${LEAF_ROWS}) AND min(${least}) = max(${greatest}) THEN min(${least}) END`,
});

const isTrue = ({ sql, kind }: Term): string => {
  if (kind === 'boolean') return sql;
  return NUMBERS.includes(kind) ? `${sql} <> 0` : `${sql} IS NOT NULL`;
};

const any = ({ value }: AggregateInput): string => `coalesce(arg_min(${value.sql}, ${POSITION}) FILTER (WHERE ${isTrue(value)}), min(${value.sql}))`;
const first = ({ value }: AggregateInput): string => `arg_min_null(${value.sql}, ${POSITION})`;
const last = ({ value }: AggregateInput): string => `arg_max_null(${value.sql}, ${POSITION})`;
const unique = ({ value }: AggregateInput): string =>
  `CASE WHEN count(${value.sql}) = count(*) AND min(${value.sql}) = max(${value.sql}) THEN min(${value.sql}) END`;

/** The mean of two values. That of decimals has every digit, unless they have all that there are, so that another has no place. */
function meanOf({ type }: Field, one: string, other: string): string {
  const digits = decimalDigits(type);
  const width = digits === undefined ? DECIMAL_DIGITS_MAX : digits.whole + digits.scale;
  if (digits === undefined || width === DECIMAL_DIGITS_MAX) return `(CAST(${one} AS DOUBLE) + ${other}) / 2`;
  return `(CAST(${one} AS DECIMAL(${Math.max(19, width + 1)},${digits.scale})) + ${other}) * CAST(0.5 AS DECIMAL(1,1))`;
}

/** The value at a share of the sorted values; of an even split, the mean of both where values have one. */
const quantile =
  (share: number) =>
  ({ value }: AggregateInput): string => {
    const list = `list_sort(list(${value.sql}) FILTER (WHERE ${value.sql} IS NOT NULL))`;
    const place = `count(${value.sql}) * ${share}`;
    const upper = `${list}[CAST(floor(${place}) AS BIGINT) + 1]`;
    if (value.kind !== 'float') return upper;
    const lower = `${list}[CAST(${place} AS BIGINT)]`;
    return `CASE WHEN ${place} = floor(${place}) THEN ${meanOf(value, lower, upper)} ELSE ${upper} END`;
  };

/** How far an infinity is from others is no number. */
const spread =
  (name: 'var_pop' | 'stddev_pop') =>
  ({ value }: AggregateInput): string => {
    const [infinite, finite] = isReal(value)
      ? [`WHEN bool_or(isinf(${value.sql})) THEN CAST('nan' AS DOUBLE) `, ` FILTER (WHERE isfinite(${value.sql}))`]
      : ['', ''];
    return `CASE ${infinite}WHEN count(${value.sql})${finite} > 1 THEN ${name}(${floating(value)})${finite} END`;
  };

const JOINED_VALUES_MAX = 100;
const join = ({ value }: AggregateInput): string =>
  `array_to_string(list_slice(list_sort(list(DISTINCT CAST(${value.sql} AS VARCHAR)) FILTER (WHERE ${value.sql} IS NOT NULL)), 1, ${JOINED_VALUES_MAX}), ', ')`;

const weightedMean = ({ value, by }: AggregateInput): string => {
  const weight = by === undefined ? '1' : real(by);
  const both = [value, ...(by === undefined ? [] : [by])].flatMap((term) => [
    `${term.sql} IS NOT NULL`,
    ...(isReal(term) ? [`NOT isnan(${term.sql})`] : []),
  ]);
  const only = `FILTER (WHERE ${both.join(' AND ')})`;
  return `(sum(${floating(value)} * ${weight}) ${only} / nullif(sum(${weight}) ${only}, 0))`;
};

const sum: AggregateForm = { kinds: COUNTABLE, sql: ({ value }) => sumOf(value, numeric(value)), fold: foldedSum };
const mean: AggregateForm = { kinds: COUNTABLE, kind: 'float', sql: ({ value }) => `avg(${floating(value)})${numbersOnly(value)}`, fold: foldedMean };
const highOf = (value: Term): string => `max(${value.sql})${numbersOnly(value)}`;
const lowOf = (value: Term): string => `min(${value.sql})${numbersOnly(value)}`;
const high: AggregateForm = { kinds: ALL, sql: ({ value }) => highOf(value), fold: foldOf(highOf, (part) => `max(${part})`) };
const low: AggregateForm = { kinds: ALL, sql: ({ value }) => lowOf(value), fold: foldOf(lowOf, (part) => `min(${part})`) };

/** Every aggregate by its name in the protocol, as upstream lists them. */
export const AGGREGATES: Readonly<Record<string, AggregateForm>> = {
  sum,
  'sum not null': sum,
  'sum abs': { kinds: NUMBERS, sql: ({ value }) => sumOf(value, `abs(${wide(value, value.sql)})`) },
  'abs sum': {
    kinds: NUMBERS,
    sql: ({ value }) => `abs(${sumOf(value, value.sql)})`,
    fold: (input) => ({ ...foldedSum(input), whole: (parts) => `abs(${foldedSum(input).whole(parts)})` }),
  },
  gmv: { ...sum, kinds: NUMBERS, after: 'grossOfChildren' },
  'pct sum parent': { ...sum, kind: 'float', after: 'shareOfParent' },
  'pct sum total': { ...sum, kind: 'float', after: 'shareOfTotal' },
  mul: { kinds: NUMBERS, kind: 'float', sql: ({ value }) => `product(${floating(value)})${numbersOnly(value)}` },
  count: { kinds: ALL, kind: 'integer', sql: () => 'count(*)', fold: () => ({ parts: [], whole: () => `CAST(sum(${LEAF_ROWS}) AS BIGINT)` }) },
  'distinct count': {
    kinds: ALL,
    kind: 'integer',
    sql: ({ value }) => `(count(DISTINCT ${value.sql}) + CAST(count(*) > count(${value.sql}) AS BIGINT))`,
  },
  'distinct leaf': { kinds: ALL, sql: unique, fold: foldedUnique, after: 'leafOnly' },
  avg: mean,
  mean,
  'weighted mean': { kinds: COUNTABLE, takesColumn: true, kind: 'float', sql: weightedMean },
  median: { kinds: ALL, sql: quantile(0.5) },
  q1: { kinds: ALL, sql: quantile(0.25) },
  q3: { kinds: ALL, sql: quantile(0.75) },
  stddev: { kinds: COUNTABLE, kind: 'float', sql: spread('stddev_pop') },
  var: { kinds: COUNTABLE, kind: 'float', sql: spread('var_pop') },
  high,
  max: high,
  low,
  min: low,
  'high minus low': { kinds: NUMBERS, sql: ({ value }) => difference(value, highOf(value), lowOf(value)), fold: foldedExtremes },
  'last minus first': { kinds: NUMBERS, isOrdered: true, sql: (input) => difference(input.value, last(input), first(input)) },
  any: { kinds: ALL, isOrdered: true, sql: any },
  or: { kinds: ['boolean'], isOrdered: true, sql: any },
  and: {
    kinds: ['boolean'],
    sql: ({ value }) => `bool_and(coalesce(${value.sql}, false))`,
    fold: foldOf(
      ({ sql }) => `bool_and(coalesce(${sql}, false))`,
      (part) => `bool_and(${part})`,
    ),
  },
  first: { kinds: ALL, isOrdered: true, sql: first },
  last: { kinds: ALL, isOrdered: true, sql: last },
  'last by index': { kinds: ALL, isOrdered: true, sql: last },
  'max by': { kinds: ALL, takesColumn: true, sql: ({ value, by }) => `arg_max_null(${value.sql}, ${by?.sql})` },
  'min by': { kinds: ALL, takesColumn: true, sql: ({ value, by }) => `arg_min_null(${value.sql}, ${by?.sql})` },
  dominant: { kinds: ALL, sql: ({ value }) => `mode(${value.sql})` },
  unique: { kinds: ALL, sql: unique, fold: foldedUnique },
  join: { kinds: ALL, kind: 'string', sql: join },
};

/** Names under which other versions of Perspective know them. */
const SYNONYMS: Readonly<Record<string, string>> = {
  distinct_count: 'distinct count',
  distinctcount: 'distinct count',
  distinctleaf: 'distinct leaf',
};

export interface Aggregate {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly sql: string;
  readonly isOrdered: boolean;
  /** How it follows from those of smaller groups; undefined where it does not. */
  readonly fold: Fold | undefined;
  readonly after: AfterAggregate | undefined;
}

/** Aggregates of a column that its kind does not say otherwise for. */
export const defaultAggregate = (kind: ColumnKind): string => (NUMBERS.includes(kind) ? 'sum' : 'count');

/** The SQL of an aggregate over a column; `by` is what it takes beside it. */
export function aggregateOf(name: string, { value, by }: AggregateInput): Aggregate {
  const known = SYNONYMS[name] ?? name;
  const form = Object.hasOwn(AGGREGATES, known) ? AGGREGATES[known] : undefined;
  if (form === undefined) throw new ViewFault(`there is no aggregate ${JSON.stringify(name)}`);
  if (!form.kinds.includes(value.kind)) throw new ViewFault(`the aggregate "${name}" does not fit ${value.name}, which is of type ${value.kind}`);
  if (form.takesColumn === true && by === undefined) throw new ViewFault(`the aggregate "${name}" of ${value.name} takes another column`);
  return {
    name: known,
    kind: form.kind ?? value.kind,
    sql: form.sql({ value, by }),
    isOrdered: form.isOrdered === true,
    fold: form.fold?.({ value, by }),
    after: form.after,
  };
}

/** Names of the aggregates that fit columns of a kind, with the kinds of what they take beside the column. */
export function aggregatesOf(kind: ColumnKind): { readonly name: string; readonly takes: readonly ColumnKind[] }[] {
  const fitting = Object.entries(AGGREGATES).filter(([, { kinds }]) => kinds.includes(kind));
  return fitting.map(([name, { takesColumn }]) => ({ name, takes: takesColumn === true ? ['float'] : [] }));
}

/** What an aggregate can be of when it is ordered by: a time is a number too. */
export const canBeWeight = (kind: ColumnKind): boolean => COUNTABLE.includes(kind) || TIMES.includes(kind);
