import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { openRevocations } from '../../server/services/access/revocations.ts';
import { Webhook } from '../../server/services/alerts/webhook.ts';
import { Compaction } from '../../server/services/documents/compaction.ts';
import { createDocuments, type DocumentsOptions } from '../../server/services/documents/documents.ts';
import { openDisposal } from '../../server/services/retention/disposal.ts';
import { type RunnerOptions, ScheduleRunner } from '../../server/services/schedules/runner.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { Owed } from '../../server/shared/promptness.ts';
import type { StoredDocument } from '../../server/storage/stores.ts';
import { JOBS, REPEATING } from '../support/background-jobs.ts';
import { memoryDocument } from '../support/live-document.ts';

const ROOT = join(import.meta.dirname, '../..');
const log = createLog('silent', false);

afterEach(() => {
  vi.useRealTimers();
});

const nothing = async (): Promise<void> => undefined;

/** A time that moves when it is told to. */
function stoppedClock() {
  let nowMs = 1_000_000;
  return {
    now: () => nowMs,
    advance: (ms: number) => {
      nowMs += ms;
    },
  };
}

test('OPS1 whatever the server does again and again is a job that tells how late it is, or says why not', () => {
  const sources = readdirSync(join(ROOT, 'server'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const repeating = sources
    .map((file) => join(ROOT, 'server', file))
    .filter((file) => /\bsetInterval\(/.test(readFileSync(file, 'utf8')))
    .map((file) => relative(ROOT, file));
  // The command line repeats things too, while somebody looks on.
  expect(repeating.filter((file) => !file.startsWith('server/cli/')).sort()).toEqual(Object.keys(REPEATING).sort());
  const named = Object.values(REPEATING).flatMap((jobs) => (typeof jobs === 'string' ? [] : jobs));
  expect(named.filter((job) => !(job in JOBS))).toEqual([]);
});

test('OPS1 the chapter of operations and the rules of Prometheus name the jobs', () => {
  const text = (name: string): string => readFileSync(join(ROOT, 'server/deploy', name), 'utf8');
  const [, list = ''] = /`covista_job_lag_seconds` \(by `job`: ([^)]*)\)/.exec(text('OPERATIONS.md')) ?? [];
  expect([...list.matchAll(/`(\w+)`/g)].map(([, job]) => job)).toEqual(Object.keys(JOBS));
  const inRules = [...text('prometheus-rules.yml').matchAll(/job=~"([\w|]+)"/g)].flatMap(([, jobs = '']) => jobs.split('|'));
  expect(inRules.length).toBeGreaterThan(0);
  expect(inRules.filter((job) => !(job in JOBS))).toEqual([]);
});

test('OPS1 what is owed is late from when it was asked for first', () => {
  const clock = stoppedClock();
  const owed = new Owed(clock);
  clock.advance(5_000);
  expect(owed.lagMs).toBe(0);
  owed.ask(1_000);
  clock.advance(800);
  owed.ask(1_000);
  expect(owed.lagMs).toBe(0);
  clock.advance(700);
  expect(owed.lagMs).toBe(500);
  owed.done();
  expect(owed.lagMs).toBe(0);
});

test('OPS1 the compaction of a document is late while it waits or has failed, until it is done or the document is open no longer', async () => {
  const clock = stoppedClock();
  let isAway = true;
  const stored: StoredDocument = { state: null, batches: [{ sequence: 1, updates: [] }], bindings: [], told: [] };
  const store = {
    load: async () => {
      if (isAway) throw new CovistaError('unavailable', 'the database is away');
      return stored;
    },
    compact: async () => true,
    addPeriodicSnapshot: async () => 0,
  };
  const states = { compact: async () => new Uint8Array(1), read: async () => ({}), page: async () => [] };
  const compaction = new Compaction({ store, states, limits: defaultLimits, clock, log });
  const [first, second] = [memoryDocument().document, memoryDocument().document];
  compaction.request(first);
  clock.advance(1_000);
  expect(compaction.lagMs).toBe(1_000);
  await compaction.idle();
  compaction.request(second);
  await compaction.idle();
  clock.advance(2_000);
  expect(compaction.lagMs).toBe(3_000);
  compaction.forget(first);
  expect(compaction.lagMs).toBe(2_000);
  isAway = false;
  compaction.request(second);
  await compaction.idle();
  expect(compaction.lagMs).toBe(0);
});

test('OPS1 a server that cannot say which files it reads tells how late it says so', async () => {
  const clock = stoppedClock();
  let isAway = true;
  const acknowledge = async (): Promise<boolean> => {
    if (isAway) throw new CovistaError('unavailable', 'the database is away');
    return true;
  };
  const nothing = async (): Promise<void> => undefined;
  const store = {
    join: nothing,
    leave: nothing,
    acknowledge,
    announce: nothing,
    release: async () => null,
    disposable: async () => [],
    disposed: nothing,
  };
  const objects = { condemn: () => [], delete: nothing };
  const disposal = await openDisposal({ store: store as never, objects, limits: { ...defaultLimits, fileReaderLeaseMs: 60_000 }, clock, log });
  clock.advance(25_000);
  await expect(disposal.acknowledge()).rejects.toMatchObject({ code: 'unavailable' });
  expect(disposal.acknowledging.lagMs).toBe(15_000);
  isAway = false;
  await disposal.acknowledge();
  expect(disposal.acknowledging.lagMs).toBe(0);
  await disposal.close();
});

test('OPS1 revocations that cannot be read are late from when they were heard of', async () => {
  const clock = stoppedClock();
  const { promise: failed, resolve: fail } = Promise.withResolvers<void>();
  let read = async (): Promise<never[]> => [];
  const store = {
    revokedAfter: () => read(),
    revoke: () => Promise.reject(new Error('not here')),
    lift: () => Promise.reject(new Error('not here')),
  };
  const revocations = await openRevocations({ store, clockToleranceMs: 0, limits: defaultLimits, clock, log });
  read = async () => {
    fail();
    throw new CovistaError('unavailable', 'the database is away');
  };
  revocations.notice({ kind: 'gap' });
  await failed;
  clock.advance(4_000);
  expect(revocations.lagMs).toBe(4_000);
  read = async () => [];
  await expect.poll(() => revocations.lagMs).toBe(0);
  await revocations.close();
});

test('OPS1 a message to the webhook of alerts is late until it is taken or given up', async () => {
  const clock = stoppedClock();
  const limits = { ...defaultLimits, alertWebhookAttemptsMax: 2, alertWebhookBackoffMs: 60_000, drainTimeoutMs: 100 };
  const webhook = new Webhook({ url: 'http://127.0.0.1:9/', secret: 'secret', limits, clock, log });
  expect(webhook.lagMs).toBe(0);
  webhook.send({ event: 'alert' });
  await expect.poll(() => webhook.state.failedAttempts).toBe(1);
  clock.advance(7_000);
  expect(webhook.lagMs).toBe(7_000);
  await webhook.close();
});

test('OPS1 leases of open documents that cannot be renewed are late, and not when they can, nor when none is open', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  let isAway = false;
  const store = {
    acquire: async () => [{ documentId: 'a document', fence: 1 }],
    release: nothing,
    renew: async () => {
      if (isAway) throw new CovistaError('unavailable', 'the database is away');
      return [];
    },
  };
  const limits = { ...defaultLimits, documentLeaseMs: 30_000, documentIdleMs: 1_000_000 };
  const documents = createDocuments({ store, limits, clock: systemClock, log } as unknown as DocumentsOptions);
  const { document_leases: leases } = documents.jobs;
  await vi.advanceTimersByTimeAsync(105_000);
  expect(leases.lagMs).toBe(0);
  const actor = { subject: 'alice' } as never;
  const { abandon } = await documents.open({
    name: 'user/alice',
    actor,
    access: undefined,
    receipts: false,
    connection: {},
    whenRenewed: () => undefined,
  });
  isAway = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(leases.lagMs).toBe(55_000);
  isAway = false;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(leases.lagMs).toBe(0);
  abandon();
  await documents.close();
});

test('OPS1 schedules tell how long the oldest run is due, and how late that is looked at when it cannot be', async () => {
  vi.useFakeTimers();
  let isAway = false;
  let dueForMs = 0;
  const runs = {
    recover: async () => {
      if (isAway) throw new CovistaError('unavailable', 'the database is away');
    },
    ensureJobs: nothing,
    lagMs: async () => dueForMs,
  };
  const jobs = { start: async () => ({ stop: nothing }) };
  const files = { list: async function* () {} };
  const limits = { ...defaultLimits, scheduleLeaseMs: 60_000 };
  const runner = new ScheduleRunner({ runs, jobs, files, limits, shared: true, clock: systemClock, log } as unknown as RunnerOptions);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(runner.lagMs).toBe(0);
  await runner.start();
  dueForMs = 5_000;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(runner.lagMs).toBe(5_000);
  isAway = true;
  await vi.advanceTimersByTimeAsync(600_000);
  expect(runner.lagMs).toBe(540_000);
  isAway = false;
  dueForMs = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(runner.lagMs).toBe(0);
  await runner.stop();
});
