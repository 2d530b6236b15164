import { CovistaError } from '../../../protocol/errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/log.ts';
import { setLongTimeout } from '../../shared/long-timeout.ts';

export interface BackupsOptions {
  /** When the newest backup was taken, in milliseconds since 1970; undefined: there is none. */
  readonly newestAtMs: () => Promise<number | undefined>;
  /** Takes one; `conflict` while another server does. */
  readonly take: () => Promise<void>;
  readonly periodMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Backups {
  /** Waits for the backup that is under way. */
  stop(): Promise<void>;
}

/** What failed is tried again after this, or after the period, if that is shorter. */
const RETRY_MS = 5 * 60_000;

/** Takes a backup whenever the newest is as old as the period, also one of another server or of the command line. */
export function startBackups(options: BackupsOptions): Backups {
  const { periodMs, clock, log, newestAtMs } = options;
  let isStopped = false;
  let disarm = (): void => undefined;
  let round = Promise.resolve();

  const runOnce = async (): Promise<number> => {
    try {
      const waitMs = ((await newestAtMs()) ?? Number.NEGATIVE_INFINITY) + periodMs - clock.now();
      if (waitMs > 0) return waitMs;
      await options.take();
      return periodMs;
    } catch (error) {
      if (error instanceof CovistaError && error.code === 'conflict') log.info({ err: error }, 'no backup now');
      else log.error({ err: error }, 'the backup failed; it is tried again');
      return Math.min(RETRY_MS, periodMs);
    }
  };

  const arm = (waitMs: number): void => {
    if (isStopped) return;
    disarm = setLongTimeout(() => {
      round = runOnce().then(arm);
    }, waitMs);
  };

  round = runOnce().then(arm);
  return {
    stop: async () => {
      isStopped = true;
      disarm();
      await round;
    },
  };
}
