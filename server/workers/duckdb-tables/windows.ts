import { POSITION, type Term } from './aggregates.ts';
import type { ColumnKind } from './column-types.ts';
import type { WindowConfig } from './view-config.ts';
import { ViewFault } from './view-fault.ts';

/**
 * Columns that are computed from the rows around each, as Perspective's own engine defines them: over every row of the table,
 * whatever the view filters; rows without a value in the order come first, and of equal ones the first of the table.
 */

/** A window with the SQL that makes it: items of SELECTs, of which each is over the one before, and the last yields `term`. */
export interface PlannedWindow {
  readonly term: Term;
  readonly stages: readonly (readonly string[])[];
}

interface WindowForm {
  readonly kinds: readonly ColumnKind[];
  /** The frames that it takes; none: it goes by positions. */
  readonly frames: readonly ('rows' | 'range' | 'cumulative')[];
  readonly takes?: 'offset' | 'alpha';
  /** Absent: the kind and type of the column. */
  readonly result?: { readonly kind: ColumnKind; readonly type: string };
  readonly stages: (parts: WindowParts) => string[][];
}

/** SQL of what a window is made of. */
interface WindowParts {
  /** The name of its column, with which those of its helpers begin. */
  readonly alias: string;
  readonly value: Term;
  readonly partition: readonly string[];
  readonly order: { readonly term: Term; readonly isDescending: boolean } | undefined;
  readonly config: WindowConfig;
}

const NUMBERS: readonly ColumnKind[] = ['integer', 'float'];
const ALL: readonly ColumnKind[] = ['string', 'date', 'datetime', 'integer', 'float', 'boolean'];
const FRAMES = ['rows', 'range', 'cumulative'] as const;
const FLOAT = { kind: 'float', type: 'DOUBLE' } as const;
const INTEGER = { kind: 'integer', type: 'BIGINT' } as const;

const real = ({ sql, type }: Term): string => (type === 'DOUBLE' ? sql : `CAST(${sql} AS DOUBLE)`);

/** `OVER` the rows from a number of rows before to the row itself. */
function over({ partition, order }: WindowParts, before: string, more: readonly string[] = []): string {
  const by = [...partition, ...more];
  const partitioned = by.length === 0 ? '' : `PARTITION BY ${by.join(', ')} `;
  const key = order === undefined ? '' : `${order.term.sql} ${order.isDescending ? 'DESC' : 'ASC'} NULLS FIRST, `;
  return `OVER (${partitioned}ORDER BY ${key}${POSITION} ROWS BETWEEN ${before} PRECEDING AND CURRENT ROW)`;
}

const cumulative = (parts: WindowParts, more?: readonly string[]): string => over(parts, 'UNBOUNDED', more);

/** An aggregate over the frame of the window. */
const framed =
  (aggregate: (value: Term) => string): WindowForm['stages'] =>
  (parts) => {
    const { alias, value, config } = parts;
    const make = (before: string): string[] => [`${aggregate(value)} ${over(parts, before)} AS ${alias}`];
    if (config.frame === undefined) return [make('UNBOUNDED')];
    if ('rows' in config.frame) return [make(String(config.frame.rows))];
    return [...rangeStages(parts, config.frame.range), make(`(${alias}n - ${alias}f)`)];
  };

/**
 * Numbers the rows (`n`) and finds the first (`f`) that is within a distance of each: equal rows that follow are not in its
 * frame, so that it cannot be a RANGE of SQL. Rows without a value in the order are among themselves.
 */
function rangeStages(parts: WindowParts, range: number): string[][] {
  const { alias, partition } = parts;
  const distance = `CAST('${range}' AS DOUBLE)`;
  const by = [...partition, `${alias}o IS NULL`].join(', ');
  const first = `min(${alias}n) OVER (PARTITION BY ${by} ORDER BY ${alias}o RANGE BETWEEN ${distance} PRECEDING AND CURRENT ROW)`;
  return [
    [`${ordinate(parts)} AS ${alias}o`, `row_number() ${cumulative(parts)} AS ${alias}n`],
    [`CASE WHEN ${alias}o IS NULL THEN 1 ELSE ${first} END AS ${alias}f`],
  ];
}

/** What rows are ordered by as a number that grows: days of dates, milliseconds of times. */
function ordinate({ order, alias }: WindowParts): string {
  if (order === undefined) throw new ViewFault(`the window ${alias} has a range and no order`);
  const { term, isDescending } = order;
  const number = ordinateOf(term);
  return isDescending ? `(- ${number})` : number;
}

function ordinateOf(term: Term): string {
  if (NUMBERS.includes(term.kind)) return real(term);
  if (term.kind === 'datetime') return `CASE WHEN isfinite(${term.sql}) THEN CAST(epoch_ms(${term.sql}) AS DOUBLE) END`;
  if (term.kind === 'date') return `CASE WHEN isfinite(${term.sql}) THEN CAST(${term.sql} - DATE '1970-01-01' AS DOUBLE) END`;
  throw new ViewFault(`a range goes by a column of numbers or times, which ${term.name} is not`);
}

/** How fast the value changed since the first row of the range. */
const rate: WindowForm['stages'] = (parts) => {
  const { alias, value, order, config } = parts;
  const frame = config.frame;
  if (frame === undefined || !('range' in frame) || order === undefined) throw new ViewFault('the window "rate" needs a range');
  const key = ordinateOf(order.term);
  const first = (sql: string): string => `first_value(${sql}) ${over(parts, `(${alias}n - ${alias}f)`)}`;
  const slope = `(${real(value)} - ${first(real(value))}) / nullif(${key} - ${first(key)}, 0)`;
  return [...rangeStages(parts, frame.range), [`${slope} AS ${alias}`]];
};

/** The exponent at which a weight, e to its power, has faded away: 1e-60 of a value changes no double. */
const FADED = 138;

/**
 * Each value counts `alpha`, and what was before it the rest, so that a value's weight is a power of `1 - alpha`. Such powers,
 * relative to the last row, are no sum over a window; relative to the beginning of a block of rows they are (`s`). Of the
 * blocks before, only the last has not faded away.
 */
const ema: WindowForm['stages'] = (parts) => {
  const { alias, value, config } = parts;
  const { alpha } = config;
  if (alpha === undefined || !(alpha > 0 && alpha <= 1)) throw new ViewFault('the window "ema" needs an alpha above 0 and at most 1');
  if (alpha === 1) return [[`last_value(${real(value)} IGNORE NULLS) ${cumulative(parts)} AS ${alias}`]];
  const rest = double(1 - alpha);
  const rows = Math.min(2 ** 40, Math.max(1, Math.ceil(FADED / -Math.log(1 - alpha))));
  const [block, place] = [`((${alias}c - 1) // ${rows})`, `((${alias}c - 1) % ${rows})`];
  const power = (exponent: string): string => `pow(${rest}, ${exponent})`;
  const weighted = `${real(value)} * CASE WHEN ${alias}c = 1 THEN 1 ELSE ${double(alpha)} END * ${power(`- ${place}`)}`;
  const partitioned = parts.partition.length === 0 ? '' : `PARTITION BY ${parts.partition.join(', ')} `;
  const before = `arg_max(${alias}s, ${alias}c) OVER (${partitioned}ORDER BY ${block} RANGE BETWEEN 1 PRECEDING AND 1 PRECEDING)`;
  return [
    [`count(${value.sql}) ${cumulative(parts)} AS ${alias}c`],
    [`sum(${weighted}) ${cumulative(parts, [block])} AS ${alias}s`],
    [
      `CASE WHEN ${alias}c > 0 THEN ${power(place)} * coalesce(${alias}s, 0) + ${power(`${place} + 1`)} * ${power(String(rows - 1))} * coalesce(${before}, 0) END AS ${alias}`,
    ],
  ];
};

const double = (value: number): string => `CAST('${value}' AS DOUBLE)`;
const shifted = (parts: WindowParts, name: 'lag' | 'lead', sql: string): string => `${name}(${sql}, ${parts.config.offset}) ${cumulative(parts)}`;
const finite = (value: Term): string => (value.type === 'DOUBLE' || value.type === 'FLOAT' ? ` FILTER (WHERE isfinite(${value.sql}))` : '');

/** Every window by its name in the protocol, as upstream lists them. */
const WINDOWS: Readonly<Record<string, WindowForm>> = {
  sum: { kinds: NUMBERS, frames: FRAMES, result: FLOAT, stages: framed((value) => `sum(${real(value)})`) },
  avg: { kinds: NUMBERS, frames: FRAMES, result: FLOAT, stages: framed((value) => `avg(${real(value)})`) },
  count: { kinds: ALL, frames: FRAMES, result: INTEGER, stages: framed((value) => `count(${value.sql})`) },
  min: { kinds: ALL, frames: FRAMES, stages: framed((value) => `min(${value.sql})`) },
  max: { kinds: ALL, frames: FRAMES, stages: framed((value) => `max(${value.sql})`) },
  stddev: { kinds: NUMBERS, frames: FRAMES, result: FLOAT, stages: framed((value) => `stddev_samp(${real(value)})${finite(value)}`) },
  var: { kinds: NUMBERS, frames: FRAMES, result: FLOAT, stages: framed((value) => `var_samp(${real(value)})${finite(value)}`) },
  lag: { kinds: ALL, frames: [], takes: 'offset', stages: (parts) => [[`${shifted(parts, 'lag', parts.value.sql)} AS ${parts.alias}`]] },
  lead: { kinds: ALL, frames: [], takes: 'offset', stages: (parts) => [[`${shifted(parts, 'lead', parts.value.sql)} AS ${parts.alias}`]] },
  diff: {
    kinds: NUMBERS,
    frames: [],
    takes: 'offset',
    result: FLOAT,
    stages: (parts) => [[`${real(parts.value)} - ${shifted(parts, 'lag', real(parts.value))} AS ${parts.alias}`]],
  },
  rate: { kinds: NUMBERS, frames: ['range'], result: FLOAT, stages: rate },
  ema: { kinds: NUMBERS, frames: [], takes: 'alpha', result: FLOAT, stages: ema },
};

/** The window of a configuration under a name in SQL; `termOf` gives the columns that it names. */
export function planWindow(
  { name, alias, config }: { readonly name: string; readonly alias: string; readonly config: WindowConfig },
  termOf: (column: string) => Term,
): PlannedWindow {
  const form = Object.hasOwn(WINDOWS, config.aggregate) ? WINDOWS[config.aggregate] : undefined;
  if (form === undefined) throw new ViewFault(`there is no window ${JSON.stringify(config.aggregate)}`);
  const value = termOf(config.column);
  if (!form.kinds.includes(value.kind)) {
    throw new ViewFault(`the window "${config.aggregate}" does not fit ${value.name}, which is of type ${value.kind}`);
  }
  const order = config.orderBy && { term: termOf(config.orderBy.column), isDescending: config.orderBy.isDescending };
  const partition = config.partitionBy.map((column) => termOf(column).sql);
  const { kind, type } = form.result ?? value;
  return { term: { name, kind, type, sql: alias }, stages: form.stages({ alias, value, partition, order, config }) };
}

export interface WindowFeature {
  readonly name: string;
  readonly frames: readonly string[];
  readonly offset: boolean;
  readonly alpha: boolean;
  readonly result_type?: ColumnKind;
}

/** The windows that fit columns of a kind, as the protocol lists them. */
export function windowsOf(columnKind: ColumnKind): WindowFeature[] {
  const fitting = Object.entries(WINDOWS).filter(([, { kinds }]) => kinds.includes(columnKind));
  return fitting.map(([name, { frames, takes, result }]) => {
    const form = { name, frames, offset: takes === 'offset', alpha: takes === 'alpha' };
    return result === undefined ? form : { ...form, result_type: result.kind };
  });
}
