import type { Table } from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTricky, type TrickyTables } from '../support/tricky-tables.ts';

let tricky: TrickyTables;

beforeAll(async () => {
  tricky = await openTricky(5, 60);
});

afterAll(async () => {
  await tricky?.close();
});

/** Functions and operators of ExprTK of which both engines have the same idea. */
const BOTH = [
  'acos("weight"/8)',
  'asin("weight"/8)',
  'atan("part")',
  'avg("weight","count")',
  'ceil("part")',
  'clamp(-2,"part",3)',
  'cos("part")',
  'cosh("weight")',
  'deg2rad("part")',
  'rad2deg("part")',
  'exp("weight")',
  'expm1("weight")',
  'floor("part")',
  'frac("weight")',
  'frac("part")',
  'inrange(-2,"weight",3)',
  'log("weight")',
  'log10("weight")',
  'log1p("weight")',
  'log2("weight")',
  'max("weight","count",2)',
  'min("weight","count",2)',
  'pow("weight",3)',
  'root("weight",3)',
  'round("part")',
  'round("weight")',
  'sin("part")',
  'sinh("weight")',
  'sqrt("weight")',
  'sum("weight","count")',
  'tan("weight")',
  'tanh("weight")',
  'bucket("part",10)',
  'bucket("count",10)',
  `contains("group",'a')`,
  'day_of_week("day")',
  'hour_of_day("later")',
  'month_of_year("day")',
  'float("count")',
  'integer("weight")',
  'boolean("count")',
  'string("count")',
  'is_null("part")',
  'is_not_null("part")',
  `match("group",'[a-c]')`,
  `match_all("group",'[a-z]')`,
  `search("group",'([a-z])')`,
  'percent_of("weight","count")',
  'date(2020,5,7)',
  'abs("part")',
  '"weight"^2',
  '"count"%7',
  '"count">3?1:2',
  'if("count">3,1,2)',
  `if("count">3,'a','b')`,
  'not("count">3)',
  '"count">3 and "weight"<3',
  '"count">3 or "weight"<3',
  '5/0',
  'sqrt(-1)',
  '"part"/"whole"',
  '2 ^ 3 ^ 2',
  '-"weight" ^ 2',
  '-7 % 3',
  'round(-2.5)',
  'integer(-2.5)',
  'pi',
  'acosh("weight" + 1)',
  'asinh("part")',
  'atanh("weight" / 8)',
  'cot("weight")',
  'deg2grad("part")',
  'grad2deg("part")',
  'logn("weight", 3)',
  'sinc("weight")',
  'mul("weight", "count")',
  'mul("weight", "count", 2)',
  '("count" > 3) xor ("weight" < 3)',
  '("count" > 3) nand ("weight" < 3)',
  '("count" > 3) nor ("weight" < 3)',
  '("count" > 3) xnor ("weight" < 3)',
  'var x := "weight"; x * 2',
  'var x := "weight"; var y := x + 1; x * y',
  'var x := "weight" + "count"; -x ^ 2',
  `var t := upper("group"); if (contains(t, 'A'), t, 'other')`,
  'var high := "count" > 100; if (high, 1, 2);',
];

/** What ARCHITECTURE.md lists as different: of what type it is, and what comes of NULL and of letters of several bytes. */
const OWN = [
  [`sgn("count")`, 'integer', 'float'],
  [`trunc("part")`, 'integer', 'float'],
  [`length("group")`, 'float', 'float'],
  [`abs("count")`, 'float', 'float'],
  [`"group" == 'a'`, 'boolean', 'boolean'],
  ['"part" > 0', 'boolean', 'boolean'],
] as const;

/** What only the memory engine has. */
const MISSING = [
  ['erf("weight")', 'erf'],
  ['iclamp(-2, "weight", 3)', 'iclamp'],
  ['random()', 'random'],
  ['today()', 'today'],
  ['var x := 1; x := x + 1; x', ':='],
  ['var v[2]; v[0]', '['],
] as const;

interface Shown {
  readonly type: string | undefined;
  readonly values: unknown[];
}

async function shown(table: Table, expression: string): Promise<Shown> {
  const view = await table.view({ columns: ['made'], expressions: { made: expression } });
  try {
    const [{ made: type }, { made: values = [] }] = [await view.schema(), (await view.to_columns()) as Record<string, unknown[]>];
    return { type: type as string | undefined, values: values.map(rounded) };
  } finally {
    await view.delete();
  }
}

/** The last digits differ by the library; a zero may have a sign. */
const rounded = (value: unknown): unknown => (value === 0 ? 0 : typeof value === 'number' ? Number(value.toPrecision(9)) : value);

test.each(BOTH)('TB18 both engines agree on %s', async (expression) => {
  const [memory, duckdb] = [await shown(tricky.memory.table, expression), await shown(tricky.duckdb.table, expression)];
  expect(duckdb).toEqual(memory);
  expect(duckdb.values).toHaveLength(60);
});

test.each(OWN)('TB18 the engines have ideas of their own of %s', async (expression, memoryType, duckdbType) => {
  const [memory, duckdb] = [await shown(tricky.memory.table, expression), await shown(tricky.duckdb.table, expression)];
  expect([memory.type, duckdb.type]).toEqual([memoryType, duckdbType]);
  expect(duckdb).not.toEqual(memory);
});

test.each(MISSING)('TB18 the duckdb engine names the expression and what it lacks of %s', async (expression, lacks) => {
  const view = tricky.duckdb.table.view({ columns: ['made'], expressions: { made: expression } });
  await expect(view).rejects.toThrow(`the expression "made": `);
  await expect(view).rejects.toThrow(lacks);
});

test('TB18 variables that are made of one another are refused before they are much SQL', async () => {
  const doubled = Array.from({ length: 20 }, (_unused, at) => `var a${at + 1} := a${at} + a${at};`);
  const expression = [`var a0 := "weight";`, ...doubled, 'a20'].join(' ');
  const view = tricky.duckdb.table.view({ columns: ['made'], expressions: { made: expression } });
  await expect(view).rejects.toThrow('is too long with its variables written out');
});
