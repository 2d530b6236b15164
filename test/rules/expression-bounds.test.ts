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
