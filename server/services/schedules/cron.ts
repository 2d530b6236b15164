import { Cron } from 'croner';
import { CovistaError } from '../../../protocol/errors.ts';

/**
 * When a cron expression comes next after a moment, in its time zone. Where clocks are put forward, a time that does not exist
 * comes at the moment that takes its place; where they are put back, a time that comes twice counts once, and every hour is an hour.
 */
export function timesAfter({ cron, timeZone }: { readonly cron: string; readonly timeZone: string }, afterMs: number, count: number): string[] {
  return parse(cron, timeZone)
    .nextRuns(count, new Date(afterMs))
    .map((time) => time.toISOString());
}

export function timeAfter(when: { readonly cron: string; readonly timeZone: string }, afterMs: number): string | null {
  return timesAfter(when, afterMs, 1)[0] ?? null;
}

function parse(cron: string, timezone: string): Cron {
  try {
    return new Cron(cron, { timezone, mode: '5-part', paused: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    throw new CovistaError('invalid_input', `cron: ${reason}`, { field: 'cron' }, error);
  }
}
