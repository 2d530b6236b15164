import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { checkExpression } from '../../server/services/tables/expression-check.ts';
import { translateExprtk } from '../../server/workers/duckdb-tables/exprtk.ts';

const COLUMNS = ['name', 'n'];
const refusal = (expression: string): string | undefined => checkExpression(expression, COLUMNS, defaultLimits);
const translated = (expression: string): string =>
  translateExprtk(expression, { isInteger: (name) => name === 'n', textGrowthMax: defaultLimits.viewTextGrowthMax }).sql;

const nested = (times: number, inner: string, [before, after]: readonly [string, string]): string =>
  before.repeat(times) + inner + after.repeat(times);

const REPLACED = ['replace_all(', ", 'a', 'aaaaaaaaaaaaaaaaaaaa')"] as const;

describe('expressions of the memory engine', () => {
  test.each([
    'var v[3]; v[0] := 1; v[0]',
    'var v[] := { 1, 2 }; v[1]',
    `var a := concat("name", ' ', "name"); var b := concat(a, ', ', upper("name")); b`,
    `concat(${'"name", '.repeat(200)}'x')`,
    `replace_all(replace_all("name", ',', '.'), '[ab]', 'c')`,
    `replace("name", '(a+)', '<\\1>')`,
  ])('TB3 what makes no more than it may passes: %s', (expression) => {
    expect(refusal(expression)).toBeUndefined();
  });

  test.each<readonly [string, RegExp]>([
    ['var v[200000000]; 1', /at most 1000/],
    ['var v[10 * 1000]; 1', /at most 1000/],
    ['VAR v [1e9]; 1', /at most 1000/],
    [`var x := "name"; ${'x := concat(x, x); '.repeat(40)} length(x)`, /1000 times as long/],
    [nested(4, '"name"', REPLACED), /1000 times as long/],
    [`replace("name", '(.*)', '${'\\1'.repeat(1_000)}')`, /1000 times as long/],
    [`replace_all("name", '', "name")`, /is a text in single quotes/],
    [`replace_all("name", '', concat('a', 'b'))`, /is a text in single quotes/],
  ])('TB3 what makes much of little is refused: %s', (expression, said) => {
    expect(refusal(expression)).toMatch(said);
  });
});

const IF = ['if ("n" > 1, 2, ', ')'] as const;
const EVERY_OPERATOR = ['"n" or "n" and "n" < "n" + "n" * "n" ^ (', ')'] as const;

describe('the stack of the memory engine', () => {
  test.each([
    nested(25, '1', ['(', ')']),
    nested(12, '"n"', ['abs(1 + ', ')']),
    nested(15, '3', IF),
    `${'"n" > 1 ? 2 : '.repeat(25)}3`,
    `${'if ("n" > 1) 2; else '.repeat(60)}3;`,
    `${'"n" - -1 * '.repeat(400)}1`,
    `${'"n" ^ 2 * 3 + '.repeat(300)}1`,
    `switch { ${'case "n" > 1: 2; '.repeat(200)} default: 3; }`,
  ])('TB3 holds an expression of some depth or length: %s', (expression) => {
    expect(refusal(expression)).toBeUndefined();
  });

  test.each([
    nested(60, '1', ['(', ')']),
    nested(40, '"n"', ['abs(', ')']),
    nested(30, '1', ['1 + (', ')']),
    nested(10, '1', EVERY_OPERATOR),
    nested(25, '1', ['1 * -(', ')']),
    nested(40, '3', IF),
    nested(40, '2;', ['if ("n" > 1) {', '}']),
    nested(35, '0', ['v[', ']']).replace('v', 'var v[3]; v'),
    `var x := 1; ${'x := '.repeat(60)}1`,
    `var x := 1; ${'x += '.repeat(60)}1`,
    `${'1 ^ '.repeat(60)}1`,
    `${'"n" > 1 ? 2 : '.repeat(60)}3`,
    `${'if ("n" > 1) 2; else '.repeat(250)}3;`,
  ])('TB3 does not hold %s', (expression) => {
    expect(refusal(expression)).toBe('is nested too deeply');
  });

  test('TB3 does not hold a chain of thousands of operators, nor brackets that nobody closes', () => {
    expect(refusal(`var x := 1; ${'x+'.repeat(4_000)}x`)).toMatch(/more than 1500 operators/);
    expect(refusal('('.repeat(5_000))).toBe('is nested too deeply');
    expect(refusal(')'.repeat(5_000))).toBeUndefined();
  });
});

describe('expressions of the duckdb engine', () => {
  test.each([
    nested(2, '"name"', REPLACED),
    nested(5, '"n"', ['frac(', ')']),
    `bucket(bucket("n", '2M'), '6M')`,
    `concat(${'"name", '.repeat(60)}'x')`,
  ])('TB3 what makes no more than it may passes: %s', (expression) => {
    expect(translated(expression)).toContain('"n');
  });

  test.each<readonly [string, RegExp]>([
    [nested(3, '"name"', REPLACED), /1000 times as long/],
    [`replace_all("name", '', "name")`, /is a text in single quotes/],
    [nested(40, '"n"', ['frac(', ')']), /is too long/],
    [nested(40, '"n"', ['bucket(', `, '2M')`]), /is too long/],
    [nested(40, '"n"', ['inrange(0, ', ', 1)']), /is too long/],
  ])('TB3 what makes much of little is refused: %s', (expression, said) => {
    expect(() => translated(expression)).toThrow(said);
  });
});
