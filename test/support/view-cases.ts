import type { ViewConfigUpdate } from '@perspective-dev/client';
import type { Random } from './random.ts';
import type { WindowCase } from './view-oracle-sql.ts';

/** A table with what is hard in it: quotes, separators and other alphabets in texts, NULL nearly everywhere, dates before 1970. */
export const TRICKY_COLUMNS = [
  { name: 'group', type: 'VARCHAR' },
  { name: 'o\'clock "x"', type: 'VARCHAR' },
  { name: 'flag', type: 'BOOLEAN' },
  { name: 'whole', type: 'INTEGER' },
  { name: 'part', type: 'DOUBLE' },
  { name: 'count', type: 'INTEGER' },
  { name: 'weight', type: 'DOUBLE' },
  { name: 'day', type: 'DATE' },
  { name: 'moment', type: 'TIMESTAMP' },
  { name: 'serial', type: 'INTEGER' },
  { name: 'later', type: 'TIMESTAMP' },
  { name: 'big', type: 'BIGINT' },
  { name: 'money', type: 'DECIMAL(18,2)' },
  { name: 'tax', type: 'DECIMAL(9,3)' },
  { name: 'ratio', type: 'FLOAT' },
] as const;

const TEXTS = [null, '', 'a', 'B', 'b|c', 'é', 'a"q', "o'x", 'Z', '10', 'ß', '日本', ' '] as const;
const TIMES = [null, 'x', 'y', "z'"] as const;

/** Numbers are multiples of an eighth, so that their sums are exact in whatever order they are added. */
export function trickyRows(random: Random, count: number): Record<string, unknown>[] {
  const maybe = <T>(value: T): T | null => (random.below(8) === 0 ? null : value);
  const rows = Array.from({ length: count }, (_unused, row) => ({
    group: random.pick(TEXTS),
    'o\'clock "x"': random.pick(TIMES),
    flag: maybe(random.below(2) === 0),
    whole: maybe(random.below(41) - 20),
    part: maybe((random.below(801) - 400) / 4),
    count: random.below(1000) - 300,
    weight: 1 + random.below(16) / 4,
    day: maybe(new Date(Date.UTC(1965, 0, 1 + random.below(40) * 97)).toISOString().slice(0, 10)),
    moment: maybe(Date.UTC(1969, 11, 30) + random.below(12) * 36_000_123),
    // Of which no two rows have the same, and in no order.
    serial: (row * 7_919) % 100_003,
    later: maybe(Date.UTC(2020, 1, 28) + random.below(90) * 36_123_456),
  }));
  return rows.map((row) => ({
    ...row,
    big: (random.below(9) - 4) * BIG,
    money: (random.below(201) - 100) / 4,
    tax: maybe(random.below(9) / 8),
    // Of which only some are numbers of 32 bits.
    ratio: maybe((random.below(41) - 20) / 10),
  }));
}

/** What 32 bits do not hold. */
const BIG = 2 ** 33 + 1;

/** `both`: what both engines define alike; `all`: also what the memory engine does not define as SQL does. */
export type Breadth = 'both' | 'all';

const TEXT = 'o\'clock "x"';
const GROUPS = ['group', TEXT, 'flag', 'day', 'moment', 'whole', 'big', 'tax', 'ratio'] as const;
const SPLITS = [TEXT, 'flag', 'group', 'day', 'moment'] as const;
const NUMBERS = ['whole', 'part', 'count', 'weight', 'serial', 'big', 'money', 'tax', 'ratio'] as const;
const VALUES = [...NUMBERS, 'group', 'day', 'flag', 'moment'] as const;
const isNumber = (column: string): boolean => (NUMBERS as readonly string[]).includes(column);
/** Numbers without NULL, of which both engines have the same idea of more aggregates. */
const COMPLETE_COLUMNS = ['count', 'weight', 'serial', 'big', 'money'];

/** Aggregates of columns of every type. */
const SHARED = ['count', 'distinct count', 'first', 'last by index', 'unique'];
const NUMERIC = ['sum', 'avg', 'mean', 'sum abs', 'abs sum', 'var', 'stddev'];
const COMPLETE = ['median', 'q1', 'q3', 'max', 'min', 'high', 'low', 'high minus low', 'last minus first', 'pct sum parent', 'pct sum total'];
/** Of which the memory engine has other ideas, see ARCHITECTURE.md. */
const OWN = ['max', 'min', 'high', 'low', 'last'];
const OWN_NUMERIC = [...COMPLETE, 'sum not null', 'mul', 'gmv'];
/** What the memory engine has no room for, see ARCHITECTURE.md. */
const NARROW: Readonly<Record<string, readonly string[]>> = { big: ['high minus low', 'last minus first'] };
/** Of which the oracle has an idea without a split only. */
const UNSPLIT = ['pct sum parent', 'pct sum total', 'gmv', 'distinct leaf'];

/** Expressions with the type that they have, all of them known to the oracle. */
const EXPRESSIONS = {
  'year of day': [`bucket("day", 'Y')`, 'date'],
  'quarter of day': [`bucket("day", 'Q')`, 'date'],
  'month of day': [`bucket("day", 'M')`, 'date'],
  'week of day': [`bucket("day", 'W')`, 'date'],
  'day of day': [`bucket("day", 'D')`, 'date'],
  'month of later': [`bucket("later", 'M')`, 'date'],
  'day of later': [`bucket("later", 'D')`, 'date'],
  'hour of later': [`bucket("later", 'h')`, 'datetime'],
  'minute of later': [`bucket("later", 'm')`, 'datetime'],
  'second of later': [`bucket("later", 's')`, 'datetime'],
  'half hour of later': [`bucket("later", '30m')`, 'datetime'],
  'part by tens': [`bucket("part", 10)`, 'float'],
  combined: ['"count" * 2 + "weight"', 'float'],
  direction: [`if ("count" > 0, 'up', 'down')`, 'string'],
  high: ['if ("count" > 100, 1, 2)', 'float'],
} as const;
type Expression = keyof typeof EXPRESSIONS;

/** A configuration from a seed. */
export function viewCase(random: Random, breadth: Breadth): ViewConfigUpdate {
  const made = random.below(3) === 0 ? [pickOf(random, Object.keys(EXPRESSIONS) as Expression[])] : [];
  const windows = random.below(4) === 0 ? { 'window of it': windowCase(random) } : {};
  const groupable = [...GROUPS, ...made];
  const group_by = takeOf(random, groupable, 3);
  // Of a split without a group the memory engine shows NULL as 0.
  const split_by = group_by.length === 0 && breadth === 'both' ? [] : takeOf(random, SPLITS, random.below(2) * 2);
  const values = [...VALUES, ...made, ...made, ...Object.keys(windows), ...Object.keys(windows)];
  const columns = [...new Set([pickOf(random, values), pickOf(random, values), pickOf(random, values)])];
  const isSplit = split_by.length > 0;
  const aggregates =
    group_by.length === 0 ? {} : Object.fromEntries(columns.map((column) => [column, aggregateCase(random, column, isSplit, breadth)]));
  const filter = Array.from({ length: random.below(3) }, () => filterCase(random, breadth));
  const group_rollup_mode = group_by.length === 0 ? 'rollup' : random.pick(['rollup', 'rollup', 'flat', 'total']);
  return {
    group_by,
    split_by,
    columns,
    aggregates,
    filter,
    filter_op: breadth === 'both' && filter.some(isEquality) ? 'and' : random.pick(['and', 'or']),
    sort: random.below(2) === 0 ? [] : sortCases(random, { columns, aggregates, isSplit, isGrouped: group_by.length > 0 }, breadth),
    group_rollup_mode,
    ...(group_rollup_mode === 'rollup' && random.below(3) === 0 ? { group_by_depth: random.below(3) } : {}),
    expressions: Object.fromEntries(made.map((name) => [name, EXPRESSIONS[name][0]])),
    windows,
  } as ViewConfigUpdate;
}

const pickOf = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;
const takeOf = <T>(random: Random, list: readonly T[], most: number): T[] => [
  ...new Set(Array.from({ length: random.below(most + 1) }, () => pickOf(random, list))),
];
/** The memory engine compares texts wrongly where one condition of several is enough. */
const isEquality = ([column, operator]: readonly unknown[]): boolean => column === 'group' && !String(operator).includes('with');

type AggregateCase = string | [string, string[]];

function aggregateCase(random: Random, column: string, isSplit: boolean, breadth: Breadth): AggregateCase {
  const isOwn = breadth === 'all';
  if (isOwn && column === 'flag' && random.below(3) === 0) return random.pick(['and', 'or']);
  if (isOwn && random.below(8) === 0) return [random.pick(['max by', 'min by']), ['serial']];
  if (isOwn && ['group', TEXT].includes(column) && random.below(3) === 0) return 'join';
  if (!isNumber(column)) return pickOf(random, isOwn ? [...SHARED, ...OWN, ...(isSplit ? [] : ['distinct leaf'])] : SHARED);
  if (random.below(6) === 0) return ['weighted mean', ['weight']];
  const more = isOwn ? [...OWN, ...OWN_NUMERIC] : COMPLETE_COLUMNS.includes(column) ? COMPLETE : [];
  const fitting = [...SHARED, ...NUMERIC, ...more].filter((name) => isOwn || !NARROW[column]?.includes(name));
  return pickOf(
    random,
    fitting.filter((name) => !isSplit || !UNSPLIT.includes(name)),
  );
}

interface Sorted {
  readonly columns: readonly string[];
  readonly aggregates: Readonly<Record<string, AggregateCase>>;
  readonly isSplit: boolean;
  readonly isGrouped: boolean;
}

/** One or two sorts, of which one may be of the columns of a split. */
function sortCases(random: Random, { columns, aggregates, isSplit, isGrouped }: Sorted, breadth: Breadth): [string, string][] {
  const sortable = columns.filter((column) => breadth === 'all' || ![...UNSPLIT, 'unique'].includes(String(aggregates[column])));
  const ways = ['asc', 'desc', 'asc abs', 'desc abs'];
  const one = (): [string, string] => {
    const column = pickOf(random, sortable.length === 0 ? ['count'] : sortable);
    const isSized = isNumber(column) && (!isGrouped || [...NUMERIC, 'count'].includes(String(aggregates[column] ?? 'sum')));
    // The memory engine has an order of its own for numbers that differ in nothing but their sign, and for 0 and NULL.
    const hasDistance = isSized && (breadth === 'all' || (isGrouped ? ['weight', 'serial', 'part', 'count'] : ['weight', 'serial']).includes(column));
    return [column, pickOf(random, hasDistance ? ways : ways.slice(0, 2))];
  };
  const [first, second] = [one(), one()];
  if (isSplit && random.below(2) === 0 && sortable.length > 0) return [[first[0], random.pick(['col asc', 'col desc'])]];
  return random.below(2) === 0 || first[0] === second[0] ? [first] : [first, second];
}

/** A window over rows that go by a column, or as they come. */
export function windowCase(random: Random): WindowCase {
  const aggregate = random.pick(['sum', 'avg', 'count', 'min', 'max', 'stddev', 'var', 'lag', 'lead', 'diff', 'rate', 'ema']);
  const isOfAny = ['count', 'min', 'max', 'lag', 'lead'].includes(aggregate);
  const column = pickOf(random, isOfAny ? [...VALUES] : ['whole', 'part', 'count', 'weight', 'big', 'money', 'tax', 'ratio']);
  const partition_by = takeOf(random, ['group', 'flag', 'day', 'big'], 2);
  const order = pickOf(random, ['day', 'moment', 'whole', 'serial', 'count', 'money', 'ratio']);
  const direction = random.pick(['asc', 'desc']);
  const offset = ['lag', 'lead', 'diff'].includes(aggregate) ? { offset: random.below(4) } : {};
  const alpha = aggregate === 'ema' ? { alpha: random.pick([0.25, 0.5, 0.9, 1]) } : {};
  const range = { range: { day: 200, moment: 40_000_000, whole: 3, serial: 5_000, count: 50, money: 5, ratio: 0.75 }[order] as number };
  const isRange = aggregate === 'rate' || (!('offset' in offset) && !('alpha' in alpha) && random.below(3) === 0);
  const frame = isRange ? range : 'offset' in offset || 'alpha' in alpha ? {} : pickOf(random, [{ rows: random.below(6) }, { cumulative: true }, {}]);
  const order_by = isRange || random.below(3) > 0 ? { order_by: [order, direction] as [string, 'asc' | 'desc'] } : {};
  return { column, aggregate, partition_by, ...order_by, ...frame, ...offset, ...alpha };
}

type FilterCase = [string, string, string | number | boolean | null | (string | number)[]];

function filterCase(random: Random, breadth: Breadth): FilterCase {
  const text = random.pick(['a', 'B', 'b|c', "o'x", '10', 'é', 'a"q', 'ß', '日本', 'nothing']);
  const texts = ['contains', 'begins with', 'ends with', 'matches'].flatMap((operator) => [operator, `not ${operator}`]);
  const compared = ['>', '>=', '<', '<=', '==', '!='];
  const choices: (() => FilterCase)[] = [
    () => ['count', pickOf(random, compared), random.below(600) - 200],
    () => ['part', pickOf(random, compared), (random.below(400) - 200) / 4],
    () => ['big', pickOf(random, compared), (random.below(9) - 4) * BIG],
    () => ['money', pickOf(random, compared), (random.below(201) - 100) / 4],
    () => ['tax', pickOf(random, compared), random.below(9) / 8],
    () => ['ratio', pickOf(random, compared), (random.below(41) - 20) / 10],
    () => ['group', pickOf(random, [...texts, ...compared]), text],
    () => ['group', random.pick(['in', 'not in']), [text, 'Z']],
    () => [random.pick(['whole', 'group', 'day', 'flag', 'moment', 'part', 'tax', 'ratio']), random.pick(['is null', 'is not null']), null],
    () => ['flag', random.pick(['==', '!=']), random.below(2) === 0],
    () => ['day', pickOf(random, compared), random.pick(['1970-06-01', '1965-01-01'])],
    () => ['moment', pickOf(random, compared), random.pick([36_000_123, 0])],
  ];
  // Which the memory engine does not offer.
  if (breadth === 'all') {
    choices.push(
      () => ['whole', pickOf(random, ['in', 'not in']), [random.below(41) - 20, 3, 0.5]],
      () => ['big', pickOf(random, ['in', 'not in']), [(random.below(9) - 4) * BIG, 0.5]],
      () => ['money', pickOf(random, ['in', 'not in']), [(random.below(201) - 100) / 4, 5, 1e-9]],
      () => ['ratio', pickOf(random, ['in', 'not in']), [(random.below(41) - 20) / 10, 0.3, 1e300]],
      () => ['day', pickOf(random, ['in', 'not in']), ['1965-01-01', '1970-06-01']],
      () => ['moment', pickOf(random, ['in', 'not in']), [0, 36_000_123]],
    );
  }
  return pickOf(random, choices)();
}
