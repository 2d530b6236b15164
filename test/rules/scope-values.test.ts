import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../protocol/limits.ts';
import { type BoundFilter, bindFilter } from '../../server/services/access/filter-values.ts';
import type { FilterParameter } from '../../server/storage/stores.ts';

const limits = { ...defaultLimits, filterClaimValuesMax: 3 };

function bind(parameter: Partial<FilterParameter>, claims: Record<string, unknown>): BoundFilter {
  const filter = { pieces: ['(c = ', ')'], parameters: [{ claim: 'v', type: 'VARCHAR', isListItem: false, ...parameter }], columns: [] };
  return bindFilter(filter, { claims, today: '2026-01-31' }, limits);
}

const valuesOf = (type: string, v: unknown): readonly string[] | string => {
  const bound = bind({ type }, { v });
  return 'condition' in bound ? bound.condition.values : bound.problem;
};

describe('claims', () => {
  test('SCOPE6 a claim is bound as a value of the type that its place asks for', () => {
    expect(bind({}, { v: 'EU' })).toEqual({ condition: { sql: '(c = CAST(? AS VARCHAR))', values: ['EU'], columns: [] } });
    expect(bind({ type: 'INTEGER' }, { v: 5 })).toEqual({ condition: { sql: '(c = CAST(? AS INTEGER))', values: ['5'], columns: [] } });
  });

  test('SCOPE6 a claim that is missing denies, and what every object has is not a claim', () => {
    expect(bind({}, {})).toEqual({ claim: 'v', problem: 'missing' });
    expect(bind({}, { v: null })).toEqual({ claim: 'v', problem: 'missing' });
    expect(bind({ claim: 'constructor' }, {})).toEqual({ claim: 'constructor', problem: 'missing' });
    expect(bind({ claim: '__proto__' }, {})).toEqual({ claim: '__proto__', problem: 'missing' });
  });

  test('SCOPE6 in a list an array stands for all its items, and elsewhere for nothing', () => {
    expect(bind({ isListItem: true }, { v: ['a', 'b'] })).toMatchObject({
      condition: { sql: '(c = CAST(? AS VARCHAR), CAST(? AS VARCHAR))', values: ['a', 'b'] },
    });
    expect(bind({ isListItem: true }, { v: 'a' })).toMatchObject({ condition: { values: ['a'] } });
    expect(bind({}, { v: ['a'] })).toMatchObject({ problem: 'unusable' });
  });

  test('SCOPE6 an array that is empty, too long or of other things denies', () => {
    for (const v of [[], ['a', 'b', 'c', 'd'], ['a', null], [['a']], [{}]])
      expect(bind({ isListItem: true }, { v })).toMatchObject({ problem: 'unusable' });
  });

  test('SCOPE6 the current date needs no claim', () => {
    expect(bind({ claim: null, type: 'DATE' }, {})).toMatchObject({ condition: { values: ['2026-01-31'] } });
  });
});

describe('types', () => {
  test.each([
    ['VARCHAR', 'x', ['x']],
    ['VARCHAR', '', ['']],
    ['VARCHAR', 42, ['42']],
    ['BOOLEAN', true, ['true']],
    ['BOOLEAN', 'false', ['false']],
    ['TINYINT', -128, ['-128']],
    ['UBIGINT', '18446744073709551615', ['18446744073709551615']],
    ['BIGINT', '-9223372036854775808', ['-9223372036854775808']],
    ['HUGEINT', '170141183460469231731687303715884105727', ['170141183460469231731687303715884105727']],
    ['DOUBLE', 1.5, ['1.5']],
    ['FLOAT', '-2e10', ['-2e10']],
    ['DECIMAL(5,2)', '-123.45', ['-123.45']],
    ['DECIMAL(5,2)', '000123.4500', ['000123.4500']],
    ['DATE', '2024-02-29', ['2024-02-29']],
    ['TIMESTAMP', '2024-02-29', ['2024-02-29T00:00:00.000Z']],
    ['TIMESTAMP WITH TIME ZONE', '2024-02-29T12:00:00+02:00', ['2024-02-29T10:00:00.000Z']],
    ['UUID', '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', ['5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e']],
  ])('SCOPE6 %s takes %j', (type, value, expected) => {
    expect(valuesOf(type, value)).toEqual(expected);
  });

  test.each([
    ['VARCHAR', true],
    ['VARCHAR', 1.5],
    ['VARCHAR', { a: 1 }],
    ['VARCHAR', 'half \ud800 a pair'],
    ['VARCHAR', 'nul \0'],
    ['BOOLEAN', 1],
    ['BOOLEAN', 'yes'],
    ['TINYINT', 128],
    ['UINTEGER', -1],
    ['INTEGER', 1.5],
    ['INTEGER', '5x'],
    ['INTEGER', ''],
    ['BIGINT', '9223372036854775808'],
    ['BIGINT', 1e21],
    ['DOUBLE', 'NaN'],
    ['DOUBLE', 'Infinity'],
    ['DOUBLE', '1e999'],
    ['DECIMAL(5,2)', '1234.5'],
    ['DECIMAL(5,2)', '1.234'],
    ['DECIMAL(5,2)', '.5'],
    ['DATE', '2023-02-29'],
    ['DATE', '2023-2-1'],
    ['DATE', 'infinity'],
    ['TIMESTAMP', '2023-01-01 10:00'],
    ['TIMESTAMP', '2023-01-01T25:00:00Z'],
    ['UUID', 'x'],
    ['INTERVAL', '1 day'],
  ])('SCOPE6 %s denies %j', (type, value) => {
    expect(valuesOf(type, value)).toBe('unusable');
  });
});
