import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { type AuditEvent, startAuditTrail } from '../../server/services/access/audit-trail.ts';
import { createLog } from '../../server/shared/log.ts';
import type { NewAuditRecord } from '../../server/storage/stores.ts';

const LIMITS = { auditFlushMs: 1_000, auditPeriodMs: 60_000, auditEntriesMax: 50, auditEntriesPerCallerMax: 10 };

let written: NewAuditRecord[];
let isAway: boolean;
let trail: ReturnType<typeof startAuditTrail>;

beforeEach(() => {
  vi.useFakeTimers();
  written = [];
  isAway = false;
  const append = async (entries: readonly NewAuditRecord[]): Promise<void> => {
    if (isAway) throw new CovistaError('unavailable', 'the database is away');
    written.push(...entries);
  };
  trail = startAuditTrail({ store: { append }, limits: LIMITS, clock: { now: () => Date.now() }, log: createLog('silent', false) });
});

afterEach(() => {
  vi.useRealTimers();
});

let requests = 0;
function event(change: Partial<AuditEvent> = {}): AuditEvent {
  requests += 1;
  const common = { actor: 'mallory', operation: 'dataset.get', datasetId: null, versionId: null, address: '10.0.0.1', detail: {} };
  return { ...common, requestId: `r${requests}`, outcome: 'not_found', ...change };
}

const total = (): number => written.reduce((sum, { count }) => sum + count, 0);

test('AUD3 the same refusal is one entry at once, and one with a count at the end of the period', async () => {
  const first = event();
  for (let count = 0; count < 5; count += 1) trail.record({ ...first, requestId: `same-${count}` });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toMatchObject([{ count: 5, requestId: 'same-0', outcome: 'not_found' }]);
  for (let count = 0; count < 1_000; count += 1) {
    trail.record(event());
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(written).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(written).toHaveLength(2);
  expect(written[1]?.count).toBe(1_000);
  expect(Date.parse(written[1]?.lastAt ?? '') - Date.parse(written[1]?.at ?? '')).toBe(9_990);
  await vi.advanceTimersByTimeAsync(200_000);
  trail.record(event());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written[2]).toMatchObject({ count: 1 });
});

test('AUD3 actor, address, operation, dataset and code tell refusals apart, and an IPv6 address its network', async () => {
  trail.record(event());
  trail.record(event({ actor: 'bob' }));
  trail.record(event({ address: '10.0.0.2' }));
  trail.record(event({ operation: 'version.get' }));
  trail.record(event({ datasetId: 7 as never }));
  trail.record(event({ outcome: 'forbidden' }));
  trail.record(event({ address: '2001:db8::1' }));
  trail.record(event({ address: '2001:db8::2' }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1, 1, 2]);
});

test('AUD3 a caller who is refused ever other things is counted together, and keeps nobody else out', async () => {
  for (let datasetId = 1; datasetId <= 100; datasetId += 1) trail.record(event({ datasetId: datasetId as never }));
  trail.record(event({ actor: 'bob', datasetId: 1 as never }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toHaveLength(12);
  expect(written.filter(({ operation }) => operation === '*')).toMatchObject([{ actor: 'mallory', datasetId: null, count: 90 }]);
  expect(written.filter(({ actor }) => actor === 'bob')).toHaveLength(1);
});

test('AUD3 ever other callers take no more memory than the bound, and no count is lost', async () => {
  for (let caller = 0; caller < 20_000; caller += 1)
    trail.record(event({ actor: '', address: `10.${caller >> 16}.${(caller >> 8) & 255}.${caller & 255}` }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toHaveLength(51);
  expect(written.at(-1)).toMatchObject({ actor: '*', address: '*', operation: '*', count: 19_950 });
  expect(total()).toBe(20_000);
});

test('AUD1 every use has an entry of its own, until so many wait that they are counted', async () => {
  for (let count = 0; count < 60; count += 1) trail.record(event({ outcome: 'ok', operation: 'version.download' }));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(written).toHaveLength(51);
  expect(written.at(-1)).toMatchObject({ outcome: 'ok', count: 10 });
});

test('AUD8 what could not be written is written when the database is back, each once', async () => {
  isAway = true;
  for (let count = 0; count < 500; count += 1) {
    trail.record(event({ outcome: 'ok', operation: 'version.download' }));
    trail.record(event({ actor: `m${count % 5}` }));
    await vi.advanceTimersByTimeAsync(500);
  }
  expect(written).toEqual([]);
  isAway = false;
  await vi.advanceTimersByTimeAsync(120_000);
  expect(total()).toBe(1_000);
});

test('AUD8 closing writes everything that waits, whatever the period says', async () => {
  trail.record(event());
  await vi.advanceTimersByTimeAsync(1_000);
  for (let count = 0; count < 9; count += 1) trail.record(event());
  trail.record(event({ outcome: 'ok' }));
  await trail.close();
  expect(total()).toBe(11);
});

test('AUD8 closing while the database is away ends, and says so', async () => {
  isAway = true;
  trail.record(event());
  await trail.close();
  expect(written).toEqual([]);
});

test('OPS1 entries that cannot be written are late from when they were to be', async () => {
  isAway = true;
  trail.record(event());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(trail.lagMs).toBe(0);
  await vi.advanceTimersByTimeAsync(30_000);
  trail.record(event({ actor: 'bob' }));
  expect(trail.lagMs).toBe(30_000);
  isAway = false;
  await vi.advanceTimersByTimeAsync(1_000);
  expect([trail.lagMs, total()]).toEqual([0, 2]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(trail.lagMs).toBe(0);
});
