import { describe, expect, test } from 'vitest';
import type { CovistaError } from '../../protocol/errors.ts';
import {
  isUnrestricted,
  type RowCondition,
  type ScopePart,
  scopeIdentity,
  showsAllRows,
  UNRESTRICTED,
  visibleParts,
  visibleSchema,
} from '../../server/storage/content-store.ts';
import type { Column } from '../../server/storage/stores.ts';

const column = (columnId: number, name: string, type = 'VARCHAR'): Column => ({ columnId, name, type, nullable: false });
const SCHEMA = [column(1, 'id', 'BIGINT'), column(2, 'name'), column(3, 'salary', 'DOUBLE')];

const rows = (sql: string, ...names: string[]): RowCondition => ({
  sql,
  values: [],
  columns: SCHEMA.filter(({ name }) => names.includes(name)).map(({ name, type }) => ({ name, type })),
});
const part = (condition: RowCondition | null, ...hidden: string[]): ScopePart => ({
  rows: condition,
  mask: hidden.length === 0 ? null : { hidden, columnIdsBelow: 4 },
});
const namesOf = (schema: readonly Column[], ...parts: ScopePart[]): string[] => visibleSchema(schema, { parts }).map(({ name }) => name);
const refused = (reason: string) => expect.objectContaining({ code: 'forbidden', details: { reason } }) as CovistaError;

describe('masks', () => {
  test('SCOPE2 a column is there if any grant shows it', () => {
    expect(namesOf(SCHEMA, part(null, 'salary'))).toEqual(['id', 'name']);
    expect(namesOf(SCHEMA, part(null, 'salary'), part(rows('id = 1', 'id'), 'name'))).toEqual(['id', 'name', 'salary']);
  });

  test('SCOPE2 a column that is hidden in some rows is nullable, one that is not stays as it is', () => {
    const schema = visibleSchema(SCHEMA, { parts: [part(null, 'salary'), part(rows('id = 1', 'id'))] });
    expect(schema.map(({ nullable }) => nullable)).toEqual([false, false, true]);
  });

  test('SCOPE3 columns that came after the grant are hidden, be it under an old name', () => {
    expect(namesOf([...SCHEMA, column(4, 'bonus')], part(null, 'salary'))).toEqual(['id', 'name']);
    expect(namesOf([column(1, 'id', 'BIGINT'), column(7, 'name')], part(null, 'salary'))).toEqual(['id']);
    expect(namesOf([...SCHEMA, column(4, 'bonus')], part(rows('id = 1', 'id')))).toEqual(['id', 'name', 'salary', 'bonus']);
  });

  test('SCOPE3 a mask hides a column however it is spelled', () => {
    expect(namesOf([column(1, 'id'), column(2, 'SALARY')], part(null, 'salary'))).toEqual(['id']);
  });

  test('SCOPE7 where no column is visible, nothing is', () => {
    expect(() => namesOf(SCHEMA, part(null, 'id', 'name', 'salary'))).toThrow(refused('column_mask'));
    expect(() => namesOf([column(9, 'other')], part(null, 'salary'))).toThrow(refused('column_mask'));
  });
});

describe('filters', () => {
  const filtered = part(rows('salary < 10', 'salary'));

  test('SCOPE7 a filter holds where its columns are of the same kind, and shows nothing elsewhere', () => {
    expect(namesOf([column(1, 'id'), column(2, 'salary', 'DECIMAL(10,2)')], filtered)).toEqual(['id', 'salary']);
    expect(() => namesOf([column(1, 'id')], filtered)).toThrow(refused('row_filter'));
    expect(() => namesOf([column(1, 'id'), column(3, 'salary', 'VARCHAR')], filtered)).toThrow(refused('row_filter'));
    expect(() => namesOf([column(1, 'id'), column(3, 'Salary', 'DOUBLE')], filtered)).toThrow(refused('row_filter'));
  });

  test('SCOPE7 a date and a timestamp are not of the same kind, timestamps of any precision are', () => {
    const since = (type: string): ScopePart => part({ sql: 'at > ?', values: ['2020-01-01'], columns: [{ name: 'at', type }] });
    expect(() => namesOf([column(1, 'at', 'TIMESTAMP')], since('DATE'))).toThrow(refused('row_filter'));
    expect(() => namesOf([column(1, 'at', 'TIMESTAMP WITH TIME ZONE')], since('TIMESTAMP'))).toThrow(refused('row_filter'));
    expect(namesOf([column(1, 'at', 'TIMESTAMP_NS')], since('TIMESTAMP'))).toEqual(['at']);
  });

  test('SCOPE7 a grant that does not fit takes nothing from one that does', () => {
    expect(namesOf([column(1, 'id'), column(2, 'name')], filtered, part(null, 'id'))).toEqual(['name']);
  });

  test('SCOPE2 a grant of all rows makes filters of fewer columns superfluous', () => {
    expect(visibleParts(SCHEMA, { parts: [part(rows('id = 1', 'id'), 'salary'), part(null, 'salary')] })).toEqual([
      { columns: new Set(['id', 'name']), conditions: null },
    ]);
    expect(showsAllRows(SCHEMA, { parts: [part(rows('id = 1', 'id')), part(null, 'salary')] })).toBe(true);
    expect(showsAllRows(SCHEMA, { parts: [part(rows('id = 1', 'id')), part(rows('id = 2', 'id'), 'salary')] })).toBe(false);
  });
});

describe('identity', () => {
  test('SCOPE9 scopes that show the same have the same identity, whatever the order of the grants', () => {
    const [one, other] = [part(rows('id = 1', 'id')), part(rows('id = 2', 'id'), 'name')];
    expect(scopeIdentity(SCHEMA, { parts: [one, other] })).toBe(scopeIdentity(SCHEMA, { parts: [other, one, one] }));
    expect(scopeIdentity(SCHEMA, { parts: [one] })).not.toBe(scopeIdentity(SCHEMA, { parts: [other] }));
  });

  test('SCOPE9 the values of claims are part of it', () => {
    const of = (value: string): string => scopeIdentity(SCHEMA, { parts: [part({ ...rows('name = ?', 'name'), values: [value] })] });
    expect(of('EU')).not.toBe(of('US'));
  });

  test('SCOPE2 one unrestricted grant shows everything', () => {
    expect(isUnrestricted(UNRESTRICTED)).toBe(true);
    expect(isUnrestricted({ parts: [part(rows('id = 1', 'id')), part(null)] })).toBe(true);
    expect(isUnrestricted({ parts: [part(null, 'salary')] })).toBe(false);
    expect(isUnrestricted({ parts: [] })).toBe(false);
  });
});
