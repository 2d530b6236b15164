import { CovistaError } from '../../../protocol/errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { setLongTimeout } from '../../shared/long-timeout.ts';
import type { Lateness } from '../../shared/promptness.ts';

export interface BackupsOptions {
  /** The moment that the newest backup is of, in milliseconds since 1970; undefined: there is none. */
  readonly newestAtMs: () => Promise<number | undefined>;
  /** Takes one; `conflict` while another server does. Rejects soon after the signal is aborted. */
  readonly take: (signal: AbortSignal) => Promise<void>;
  readonly periodMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** `lagMs`: for how long a backup has been wanting, which is how much older the newest is than the period. */
export interface Backups extends Lateness {
  /** Ends the backup that is under way: the next start takes one. */
  stop(): Promise<void>;
}

/** What failed is tried again after this; of a short period a part, so that one failure still leaves the newest in time. */
const RETRY_MS = 5 * 60_000;
const RETRIES_PER_PERIOD = 12;
/** The next one may take as many times as long as the last one did. */
const SLACK = 2;

/**
 * Takes backups so that the newest is never of a moment longer ago than the period: what is lost with a machine is at most that. So one
 * begins as much earlier as it takes, and as a failure that is tried again takes. Those of other servers and of the command line count.
 */
export function startBackups(options: BackupsOptions): Backups {
  const { periodMs, clock, log, newestAtMs } = options;
  const retryMs = Math.min(RETRY_MS, periodMs / RETRIES_PER_PERIOD);
  const stopping = new AbortController();
  let disarm = (): void => undefined;
  let round = Promise.resolve();
  let tookMs = 0;
  let wantedAtMs = clock.now();

  const untilDueMs = async (): Promise<number> => {
    const newestMs = await newestAtMs();
    if (newestMs === undefined) return 0;
    wantedAtMs = newestMs + periodMs;
    const earlierMs = Math.min(periodMs / 2, retryMs + SLACK * tookMs);
    return wantedAtMs - earlierMs - clock.now();
  };

  const runOnce = async (): Promise<number> => {
    try {
      const waitMs = await untilDueMs();
      if (waitMs > 0) return waitMs;
      const beganAtMs = clock.now();
      await options.take(stopping.signal);
      tookMs = clock.now() - beganAtMs;
      return await untilDueMs();
    } catch (error) {
      if (stopping.signal.aborted) log.info('the backup that was under way is given up');
      else if (error instanceof CovistaError && error.code === 'conflict') log.info({ err: error }, 'no backup now');
      else log.error({ err: error }, 'the backup failed; it is tried again');
      return retryMs;
    }
  };

  const arm = (waitMs: number): void => {
    if (stopping.signal.aborted) return;
    disarm = setLongTimeout(() => {
      round = runOnce().then(arm);
    }, waitMs);
  };

  round = runOnce().then(arm);
  return {
    get lagMs() {
      return Math.max(0, clock.now() - wantedAtMs);
    },
    stop: async () => {
      stopping.abort();
      disarm();
      await round;
    },
  };
}
