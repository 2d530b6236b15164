/** SQL of the functions of ExprTK and of those that Perspective adds to it, by name and number of arguments. */

type Rendering = (...values: string[]) => string;

interface ExprtkFunction {
  readonly least: number;
  readonly most: number;
  readonly sql: Rendering;
}

const fixed = (count: number, sql: Rendering): ExprtkFunction => ({ least: count, most: count, sql });
const real = (value: string): string => `CAST(${value} AS DOUBLE)`;
const named = (name: string): ExprtkFunction => fixed(1, (value) => `${name}(${real(value)})`);
const MANY = 64;

const DAYS = ['1 Sunday', '2 Monday', '3 Tuesday', '4 Wednesday', '5 Thursday', '6 Friday', '7 Saturday'];
const MONTHS = [
  ...['01 January', '02 February', '03 March', '04 April', '05 May', '06 June'],
  ...['07 July', '08 August', '09 September', '10 October', '11 November', '12 December'],
];
const pick = (names: readonly string[], index: string): string => `[${names.map((name) => `'${name}'`).join(', ')}][${index}]`;

/** Units of time by which values are bucketed: what DuckDB calls them, and whether what comes of it is a date. */
const UNITS: Readonly<Record<string, { readonly unit: string; readonly isDate: boolean }>> = {
  s: { unit: 'second', isDate: false },
  m: { unit: 'minute', isDate: false },
  h: { unit: 'hour', isDate: false },
  D: { unit: 'day', isDate: true },
  W: { unit: 'week', isDate: true },
  M: { unit: 'month', isDate: true },
  Q: { unit: 'quarter', isDate: true },
  Y: { unit: 'year', isDate: true },
};

/** SQL that puts values into buckets of a width: a number, a unit of time, or some of them, such as `15m`; undefined for other texts. */
export function bucketSql(value: string, width: { readonly text: string } | { readonly number: string }): string | undefined {
  if ('number' in width) return `(floor(${real(value)} / ${width.number}) * ${width.number})`;
  const [, digits = '1', letter = ''] = /^([1-9]\d{0,3})?([a-zA-Z])$/.exec(width.text) ?? [];
  const known = Object.hasOwn(UNITS, letter) ? UNITS[letter] : undefined;
  const count = Number(digits);
  if (known === undefined || (count > 1 && !MULTIPLES.includes(letter))) return undefined;
  const truncated = count === 1 ? `date_trunc('${known.unit}', ${value})` : multipleSql(value, { count, letter, unit: known.unit });
  return known.isDate ? `CAST(${truncated} AS DATE)` : truncated;
}

/** Units of which several make a bucket, as upstream has it. */
const MULTIPLES = ['s', 'm', 'h', 'M', 'Y'];

/** Buckets of months begin with the year, those of years with the year 0, those of times with 1970. */
function multipleSql(value: string, { count, letter, unit }: { readonly count: number; readonly letter: string; readonly unit: string }): string {
  if (letter === 'Y') return `make_date(year(${value}) // ${count} * ${count}, 1, 1)`;
  if (letter === 'M') return `make_date(year(${value}), (month(${value}) - 1) // ${count} * ${count} + 1, 1)`;
  return `time_bucket(INTERVAL '${count} ${unit}s', CAST(${value} AS TIMESTAMP), TIMESTAMP '1970-01-01')`;
}

/** What both call alike. */
const REAL_FUNCTIONS = [
  ...['sqrt', 'exp', 'sin', 'cos', 'tan', 'cot', 'asin', 'acos', 'atan'],
  ...['sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh'],
];

export const EXPRTK_FUNCTIONS: Readonly<Record<string, ExprtkFunction>> = {
  abs: fixed(1, (value) => `abs(${value})`),
  ceil: fixed(1, (value) => `ceil(${value})`),
  floor: fixed(1, (value) => `floor(${value})`),
  round: fixed(1, (value) => `round(${value})`),
  trunc: fixed(1, (value) => `trunc(${value})`),
  sgn: fixed(1, (value) => `sign(${value})`),
  frac: fixed(1, (value) => `(${value} - trunc(${value}))`),
  ...Object.fromEntries(REAL_FUNCTIONS.map((name) => [name, named(name)])),
  log: named('ln'),
  log10: named('log10'),
  log2: named('log2'),
  log1p: fixed(1, (value) => `ln(1 + ${real(value)})`),
  expm1: fixed(1, (value) => `(exp(${real(value)}) - 1)`),
  logn: fixed(2, (value, base) => `(ln(${real(value)}) / ln(${real(base)}))`),
  sinc: fixed(1, (value) => `(CASE WHEN ${real(value)} = 0 THEN 1 ELSE sin(${real(value)}) / ${real(value)} END)`),
  deg2rad: named('radians'),
  deg2grad: fixed(1, (value) => `(${real(value)} * 10 / 9)`),
  grad2deg: fixed(1, (value) => `(${real(value)} * 9 / 10)`),
  rad2deg: named('degrees'),
  pow: fixed(2, (base, power) => `pow(${real(base)}, ${real(power)})`),
  root: fixed(2, (value, degree) => `pow(${real(value)}, 1 / ${real(degree)})`),
  hypot: fixed(2, (a, b) => `sqrt(pow(${real(a)}, 2) + pow(${real(b)}, 2))`),
  min: { least: 1, most: MANY, sql: (...values) => `least(${values.join(', ')})` },
  max: { least: 1, most: MANY, sql: (...values) => `greatest(${values.join(', ')})` },
  avg: { least: 1, most: MANY, sql: (...values) => `((${values.map(real).join(' + ')}) / ${values.length})` },
  mul: { least: 1, most: MANY, sql: (...values) => `(${values.map(real).join(' * ')})` },
  sum: { least: 1, most: MANY, sql: (...values) => `(${values.join(' + ')})` },
  clamp: fixed(3, (low, value, high) => `least(greatest(${low}, ${value}), ${high})`),
  inrange: fixed(3, (low, value, high) => `(${low} <= ${value} AND ${value} <= ${high})`),
  percent_of: fixed(2, (part, whole) => `(${real(part)} / ${real(whole)} * 100)`),
  is_null: fixed(1, (value) => `(${value} IS NULL)`),
  is_not_null: fixed(1, (value) => `(${value} IS NOT NULL)`),
  not: fixed(1, (value) => `(NOT ${value})`),
  if: fixed(3, (condition, yes, no) => `(CASE WHEN ${condition} THEN ${yes} ELSE ${no} END)`),
  upper: fixed(1, (value) => `upper(${value})`),
  lower: fixed(1, (value) => `lower(${value})`),
  length: fixed(1, (value) => `length(${value})`),
  concat: { least: 1, most: MANY, sql: (...values) => `(${values.map((value) => `CAST(${value} AS VARCHAR)`).join(' || ')})` },
  intern: fixed(1, (value) => value),
  contains: fixed(2, (value, part) => `contains(${value}, ${part})`),
  match: fixed(2, (value, pattern) => `regexp_matches(${value}, ${pattern})`),
  match_all: fixed(2, (value, pattern) => `regexp_full_match(${value}, ${pattern})`),
  search: fixed(2, (value, pattern) => `nullif(regexp_extract(${value}, ${pattern}, 1), '')`),
  replace: fixed(3, (value, pattern, by) => `regexp_replace(${value}, ${pattern}, ${by})`),
  replace_all: fixed(3, (value, pattern, by) => `regexp_replace(${value}, ${pattern}, ${by}, 'g')`),
  substring: {
    least: 2,
    most: 3,
    sql: (value, start, count) => `substring(${value}, CAST(${start} AS BIGINT) + 1${count === undefined ? '' : `, CAST(${count} AS BIGINT)`})`,
  },
  hour_of_day: fixed(1, (value) => `date_part('hour', ${value})`),
  day_of_week: fixed(1, (value) => pick(DAYS, `date_part('dayofweek', ${value}) + 1`)),
  month_of_year: fixed(1, (value) => pick(MONTHS, `date_part('month', ${value})`)),
  date: fixed(3, (year, month, day) => `make_date(CAST(${year} AS BIGINT), CAST(${month} AS BIGINT), CAST(${day} AS BIGINT))`),
  datetime: fixed(1, (ms) => `make_timestamp_ms(CAST(${ms} AS BIGINT))`),
  string: fixed(1, (value) => `CAST(${value} AS VARCHAR)`),
  integer: fixed(1, (value) => `CAST(trunc(CAST(${value} AS DOUBLE)) AS BIGINT)`),
  float: fixed(1, (value) => real(value)),
  boolean: fixed(1, (value) => `CAST(${value} AS BOOLEAN)`),
};
