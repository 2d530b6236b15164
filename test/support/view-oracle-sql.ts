import { literal } from '../../server/storage/parquet/quote.ts';

/** SQL of what views are made of, each written from its meaning and not from the engine's code. */

/** Expressions that both languages have, with their SQL; bucketing of dates and times by every unit among them. */
export const EXPRESSION_SQL: ReadonlyMap<string, string> = new Map([
  [`bucket("day", 'Y')`, `CAST(make_date(year(day), 1, 1) AS DATE)`],
  [`bucket("day", 'Q')`, `CAST(make_date(year(day), 3 * CAST(quarter(day) AS BIGINT) - 2, 1) AS DATE)`],
  [`bucket("day", 'M')`, `CAST(make_date(year(day), month(day), 1) AS DATE)`],
  [`bucket("day", 'W')`, `CAST(day - CAST(isodow(day) - 1 AS INTEGER) AS DATE)`],
  [`bucket("day", 'D')`, 'day'],
  [`bucket("later", 'M')`, `CAST(make_date(year(later), month(later), 1) AS DATE)`],
  [`bucket("later", 'D')`, `CAST(make_date(year(later), month(later), day(later)) AS DATE)`],
  [`bucket("later", 'h')`, `make_timestamp_ms(CAST(floor(epoch_ms(later) / 3600000) * 3600000 AS BIGINT))`],
  [`bucket("later", 'm')`, `make_timestamp_ms(CAST(floor(epoch_ms(later) / 60000) * 60000 AS BIGINT))`],
  [`bucket("later", 's')`, `make_timestamp_ms(CAST(floor(epoch_ms(later) / 1000) * 1000 AS BIGINT))`],
  [`bucket("later", '30m')`, `make_timestamp_ms(CAST(floor(epoch_ms(later) / 1800000) * 1800000 AS BIGINT))`],
  [`bucket("part", 10)`, `CAST(floor(part / 10) * 10 AS DOUBLE)`],
  [`"count" * 2 + "weight"`, `CAST("count" * 2 + weight AS DOUBLE)`],
  [`if ("count" > 0, 'up', 'down')`, `CASE WHEN "count" > 0 THEN 'up' ELSE 'down' END`],
  [`if ("count" > 100, 1, 2)`, `CASE WHEN "count" > 100 THEN 1.0::DOUBLE ELSE 2.0::DOUBLE END`],
]);

type Value = string | number | boolean | null;

export function conditionsSql(filter: readonly [string, string, (Value | Value[])?][], isAny: boolean): string {
  if (filter.length === 0) return 'true';
  return filter
    .map(([column, operator, value]) => `coalesce(${conditionSql(column, operator, value ?? null)}, false)`)
    .join(isAny ? ' OR ' : ' AND ');
}

function conditionSql(column: string, operator: string, value: Value | Value[]): string {
  const name = `"${column.replaceAll('"', '""')}"`;
  if (operator === 'is null' || operator === 'is not null') return `${name} ${operator.toUpperCase()}`;
  if (operator === 'in') return `${name} IN (${[value].flat().map(valueSql(column)).join(', ')})`;
  if (operator === 'not in') return `coalesce(${name} NOT IN (${[value].flat().map(valueSql(column)).join(', ')}), true)`;
  const one = valueSql(column)(value as Value);
  if (operator === '!=') return `${name} IS DISTINCT FROM ${one}`;
  const tests: Readonly<Record<string, string>> = {
    'begins with': `left(lower(${name}), length(${one})) = lower(${one})`,
    'ends with': `right(lower(${name}), length(${one})) = lower(${one})`,
    contains: `strpos(lower(${name}), lower(${one})) > 0`,
    matches: `regexp_matches(${name}, ${one})`,
  };
  const test = tests[operator.replace(/^not /, '')];
  if (test !== undefined) return operator.startsWith('not ') ? `NOT (${test})` : test;
  return `${name} ${operator === '==' ? '=' : operator} ${one}`;
}

const valueSql =
  (column: string) =>
  (value: Value): string => {
    if (column === 'moment') return `make_timestamp_ms(CAST(${Number(value)} AS BIGINT))`;
    if (column === 'day') return `CAST(${literal(String(value))} AS DATE)`;
    if (column === 'ratio' && Math.abs(Number(value)) < 1e38) return `CAST(${literal(String(value))} AS FLOAT)`;
    return typeof value === 'string' ? literal(value) : String(value);
  };

/** An aggregate of a column; those that go by the order of rows go by `pos`. */
export function aggregateSql(name: string, column: string, by: string | undefined): string {
  const values = `list(${column} ORDER BY ${column}) FILTER (WHERE ${column} IS NOT NULL)`;
  const at = (share: number): string => {
    const middle = `count(${column}) * ${share}`;
    const upper = `list_extract(${values}, CAST(floor(${middle}) AS BIGINT) + 1)`;
    const isReal = `NOT contains(typeof(any_value(${column})), 'INT') AND ${middle} = floor(${middle})`;
    return `CASE WHEN ${isReal} THEN (TRY_CAST(list_extract(${values}, CAST(${middle} AS BIGINT)) AS DOUBLE) + TRY_CAST(${upper} AS DOUBLE)) / 2 ELSE TRY_CAST(${upper} AS DOUBLE) END`;
  };
  const both = `FILTER (WHERE ${column} IS NOT NULL AND ${by} IS NOT NULL)`;
  const forms: Readonly<Record<string, string>> = {
    sum: `coalesce(sum(${column}), 0)`,
    'sum not null': `coalesce(sum(${column}), 0)`,
    'sum abs': `coalesce(sum(abs(${column})), 0)`,
    'abs sum': `abs(coalesce(sum(${column}), 0))`,
    gmv: `coalesce(sum(${column}), 0)`,
    'pct sum parent': `coalesce(sum(${column}), 0)`,
    'pct sum total': `coalesce(sum(${column}), 0)`,
    avg: `avg(${column})`,
    mean: `avg(${column})`,
    'weighted mean': `sum(${column} * ${by}) ${both} / nullif(sum(${by}) ${both}, 0)`,
    mul: `product(${column})`,
    count: 'count(*)',
    'distinct count': `count(DISTINCT ${column}) + max(CASE WHEN ${column} IS NULL THEN 1 ELSE 0 END)`,
    unique: `CASE WHEN count(DISTINCT ${column}) = 1 AND count(${column}) = count(*) THEN min(${column}) END`,
    'distinct leaf': `CASE WHEN count(DISTINCT ${column}) = 1 AND count(${column}) = count(*) THEN min(${column}) END`,
    first: `first(${column} ORDER BY pos)`,
    last: `last(${column} ORDER BY pos)`,
    'last by index': `last(${column} ORDER BY pos)`,
    'last minus first': `CAST(last(${column} ORDER BY pos) AS DOUBLE) - CAST(first(${column} ORDER BY pos) AS DOUBLE)`,
    max: `max(${column})`,
    high: `max(${column})`,
    min: `min(${column})`,
    low: `min(${column})`,
    'high minus low': `CAST(max(${column}) AS DOUBLE) - CAST(min(${column}) AS DOUBLE)`,
    var: `CASE WHEN count(${column}) > 1 THEN var_pop(${column}) END`,
    stddev: `CASE WHEN count(${column}) > 1 THEN stddev_pop(${column}) END`,
    median: at(0.5),
    q1: at(0.25),
    q3: at(0.75),
    join: `string_agg(DISTINCT CAST(${column} AS VARCHAR), ', ' ORDER BY CAST(${column} AS VARCHAR))`,
    'max by': `first(${column} ORDER BY ${by} DESC)`,
    'min by': `first(${column} ORDER BY ${by})`,
    and: `bool_and(coalesce(${column}, false))`,
    or: `CASE WHEN bool_or(${column}) THEN true ELSE bool_or(${column}) END`,
  };
  const sql = forms[name];
  if (sql === undefined) throw new Error(`no SQL is known of the aggregate ${name}`);
  return sql;
}

export interface WindowCase {
  readonly column: string;
  readonly aggregate: string;
  readonly partition_by?: readonly string[];
  readonly order_by?: readonly [string, 'asc' | 'desc'];
  readonly rows?: number;
  readonly range?: number;
  readonly cumulative?: boolean;
  readonly offset?: number;
  readonly alpha?: number;
}

export interface WindowSql {
  /** How many rows of its partition come before row `r`, each counted. */
  readonly place: string;
  /** What the window is of row `r` of the rows that have their place, each looked up, without windows of SQL. */
  readonly value: string;
}

type Named = (row: 'r' | 's', column: string) => string;

export function windowSql(window: WindowCase): WindowSql {
  const named: Named = (row, column) => `${row}."${column.replaceAll('"', '""')}"`;
  const same = ['true', ...(window.partition_by ?? []).map((column) => `${named('s', column)} IS NOT DISTINCT FROM ${named('r', column)}`)].join(
    ' AND ',
  );
  return {
    place: `(SELECT count(*) FROM windowed s WHERE ${same} AND ${beforeSql(window.order_by, named)})`,
    value: `(${valueOfWindow(window, named, same)})`,
  };
}

function valueOfWindow(window: WindowCase, named: Named, same: string): string {
  const [value, own] = [named('s', window.column), named('r', window.column)];
  const real = (sql: string): string => `CAST(${sql} AS DOUBLE)`;
  const at = (offset: number): string => `SELECT ${value} FROM placed s WHERE ${same} AND s.place = r.place + ${offset}`;
  const offset = window.offset ?? 1;
  const until = `${same} AND s.place <= r.place AND ${frameSql(window, named)}`;
  const first = (sql: string): string => `(SELECT ${sql} FROM placed s WHERE ${until} ORDER BY s.place LIMIT 1)`;
  const [key, ownKey] = [orderNumber(window, named, 's'), orderNumber(window, named, 'r')];
  switch (window.aggregate) {
    case 'lag':
      return at(-offset);
    case 'lead':
      return at(offset);
    case 'diff':
      return `${real(own)} - ${real(`(${at(-offset)})`)}`;
    case 'rate':
      return `(${real(own)} - ${real(first(value))}) / nullif(${ownKey} - ${first(key)}, 0)`;
    case 'ema': {
      const list = `SELECT list(${real(value)} ORDER BY s.place) FROM placed s WHERE ${until} AND ${value} IS NOT NULL`;
      return `SELECT list_reduce(l, lambda a, x: ${window.alpha} * x + (1 - ${window.alpha}) * a) FROM (${list}) q(l) WHERE len(l) > 0`;
    }
    case 'stddev':
    case 'var':
      return `SELECT ${window.aggregate}_samp(${real(value)}) FROM placed s WHERE ${until}`;
    case 'sum':
    case 'avg':
      return `SELECT ${window.aggregate}(${real(value)}) FROM placed s WHERE ${until}`;
    default:
      return `SELECT ${window.aggregate}(${value}) FROM placed s WHERE ${until}`;
  }
}

/** Rows without a value come first in either direction, and of equal ones the first of the table. */
function beforeSql(order: WindowCase['order_by'], named: Named): string {
  if (order === undefined) return 's.pos < r.pos';
  const [mine, theirs] = [named('s', order[0]), named('r', order[0])];
  const isLess = order[1] === 'desc' ? `${mine} > ${theirs}` : `${mine} < ${theirs}`;
  return `(CASE WHEN ${mine} IS NOT DISTINCT FROM ${theirs} THEN s.pos < r.pos WHEN ${mine} IS NULL THEN true WHEN ${theirs} IS NULL THEN false ELSE ${isLess} END)`;
}

/** What a row is ordered by as a number: days of dates, milliseconds of times. */
function orderNumber({ order_by }: WindowCase, named: Named, row: 'r' | 's'): string {
  if (order_by === undefined) return '0';
  const column = named(row, order_by[0]);
  if (order_by[0] === 'moment') return `CAST(epoch_ms(${column}) AS DOUBLE)`;
  return order_by[0] === 'day' ? `CAST(${column} - DATE '1970-01-01' AS DOUBLE)` : `CAST(${column} AS DOUBLE)`;
}

function frameSql(window: WindowCase, named: Named): string {
  if (window.rows !== undefined) return `s.place >= r.place - ${window.rows}`;
  if (window.range === undefined) return 'true';
  const [mine, theirs] = [orderNumber(window, named, 's'), orderNumber(window, named, 'r')];
  return `(${mine} IS NULL AND ${theirs} IS NULL OR abs(${theirs} - ${mine}) <= ${window.range})`;
}
