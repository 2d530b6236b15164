import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareSchemas, widens } from '../../server/services/versioning/schema-comparison.ts';
import type { VersionRecord } from '../../server/storage/stores.ts';

function version(columns: Readonly<Record<string, string>>, rows = 10, key: string[] | null = null): VersionRecord {
  const schema = Object.entries(columns).map(([name, type], index) => ({ columnId: index + 1, name, type, nullable: true }));
  return { schema, rows, key } as VersionRecord;
}

describe('DIFF1 comparing schemas', () => {
  test('DIFF1 added, removed and retyped columns are told apart', () => {
    const comparison = compareSchemas(version({ a: 'INTEGER', b: 'VARCHAR', c: 'DOUBLE' }), version({ a: 'BIGINT', c: 'VARCHAR', d: 'DATE' }));
    expect(comparison.added.map(({ name, compatible }) => [name, compatible])).toEqual([['d', true]]);
    expect(comparison.removed.map(({ name, compatible }) => [name, compatible])).toEqual([['b', false]]);
    expect(comparison.retyped).toEqual([
      { name: 'a', from: 'INTEGER', to: 'BIGINT', compatible: true },
      { name: 'c', from: 'DOUBLE', to: 'VARCHAR', compatible: false },
    ]);
    expect(comparison).toMatchObject({ compatible: false, dataLoss: true });
  });

  test('DIFF1 an equal schema with as many rows is compatible and loses nothing', () => {
    expect(compareSchemas(version({ a: 'INTEGER' }), version({ a: 'INTEGER' }))).toMatchObject({
      added: [],
      removed: [],
      retyped: [],
      reordered: [],
      compatible: true,
      dataLoss: false,
      keyChanged: false,
      rows: { from: 10, to: 10 },
    });
  });

  test('DIFF1 fewer rows are data loss, a column as text is not', () => {
    expect(compareSchemas(version({ a: 'INTEGER' }), version({ a: 'INTEGER' }, 9))).toMatchObject({ compatible: true, dataLoss: true });
    expect(compareSchemas(version({ a: 'INTEGER' }), version({ a: 'VARCHAR' }))).toMatchObject({ compatible: false, dataLoss: false });
    expect(compareSchemas(version({ a: 'DOUBLE' }), version({ a: 'INTEGER' }))).toMatchObject({ compatible: false, dataLoss: true });
  });

  test('DIFF1 only the columns that moved are reordered', () => {
    const comparison = compareSchemas(
      version({ a: 'DATE', b: 'DATE', c: 'DATE', d: 'DATE' }),
      version({ d: 'DATE', a: 'DATE', x: 'DATE', b: 'DATE', c: 'DATE' }),
    );
    expect(comparison.reordered).toEqual([{ name: 'd', from: 3, to: 0, compatible: true }]);
  });

  test('DIFF1 taking the reordered columns away leaves both in the same order', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    fc.assert(
      fc.property(fc.shuffledSubarray(names), fc.shuffledSubarray(names), (before, after) => {
        const toVersion = (columns: string[]): VersionRecord => version(Object.fromEntries(columns.map((name) => [name, 'DATE'])));
        const moved = new Set(compareSchemas(toVersion(before), toVersion(after)).reordered.map(({ name }) => name));
        const rest = (columns: string[], others: string[]): string[] => columns.filter((name) => others.includes(name) && !moved.has(name));
        expect(rest(before, after)).toEqual(rest(after, before));
      }),
    );
  });

  test('DIFF1 a change of the key is reported', () => {
    expect(compareSchemas(version({ a: 'DATE' }, 1, ['a']), version({ a: 'DATE' }, 1, null)).keyChanged).toBe(true);
  });
});

test.each([
  ['INTEGER', 'BIGINT', true],
  ['BIGINT', 'INTEGER', false],
  ['BIGINT', 'DOUBLE', false],
  ['INTEGER', 'DECIMAL(12,2)', true],
  ['INTEGER', 'DECIMAL(10,2)', false],
  ['DECIMAL(10,2)', 'DECIMAL(12,2)', true],
  ['DECIMAL(10,2)', 'DECIMAL(12,5)', false],
  ['DATE', 'TIMESTAMP', true],
  ['TIMESTAMP', 'DATE', false],
  ['UINTEGER', 'BIGINT', true],
])('DIFF1 every value of %s fits into %s: %j', (from, to, expected) => {
  expect(widens(from, to)).toBe(expected);
});
