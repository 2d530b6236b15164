import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { filterSql } from '../../server/workers/duckdb-tables/filters.ts';

beforeEach(() => {
  vi.stubEnv('TZ', 'Europe/Berlin');
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The moment that a text of a filter is taken for. */
function momentOf(text: string): string {
  const term = { name: 'moment', kind: 'datetime', type: 'TIMESTAMP', sql: 'c0' } as const;
  const sql = filterSql([{ column: 'moment', operator: '==', values: [text] }], false, () => term);
  return new Date(Number(/CAST\((-?\d+) AS BIGINT\)/.exec(sql ?? '')?.[1])).toISOString();
}

test.each([
  ['05-06-2021', '2021-05-06T00:00:00.000Z'],
  ['15-Jan-2020', '2020-01-15T00:00:00.000Z'],
  ['Jan 15, 2020', '2020-01-15T00:00:00.000Z'],
  ['10:00 15-Jan-2020', '2020-01-15T10:00:00.000Z'],
  ['2020-01-15', '2020-01-15T00:00:00.000Z'],
  ['2020-01-15 10:00', '2020-01-15T10:00:00.000Z'],
  ['2020/1/15 10:00:30', '2020-01-15T10:00:30.000Z'],
  ['2020-01-15T10:00:00Z', '2020-01-15T10:00:00.000Z'],
  ['2020-01-15T10:00:00.5+02:00', '2020-01-15T08:00:00.500Z'],
  ['2020-01-15T10:00:00-0330', '2020-01-15T13:30:00.000Z'],
  ['2020-01-15 10:00:00+02', '2020-01-15T08:00:00.000Z'],
  ['Jan 15 2020 10:00 PM -0500', '2020-01-16T03:00:00.000Z'],
  ['Jan 15 2020 10:00 EST', '2020-01-15T15:00:00.000Z'],
  ['Wed, 15 Jan 2020 10:00:00 GMT', '2020-01-15T10:00:00.000Z'],
  ['Wed Jan 15 2020 10:00:00 GMT+0100 (Central European Standard Time)', '2020-01-15T09:00:00.000Z'],
])('TB18 the filter value %s is a time of the zone that it names, or else of UTC, wherever the server runs', (text, moment) => {
  expect(new Date(2020, 0, 15).getTimezoneOffset()).toBe(-60);
  expect(momentOf(text)).toBe(moment);
});
