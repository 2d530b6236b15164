import type { ViewConfigUpdate } from '@perspective-dev/client';
import type { Random } from './random.ts';

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
] as const;

export const TRICKY_SCHEMA = {
  group: 'string',
  'o\'clock "x"': 'string',
  flag: 'boolean',
  whole: 'integer',
  part: 'float',
  count: 'integer',
  weight: 'float',
  day: 'date',
  moment: 'datetime',
} as const;

const TEXTS = [null, '', 'a', 'B', 'b|c', 'é', 'a"q', "o'x", 'Z', '10', 'ß', '日本', ' '] as const;
const TIMES = [null, 'x', 'y', "z'"] as const;

/** Numbers are multiples of a quarter, so that their sums are exact in whatever order they are added. */
export function trickyRows(random: Random, count: number): Record<string, unknown>[] {
  const maybe = <T>(value: T): T | null => (random.below(8) === 0 ? null : value);
  return Array.from({ length: count }, () => ({
    group: random.pick(TEXTS),
    'o\'clock "x"': random.pick(TIMES),
    flag: maybe(random.below(2) === 0),
    whole: maybe(random.below(41) - 20),
    part: maybe((random.below(801) - 400) / 4),
    count: random.below(1000) - 300,
    weight: 1 + random.below(16) / 4,
    day: maybe(new Date(Date.UTC(1965, 0, 1 + random.below(40) * 97)).toISOString().slice(0, 10)),
    moment: maybe(Date.UTC(1969, 11, 30) + random.below(12) * 36_000_123),
  }));
}

const GROUPS = ['group', 'o\'clock "x"', 'flag', 'day', 'moment', 'whole'] as const;
const SPLITS = ['o\'clock "x"', 'flag', 'group'] as const;
const VALUES = ['whole', 'part', 'count', 'weight', 'group', 'day', 'flag', 'moment'] as const;

/** Aggregates whose results both engines agree on; where they differ on NULL, of columns that have none. */
const SHARED = ['count', 'distinct count', 'first', 'last by index', 'unique'] as const;
const NUMERIC = ['sum', 'avg', 'mean', 'sum abs', 'abs sum', 'var', 'stddev'] as const;
const COMPLETE = ['max', 'min', 'high', 'low', 'high minus low', 'last minus first', 'pct sum parent', 'pct sum total'] as const;
/** Shares, which the memory engine takes over all columns of a split, and sorts by what they are shares of. */
const UNSPLIT: readonly string[] = ['pct sum parent', 'pct sum total'];
const NUMBERS = ['whole', 'part', 'count', 'weight'];
const COMPLETE_COLUMNS = ['count', 'weight'];

/** A configuration from a seed, within what both engines define alike. */
export function viewCase(random: Random): ViewConfigUpdate {
  const take = <T extends string>(list: readonly [T, ...T[]], most: number): T[] => [
    ...new Set(Array.from({ length: random.below(most + 1) }, () => random.pick(list))),
  ];
  const group_by = take(GROUPS, 3);
  const split_by = group_by.length === 0 ? [] : take(SPLITS, random.below(2) * 2);
  const columns = [...new Set([random.pick(VALUES), random.pick(VALUES), random.pick(VALUES)])];
  const aggregates =
    group_by.length === 0 ? {} : Object.fromEntries(columns.map((column) => [column, aggregateCase(random, column, split_by.length > 0)]));
  const filter = Array.from({ length: random.below(3) }, () => filterCase(random));
  const isEquality = filter.some(([column, operator]) => column === 'group' && !String(operator).includes('with'));
  const sort =
    random.below(2) === 0
      ? []
      : [
          sortCase(
            random,
            columns.filter((column) => ![...UNSPLIT, 'unique'].includes(String(aggregates[column]))),
          ),
        ];
  const modes = ['rollup', 'rollup', 'flat'] as const;
  return {
    group_by,
    split_by,
    columns,
    aggregates,
    filter,
    // The memory engine compares texts wrongly where one condition of several is enough.
    filter_op: isEquality ? 'and' : random.pick(['and', 'or']),
    sort,
    group_rollup_mode: group_by.length === 0 ? 'rollup' : random.pick(modes),
  };
}

function aggregateCase(random: Random, column: string, isSplit: boolean): string | [string, string[]] {
  if (!NUMBERS.includes(column)) return random.pick(SHARED);
  if (random.below(6) === 0) return ['weighted mean', ['weight']];
  const complete = COMPLETE.filter((name) => !isSplit || !UNSPLIT.includes(name));
  const choices = [...SHARED, ...NUMERIC, ...(COMPLETE_COLUMNS.includes(column) ? complete : [])];
  return choices[random.below(choices.length)] ?? 'sum';
}

function sortCase(random: Random, columns: readonly string[]): [string, 'asc' | 'desc'] {
  return [columns[random.below(columns.length)] ?? 'count', random.pick(['asc', 'desc'])];
}

function filterCase(random: Random): [string, string, string | number | boolean | null | (string | number)[]] {
  const text = random.pick(['a', 'B', 'b|c', "o'x", '10', 'é', 'nothing']);
  return random.pick([
    () => ['count', random.pick(['>', '>=', '<', '<=', '==', '!=']), random.below(600) - 200],
    () => ['part', random.pick(['>', '<=', '!=']), (random.below(400) - 200) / 4],
    () => ['group', random.pick(['==', '!=', '>', '<', 'contains', 'begins with', 'ends with', 'not contains']), text],
    () => ['group', random.pick(['in', 'not in']), [text, 'Z']],
    () => [random.pick(['whole', 'group', 'day', 'flag']), random.pick(['is null', 'is not null']), null],
    () => ['flag', random.pick(['==', '!=']), random.below(2) === 0],
    () => ['day', random.pick(['>', '<=', '==']), '1970-06-01'],
    () => ['moment', random.pick(['>', '<=']), 36_000_123],
  ] as [
    () => [string, string, string | number | boolean | null | (string | number)[]],
    ...(() => [string, string, string | number | boolean | null | (string | number)[]])[],
  ])();
}
