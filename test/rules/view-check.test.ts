import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { exprtkForEngine } from '../../server/services/tables/exprtk-dialect.ts';
import type { CheckedTable } from '../../server/services/tables/named-columns.ts';
import { checkConfig, checkExpressions } from '../../server/services/tables/view-check.ts';
import type { WireViewConfig, WireWindow } from '../../server/shared/perspective/types.ts';
import { DUCKDB_FEATURES } from '../../server/workers/duckdb-tables/features.ts';

const schema: CheckedTable['table']['schema'] = new Map([
  ['n', 'integer'],
  ['text', 'string'],
  ['day', 'date'],
]);
const checked = { table: { schema, features: DUCKDB_FEATURES }, dialect: 'exprtk', limits: defaultLimits } as const;
const NOTHING: WireViewConfig = {
  ...{ group_by: [], split_by: [], columns: null, filter: [], sort: [], expressions: {}, aggregates: {}, filter_op: 'and', windows: {} },
};

const window = (more: Partial<WireWindow>): WireWindow => ({ source: 'n', op: 'sum', partition_by: [], order_by: null, ...more });
const withWindow = (more: Partial<WireWindow>): WireViewConfig => ({
  ...NOTHING,
  expressions: { e: '"n" + 1', toString: '1' },
  windows: { w: window(more) },
});

describe('windows', () => {
  test('TB3 those that an engine offers for the type pass, and a view without columns has theirs', () => {
    const { columns } = checkConfig(withWindow({ order_by: { column: 'day', desc: true }, range: 3, partition_by: ['text'] }), checked);
    expect(columns?.columns?.columns).toEqual(['n', 'text', 'day', 'e', 'toString', 'w']);
    for (const more of [{ rows: 0 }, { cumulative: 'null' }, { op: 'ema', alpha: 1 }, { op: 'lag', offset: 0 }, { source: 'e' }] as const) {
      expect(() => checkConfig(withWindow(more), checked)).not.toThrow();
    }
  });

  test.each<[Partial<WireWindow>, RegExp]>([
    [{ source: 'nope' }, /does not exist: "nope"/],
    [{ source: 'text' }, /there is no "sum" for a column of type string/],
    [{ op: 'nope' }, /there is no "nope"/],
    [{ partition_by: ['e'] }, /columns of the table/],
    [{ order_by: { column: 'toString', desc: false } }, /columns of the table/],
    [{ range: 1 }, /a range needs order_by/],
    [{ range: 1, order_by: { column: 'text', desc: false } }, /a range needs order_by/],
    [{ range: -1, order_by: { column: 'n', desc: false } }, /a range is a number above 0/],
    [{ range: Number.POSITIVE_INFINITY, order_by: { column: 'n', desc: false } }, /a range is a number above 0/],
    [{ op: 'lag', rows: 1 }, /lag takes no frame rows/],
    [{ op: 'rate' }, /rate needs a frame range/],
    [{ op: 'ema' }, /needs an alpha/],
    [{ op: 'ema', alpha: 1.5 }, /needs an alpha/],
  ])('TB3 what does not fit is said: %j', (more, said) => {
    expect(() => checkConfig(withWindow(more), checked)).toThrow(said);
  });
});

test('TB3 names of expressions and of windows are as long as those of columns at most', () => {
  const [longest, longer] = [defaultLimits.columnNameCharsMax, defaultLimits.columnNameCharsMax + 1].map((length) => 'n'.repeat(length)) as [
    string,
    string,
  ];
  expect(() => checkConfig({ ...NOTHING, expressions: { [longest]: '1' } }, checked)).not.toThrow();
  expect(() => checkConfig({ ...NOTHING, windows: { [longest]: window({ rows: 0 }) } }, checked)).not.toThrow();
  const said = 'has 1001 characters; at most 1000 are allowed';
  expect(() => checkConfig({ ...NOTHING, expressions: { [longer]: '1' } }, checked)).toThrow(`the name of an expression ${said}`);
  expect(() => checkConfig({ ...NOTHING, windows: { [longer]: window({}) } }, checked)).toThrow(`the name of a window ${said}`);
  expect([...checkExpressions({ [longest]: '1', [longer]: '1' }, checked)]).toEqual([[longer, `the name of an expression ${said}`]]);
});

describe('filters', () => {
  const filtered =
    (column: string, op: string, value: WireViewConfig['filter'][number]['value'], dialect: 'exprtk' | 'sql' = 'exprtk') =>
    () =>
      checkConfig({ ...NOTHING, filter: [{ column, op, value }] }, { ...checked, dialect });

  test('TB3 a filter has the values that its operator takes', () => {
    for (const value of [[], [{ float: 1 }, { float: 2 }]]) expect(filtered('n', '==', value)).toThrow('takes one value');
    expect(filtered('n', 'is null', [{ float: 1 }, { float: 2 }])).toThrow('takes one value');
    expect(filtered('n', 'is null', [])).not.toThrow();
    expect(filtered('n', '==', [{ null: 'null' }])).not.toThrow();
    expect(filtered('n', 'in', [])).not.toThrow();
  });

  test('TB18 where numbers keep every digit, a filter may have more of them than a double', () => {
    expect(filtered('n', '==', [{ string: '9007199254740993' }], 'sql')).not.toThrow();
    expect(filtered('n', '>', [{ string: '-1234567890123456.78' }], 'sql')).not.toThrow();
    for (const text of ['ten', '1e3', '', '1 OR 1=1']) expect(filtered('n', '==', [{ string: text }], 'sql')).toThrow('a value of another type');
    expect(filtered('n', '==', [{ string: '1' }])).toThrow('a value of another type');
  });
});

test.each([
  [`bucket("day", 'Q')`, `bucket("day", '3M')`],
  [`Bucket ( if (true, "day", "day") , 'Q' )`, `Bucket ( if (true, "day", "day") , '3M' )`],
  [`concat('Q', string(bucket("a, 'Q')", 'Q')))`, `concat('Q', string(bucket("a, 'Q')", '3M')))`],
  [`my_bucket("day", 'Q')`, `my_bucket("day", 'Q')`],
  [`// bucket(x, 'Q')\n'Q'`, `// bucket(x, 'Q')\n'Q'`],
])('TB18 a quarter is three months for the engine that has none: %s', (given, taken) => {
  expect(exprtkForEngine(given)).toBe(taken);
});
