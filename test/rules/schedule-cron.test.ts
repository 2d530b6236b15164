import { expect, test } from 'vitest';
import { timeAfter, timesAfter } from '../../server/services/schedules/cron.ts';

const after = (cron: string, timeZone: string, from: string, count = 3): string[] => timesAfter({ cron, timeZone }, Date.parse(from), count);

test('SCH2 a time of day that does not exist, because clocks are put forward, comes at the moment in its place', () => {
  expect(after('30 2 * * *', 'Europe/Berlin', '2026-03-27T12:00:00Z')).toEqual([
    '2026-03-28T01:30:00.000Z',
    '2026-03-29T01:00:00.000Z',
    '2026-03-30T00:30:00.000Z',
  ]);
  expect(after('30 2 * * *', 'America/New_York', '2026-03-08T00:00:00Z', 2)).toEqual(['2026-03-08T07:00:00.000Z', '2026-03-09T06:30:00.000Z']);
});

test('SCH2 a time of day that comes twice, because clocks are put back, comes once', () => {
  expect(after('30 2 * * *', 'Europe/Berlin', '2026-10-23T12:00:00Z')).toEqual([
    '2026-10-24T00:30:00.000Z',
    '2026-10-25T00:30:00.000Z',
    '2026-10-26T01:30:00.000Z',
  ]);
  // Looked for again between the two, as after a run, the second is not found either.
  expect(timeAfter({ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }, Date.parse('2026-10-25T00:30:00.000Z'))).toBe('2026-10-26T01:30:00.000Z');
});

test('SCH2 every hour is an hour on both days, and offsets of half an hour count', () => {
  for (const from of ['2026-03-28T22:30:00Z', '2026-10-24T21:30:00Z']) {
    const times = after('0 * * * *', 'Europe/Berlin', from, 8).map((time) => Date.parse(time));
    for (const [index, time] of times.entries()) if (index > 0) expect(time - (times[index - 1] as number)).toBe(3_600_000);
  }
  expect(after('0 6 * * *', 'Asia/Kolkata', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-01T00:30:00.000Z']);
});

test('SCH2 names, lists, steps and nicknames are understood; what is no expression says why', () => {
  expect(after('0 6 * * MON', 'UTC', '2026-11-26T00:00:00Z', 1)).toEqual(['2026-11-30T06:00:00.000Z']);
  expect(after('*/20 9-10 * * 1-5', 'UTC', '2026-11-27T10:30:00Z', 2)).toEqual(['2026-11-27T10:40:00.000Z', '2026-11-30T09:00:00.000Z']);
  expect(after('@weekly', 'UTC', '2026-11-26T00:00:00Z', 1)).toEqual(['2026-11-29T00:00:00.000Z']);
  expect(() => after('61 * * * *', 'UTC', '2026-11-26T00:00:00Z')).toThrow(/cron: Invalid value for minute: 61/);
  expect(timeAfter({ cron: '0 0 31 2 *', timeZone: 'UTC' }, 0)).toBeNull();
});
