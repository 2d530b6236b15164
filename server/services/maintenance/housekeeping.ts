import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { type Lateness, Promptness } from '../../shared/promptness.ts';
import type { Stores } from '../../storage/stores.ts';
import type { Disposal } from '../retention/disposal.ts';
import type { Retention } from '../retention/retention.ts';

export interface Housekeeping {
  /** Runs one round now, with a grace of its own. */
  sweep(graceMs: number): Promise<void>;
  /** How late each of its jobs is. */
  readonly jobs: Readonly<Record<'housekeeping' | 'retention' | 'disposal', Lateness>>;
  stop(): Promise<void>;
}

const ROUND_MS = 10 * 60 * 1_000;
const ROUND_MS_MIN = 50;
const LOOKUP_BATCH = 500;

/**
 * Removes what crashes and forgetful clients leave behind: expired uploads, old idempotent results and events, revocations and tickets that have ended, objects
 * that no version refers to, and what retention does not keep. `graceMs` protects objects of commits that are under way, on this server or another.
 */
export function startHousekeeping(options: {
  readonly stores: Stores;
  readonly limits: Limits;
  readonly log: Logger;
  readonly graceMs: number;
  readonly retention: Pick<Retention, 'runAll'>;
  readonly disposal: Pick<Disposal, 'run'>;
  readonly clock: Clock;
}): Housekeeping {
  const { stores, limits, log, retention, disposal, clock } = options;
  const roundMs = Math.max(ROUND_MS_MIN, Math.min(ROUND_MS, limits.retentionPeriodMs));
  const jobs = {
    housekeeping: new Promptness(clock, roundMs),
    retention: new Promptness(clock, limits.retentionPeriodMs),
    disposal: new Promptness(clock, roundMs),
  };
  let round: Promise<void> = Promise.resolve();

  const stopping = new AbortController();
  const retain = pacedBy(limits.retentionPeriodMs, async () => {
    await retention.runAll(stopping.signal);
    jobs.retention.done();
  });

  const sweep = async (graceMs: number): Promise<void> => {
    await stores.staging.markAlive();
    for (const uploadId of await stores.metadata.uploads.removeExpired()) await stores.staging.removeUpload(uploadId);
    await stores.metadata.idempotency.prune(limits.idempotencyKeepMs);
    await stores.metadata.events.prune(limits.eventsKeepMs);
    await stores.metadata.sessions.prune();
    await removeLostUploads({ stores, log, graceMs });
    await removeOrphans({ stores, log, graceMs });
    jobs.housekeeping.done();
  };

  const failed = (error: unknown): void => log.error({ err: error }, 'housekeeping failed; it is tried again in the next round');

  const next = (graceMs: number): Promise<void> => {
    const swept = round.then(() => sweep(graceMs)).catch(failed);
    // Nobody waits for this: there may be much of it.
    round = swept.then(async () => {
      await retain();
      await disposal.run(stopping.signal);
      jobs.disposal.done();
    });
    round = round.catch(failed);
    return swept;
  };

  const timer = setInterval(() => next(options.graceMs), roundMs);
  timer.unref();
  return {
    sweep: next,
    jobs,
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await round;
    },
  };
}

/** Runs the work when the period has passed since it began last, and otherwise not. */
function pacedBy(periodMs: number, work: () => Promise<void>): () => Promise<void> {
  let dueAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    const nowMs = performance.now();
    if (nowMs < dueAtMs) return;
    dueAtMs = nowMs + periodMs;
    await work();
  };
}

interface Sweep {
  readonly stores: Stores;
  readonly log: Logger;
  readonly graceMs: number;
}

/** Bytes of uploads that the database does not know. */
async function removeLostUploads({ stores, graceMs }: Sweep): Promise<void> {
  for await (const { uploadId, ageMs } of stores.staging.listUploads()) {
    if (ageMs >= graceMs && (await stores.metadata.uploads.get(uploadId)) === undefined) await stores.staging.removeUpload(uploadId);
  }
}

async function removeOrphans({ stores, log, graceMs }: Sweep): Promise<void> {
  let batch: string[] = [];
  const flush = async (): Promise<void> => {
    const referenced = await stores.metadata.versions.referenced(batch);
    const orphans = batch.filter((objectKey) => !referenced.has(objectKey));
    if (orphans.length > 0) log.info({ orphans: orphans.length }, 'removing objects that no version refers to');
    await stores.objects.delete(orphans);
    batch = [];
  };
  for await (const { objectKey, ageMs } of stores.objects.list('datasets')) {
    if (ageMs < graceMs) continue;
    batch.push(objectKey);
    if (batch.length === LOOKUP_BATCH) await flush();
  }
  if (batch.length > 0) await flush();
}
