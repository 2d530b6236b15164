import type { Table, ViewConfigUpdate } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tableId } from '../../protocol/ids.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import { openTestContent, type TestContent } from '../support/content.ts';
import { contentOf, openWorkshop, type ParquetWorkshop } from '../support/parquet.ts';
import { duckdbEngine, type EngineUnderTest, type GuardedTable, memoryEngine, openGuarded } from '../support/table-engines.ts';
import { withView } from '../support/with-view.ts';

/** Numbers at the ends of their types, numbers that are none, and columns named as what every object of JavaScript has. */
const COLUMNS = [
  { name: 'id', type: 'INTEGER' },
  { name: 'tiny', type: 'TINYINT' },
  { name: 'utiny', type: 'UTINYINT' },
  { name: 'big', type: 'BIGINT' },
  { name: 'ubig', type: 'UBIGINT' },
  { name: 'wide', type: 'DECIMAL(38,0)' },
  { name: 'money', type: 'DECIMAL(18,2)' },
  { name: 'real', type: 'DOUBLE' },
  { name: 'toString', type: 'INTEGER' },
  { name: 'constructor', type: 'VARCHAR' },
  { name: 'single', type: 'FLOAT' },
  { name: 'fraction', type: 'DECIMAL(38,38)' },
] as const;

const SELECT = `SELECT * FROM (VALUES
  (1, -128, 255, -9223372036854775808, 18446744073709551615, 99999999999999999999999999999999999999, 1234567890123456.78, CAST(5.5 AS DOUBLE), 1, 'a', CAST(0.1 AS FLOAT), '0.1'),
  (2, 127, 7, 9223372036854775807, 2, 99999999999999999999999999999999999999, 1234567890123456.79, 'nan', 2, 'b', 16777216, '0.2'),
  (3, 5, 0, 9007199254740993, 1, 1, 0.10, 3.25, 3, 'a', -0.1, '0.99999999999999999999999999999999999999'),
  (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 4, 'b', NULL, NULL),
  (5, -1, 1, -1, 1, 1, -5, 'inf', 5, 'a', 'inf', '0.99999999999999999999999999999999999999'),
  (6, 0, 0, 0, 0, 0, 7, 'nan', 6, 'b', 3.25, '0')
) AS rows(${COLUMNS.map(({ name }) => `"${name}"`).join(', ')})`;

let workshop: ParquetWorkshop;
let content: TestContent;
let engine: EngineUnderTest;
let memory: ReturnType<typeof memoryEngine>;
let tables: { readonly duckdb: GuardedTable; readonly memory: GuardedTable };

beforeAll(async () => {
  workshop = await openWorkshop();
  const casts = COLUMNS.map(({ name, type }) => `CAST("${name}" AS ${type}) AS "${name}"`).join(', ');
  const file = await workshop.file(`SELECT ${casts} FROM (${SELECT})`, COLUMNS);
  const source = { source: { content: contentOf(COLUMNS, [file]), scope: UNRESTRICTED }, columns: null, rowLimit: null };
  content = await openTestContent({}, { readable: [workshop.directory] });
  engine = await duckdbEngine([workshop.directory]);
  memory = memoryEngine(content.store);
  const id = tableId.parse('dataset_1_v1_0123456789abcdef0123456789abcdef');
  tables = { duckdb: await openGuarded(engine.engine, id, source), memory: await openGuarded(memory, id, source) };
});

afterAll(async () => {
  await Promise.all(Object.values(tables ?? {}).map((table) => table.close()));
  await engine?.close();
  await memory?.close();
  await content?.close();
  await workshop?.close();
});

const idsOf = (table: Table, config: ViewConfigUpdate): Promise<unknown> =>
  withView(table, { columns: ['id'], ...config }, async (view) => ((await view.to_columns()) as { id: unknown }).id);

/** The digits of the total of one column. */
const totalOf = async (column: string, aggregate: string): Promise<string | undefined> =>
  (
    await withView(
      tables.duckdb.table,
      { columns: [column], group_rollup_mode: 'total', aggregates: { [column]: aggregate } } as ViewConfigUpdate,
      (view) => view.to_csv(),
    )
  ).split('\n')[1];

test('TB18 aggregates of integers at the ends of their type are the numbers that they are', async () => {
  expect(await totalOf('tiny', 'sum abs')).toBe('261');
  expect(await totalOf('tiny', 'high minus low')).toBe('255');
  expect(await totalOf('utiny', 'last minus first')).toBe('-255');
  expect(await totalOf('big', 'sum abs')).toBe('18455751272964292609');
  expect(await totalOf('big', 'high minus low')).toBe('18446744073709551615');
  expect(await totalOf('ubig', 'last minus first')).toBe('-18446744073709551615');
  const grouped = { group_by: ['constructor'], columns: ['tiny'], aggregates: { tiny: 'high minus low' } } as ViewConfigUpdate;
  expect(await withView(tables.duckdb.table, grouped, (view) => view.to_columns())).toMatchObject({ tiny: [255, 133, 127] });
});

test('TB18 sums of more than 64 bits and of decimals have all of their digits in JSON', async () => {
  const grouped = { group_by: ['constructor'], columns: ['big', 'money'], aggregates: { big: 'sum', money: 'sum' } } as ViewConfigUpdate;
  expect(await withView(tables.duckdb.table, grouped, (view) => view.to_columns_string())).toBe(
    '{"__ROW_PATH__":[[],["a"],["b"]],"big":[9007199254740991,-9214364837600034816,9223372036854775807],' +
      '"money":[2469135780246915.67,1234567890123451.88,1234567890123463.79]}',
  );
});

test('TB18 a split without a group has NULL, NaN and infinity each in its own column', async () => {
  const split = { columns: ['id'], split_by: ['real'] } as ViewConfigUpdate;
  const columns = (await withView(tables.duckdb.table, split, (view) => view.to_columns())) as Record<string, (number | null)[]>;
  const present = Object.entries(columns).map(([name, ids]) => [name, ids.filter((id) => id !== null)]);
  expect(Object.fromEntries(present)).toEqual({ '3.25|id': [3], '5.5|id': [1], 'Infinity|id': [5], 'NaN|id': [2, 6], 'null|id': [4] });
});

test('TB18 a view of which a number has more digits than its type holds says so', async () => {
  const view = { columns: ['wide'], group_rollup_mode: 'total', aggregates: { wide: 'sum' } } as ViewConfigUpdate;
  await expect(withView(tables.duckdb.table, view, (made) => made.to_csv())).rejects.toThrow('more digits than its type holds');
});

test('TB18 a filter compares every digit of numbers that are given as texts', async () => {
  for (const [column, operator, value, ids] of [
    ['big', '==', '9007199254740993', [3]],
    ['big', '>', '9007199254740992', [2, 3]],
    ['ubig', '==', '18446744073709551615', [1]],
    ['wide', '<', '99999999999999999999999999999999999999', [3, 5, 6]],
    ['money', '==', '1234567890123456.78', [1]],
    ['money', '<=', '100000000000000000000', [1, 2, 3, 5, 6]],
    ['money', '>', '1234567890123456.775', [1, 2]],
    ['big', '==', '9007199254740993.5', []],
    ['big', '>', '9007199254740993.5', [2]],
    ['ubig', '<', '18446744073709551614.5', [2, 3, 5, 6]],
    ['big', 'in', ['9007199254740992', 0.5], []],
    ['big', 'in', ['9007199254740993', 0.5, -1], [3, 5]],
    ['big', 'not in', ['9007199254740992', 0.5, '-1'], [1, 2, 3, 4, 6]],
    ['money', 'in', ['1234567890123456.78', 1e-9, '0.100'], [1, 3]],
    ['money', 'not in', ['1234567890123456.78', 1e-9], [2, 3, 4, 5, 6]],
  ] as const) {
    const config = { filter: [[column, operator, value]] } as unknown as ViewConfigUpdate;
    expect(await idsOf(tables.duckdb.table, config), column).toEqual(ids);
  }
});

test('TB18 a filter of numbers of 32 bits compares with the one that is next to its value, as the memory engine does', async () => {
  for (const [operator, value, ids] of [
    ['==', 0.1, [1]],
    ['!=', 0.1, [2, 3, 4, 5, 6]],
    ['>', 0.1, [2, 5, 6]],
    ['>=', 0.1, [1, 2, 5, 6]],
    ['<', 0.1, [3]],
    ['<=', 0.1, [1, 3]],
    ['==', 16_777_217, [2]],
    ['==', 3.25, [6]],
  ] as const) {
    const config = { filter: [['single', operator, value]] } as unknown as ViewConfigUpdate;
    for (const [name, { table }] of Object.entries(tables)) expect(await idsOf(table, config), `${name}: ${operator} ${value}`).toEqual(ids);
  }
  for (const [operator, value, ids] of [
    ['in', [0.1, 7, 1e300], [1]],
    ['not in', [0.1, 3.25, 1e300], [2, 3, 4, 5]],
    ['==', '0.1', [1]],
    ['>', 1e300, [5]],
  ] as const) {
    const config = { filter: [['single', operator, value]] } as unknown as ViewConfigUpdate;
    expect(await idsOf(tables.duckdb.table, config), `${operator} ${JSON.stringify(value)}`).toEqual(ids);
  }
});

test('TB18 differences, medians and absolute sums of floats of 32 bits are the same in both engines, and a median of decimals has every digit', async () => {
  const of = (table: Table, column: string, aggregate: string, below: number): Promise<string> => {
    const config = { columns: [column], group_rollup_mode: 'total', aggregates: { [column]: aggregate }, filter: [['id', '<', below]] };
    return withView(table, config as ViewConfigUpdate, async (view) => (await view.to_csv()).split('\n')[1] ?? '');
  };
  for (const [aggregate, expected] of [
    ['high minus low', 16_777_216.1],
    ['last minus first', -0.2],
    ['sum abs', 16_777_216.2],
    ['median', 0.1],
    ['q3', 16_777_216],
  ] as const) {
    for (const [name, { table }] of Object.entries(tables)) {
      expect(Number(await of(table, 'single', aggregate, 4)), `${name}: ${aggregate}`).toBeCloseTo(expected, 6);
    }
  }
  expect(await of(tables.duckdb.table, 'money', 'median', 3)).toBe('1234567890123456.785');
});

test('TB18 medians of decimals of 38 digits are floats, as in the memory engine: the mean of two has no place among decimals', async () => {
  for (const [column, first, last, expected] of [
    ['wide', 5, 6, 0.5],
    ['wide', 1, 2, 1e38],
    ['wide', 1, 3, 1e38],
    ['fraction', 1, 2, 0.15],
    ['fraction', 1, 3, 0.2],
    ['fraction', 3, 3, 1],
    ['fraction', 5, 6, 0.5],
  ] as const) {
    const filter = [
      ['id', '>=', first],
      ['id', '<=', last],
    ];
    const config = { columns: [column], group_rollup_mode: 'total', aggregates: { [column]: 'median' }, filter } as ViewConfigUpdate;
    for (const [name, { table }] of Object.entries(tables)) {
      const csv = await withView(table, config, (view) => view.to_csv());
      expect(Number(csv.split('\n')[1]) / expected, `${name}: ${column} from ${first} to ${last}`).toBeCloseTo(1, 9);
    }
  }
});

test('TB18 rows are sorted by distance from 0 also where the least integer of a type has one that the type does not hold', async () => {
  for (const column of ['tiny', 'big']) {
    const config = { sort: [[column, 'asc abs']] } as ViewConfigUpdate;
    expect(await idsOf(tables.duckdb.table, config), column).toEqual([4, 6, 5, 3, 2, 1]);
  }
});

test('TB18 what is no number is less than all, equals nothing and is greater than nothing', async () => {
  for (const config of [
    { sort: [['real', 'asc']] },
    { sort: [['real', 'desc']] },
    { filter: [['real', '>', 1]] },
    { filter: [['real', '>=', 5.5]] },
    { filter: [['real', '<', 5]] },
    { filter: [['real', '!=', 5.5]] },
    { filter: [['real', '==', 5.5]] },
  ] as ViewConfigUpdate[]) {
    expect(await idsOf(tables.duckdb.table, config), JSON.stringify(config)).toEqual(await idsOf(tables.memory.table, config));
  }
  const csv = (table: Table) => withView(table, { columns: ['real'] }, (view) => view.to_csv());
  expect(await csv(tables.duckdb.table)).toBe('"real"\n5.5\nnan\n3.25\n\ninf\nnan\n');
  expect(await csv(tables.memory.table)).toBe(await csv(tables.duckdb.table));
  for (const aggregate of ['stddev', 'var']) expect(await totalOf('real', aggregate)).toBe('nan');
});

test('TB18 expressions of ExprTK count with floats, beyond the types of integers', async () => {
  for (const source of ['"tiny" + "tiny"', '"utiny" - "ubig"', '- ("tiny")', '-"tiny" * "tiny"', 'sum("tiny", "utiny")', '("utiny") - 7', '"big"']) {
    const config = { expressions: { made: source }, columns: ['made'], filter: [['id', '>', 1]] } as ViewConfigUpdate;
    const read = (table: Table) => withView(table, config, async (view) => JSON.stringify(await view.to_columns()));
    expect(await read(tables.duckdb.table), source).toEqual(await read(tables.memory.table));
  }
});

test('TB18 a column may be named as what every object of JavaScript has', async () => {
  const config = { group_by: ['constructor'], columns: ['toString'], sort: [['toString', 'desc']] } as ViewConfigUpdate;
  for (const { table } of [tables.duckdb, tables.memory]) {
    expect(await withView(table, config, (view) => view.to_columns())).toEqual({ __ROW_PATH__: [[], ['b'], ['a']], toString: [21, 12, 9] });
  }
});

test('TB18 the most frequent value is the same in both engines where one is more frequent, and any value is one of the group', async () => {
  // Of a: 1, 3, 1; of b: 2, 0, 2.
  const made = { expressions: { made: '"id" % 4' }, group_by: ['constructor'], group_rollup_mode: 'flat', columns: ['made'] };
  const of = (table: Table, aggregate: string): Promise<Record<string, unknown>> =>
    withView(
      table,
      { ...made, aggregates: { made: aggregate } } as ViewConfigUpdate,
      async (view) => (await view.to_columns()) as Record<string, unknown>,
    );
  for (const { table } of [tables.duckdb, tables.memory]) {
    expect(await of(table, 'dominant')).toEqual({ __ROW_PATH__: [['a'], ['b']], made: [1, 2] });
    const { made: taken } = await of(table, 'any');
    expect(taken).toEqual([expect.toBeOneOf([1, 3]), expect.toBeOneOf([0, 2])]);
  }
});
