import { expect, test } from 'vitest';
import { keptOf } from '../../server/storage/backup/keep.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.parse('2026-11-23T12:30:00.000Z');

const hourly = (days: number) =>
  Array.from({ length: days * 24 }, (_, hours) => new Date(NOW_MS - hours * HOUR_MS).toISOString()).map((takenAt) => ({
    snapshotId: takenAt,
    takenAt,
  }));

test('BAK7 every backup of thirty days is kept, the first of each day for ninety, and the newest for good', () => {
  const keeping = { keepMs: 30 * DAY_MS, keepDailyMs: 90 * DAY_MS, nowMs: NOW_MS };
  const kept = [...keptOf(hourly(120), keeping)];
  const ageMs = (id: string): number => NOW_MS - Date.parse(id);
  expect(kept.filter((id) => ageMs(id) <= 30 * DAY_MS)).toHaveLength(30 * 24 + 1);
  const daily = kept.filter((id) => ageMs(id) > 30 * DAY_MS);
  expect(new Set(daily.map((id) => id.slice(0, 10))).size).toBe(daily.length);
  expect(daily.length).toBeGreaterThanOrEqual(59);
  expect(daily.every((id) => id.slice(11, 13) === '00')).toBe(true);
  expect(Math.max(...kept.map(ageMs))).toBeLessThanOrEqual(90 * DAY_MS);
  // Day after day the same ones stay, whenever they are looked at.
  const later = hourly(120).filter(({ snapshotId }) => kept.includes(snapshotId));
  expect([...keptOf(later, keeping)].sort()).toEqual([...kept].sort());
  expect([...keptOf(hourly(1).slice(-2), { ...keeping, nowMs: NOW_MS + 900 * DAY_MS })]).toHaveLength(1);
});
