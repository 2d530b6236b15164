import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { startBackups } from '../../server/services/maintenance/backups.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { Promptness } from '../../server/shared/promptness.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-11-23T12:00:00.000Z') });
});

afterEach(() => {
  vi.useRealTimers();
});

interface Attempt {
  readonly tookMs: number;
  /** Undefined: it succeeds. */
  readonly error?: Error;
}

/** Lets time go by, and tells the moments that whole backups are of, and how old the newest was at most once there was one. */
async function watch(hours: number, attempt: (index: number) => Attempt) {
  const momentsMs: number[] = [];
  let attempts = 0;
  const backups = startBackups({
    newestAtMs: async () => momentsMs.at(-1),
    take: async () => {
      const momentMs = Date.now();
      const { tookMs, error } = attempt(attempts++);
      await new Promise((next) => setTimeout(next, tookMs));
      if (error !== undefined) throw error;
      momentsMs.push(momentMs);
    },
    periodMs: HOUR_MS,
    clock: systemClock,
    log: createLog('silent', false),
  });
  let oldestMs = 0;
  let lagMs = 0;
  for (let minute = 0; minute < hours * 60; minute += 1) {
    await vi.advanceTimersByTimeAsync(MINUTE_MS);
    const newestMs = momentsMs.at(-1);
    if (newestMs === undefined) continue;
    oldestMs = Math.max(oldestMs, Date.now() - newestMs);
    lagMs = Math.max(lagMs, backups.lagMs);
  }
  const stopped = backups.stop();
  await vi.advanceTimersByTimeAsync(HOUR_MS);
  await stopped;
  return { momentsMs, attempts, oldestMs, lagMs };
}

test('BAK7 the newest whole backup is never of a moment longer ago than the period, however long one takes, as long as half of it is enough', async () => {
  for (const tookMs of [1_000, 5 * MINUTE_MS, 12 * MINUTE_MS]) {
    const { momentsMs, oldestMs } = await watch(48, (index) => ({ tookMs: tookMs * (1 + (index % 3) / 4) }));
    expect(oldestMs).toBeLessThanOrEqual(HOUR_MS);
    // And not all the time: a backup is of work that may be much.
    expect(momentsMs.length).toBeLessThanOrEqual(48 * 2 + 1);
    expect(momentsMs.length).toBeGreaterThanOrEqual(48);
  }
});

test('BAK7 a failure that is tried again leaves the newest in time; more of them are told by how late it is', async () => {
  const failing = (times: number) => (index: number) => ({
    tookMs: 2 * MINUTE_MS,
    ...(index % 5 >= 1 && index % 5 <= times ? { error: new Error('the disk is away') } : {}),
  });
  const once = await watch(48, failing(1));
  expect(once.oldestMs).toBeLessThanOrEqual(HOUR_MS);
  expect(once.lagMs).toBe(0);
  const often = await watch(48, failing(3));
  expect(often.lagMs).toBeGreaterThan(0);
  expect(often.lagMs).toBe(often.oldestMs - HOUR_MS);
});

test('BAK7 while another server takes one, this one looks again later, and takes none when that is new', async () => {
  let attempts = 0;
  const othersMs: number[] = [Date.now() - HOUR_MS];
  const backups = startBackups({
    newestAtMs: async () => othersMs.at(-1),
    take: async () => {
      attempts += 1;
      othersMs.push(Date.now());
      throw new CovistaError('conflict', 'another backup is under way');
    },
    periodMs: HOUR_MS,
    clock: systemClock,
    log: createLog('silent', false),
  });
  await vi.advanceTimersByTimeAsync(30 * MINUTE_MS);
  expect(attempts).toBe(1);
  await backups.stop();
});

test('BAK12 a backup that is under way is ended when the server stops, and none follows', async () => {
  let taken = 0;
  const backups = startBackups({
    newestAtMs: async () => undefined,
    take: (signal) => {
      taken += 1;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    periodMs: HOUR_MS,
    clock: systemClock,
    log: createLog('silent', false),
  });
  await vi.advanceTimersByTimeAsync(MINUTE_MS);
  await backups.stop();
  await vi.advanceTimersByTimeAsync(2 * HOUR_MS);
  expect(taken).toBe(1);
});

test('OPS1 how late something is that is to be done in every period', async () => {
  const promptness = new Promptness(systemClock, HOUR_MS);
  await vi.advanceTimersByTimeAsync(HOUR_MS);
  expect(promptness.lagMs).toBe(0);
  await vi.advanceTimersByTimeAsync(MINUTE_MS);
  expect(promptness.lagMs).toBe(MINUTE_MS);
  promptness.done();
  expect(promptness.lagMs).toBe(0);
});
