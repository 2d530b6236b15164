import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a server before it starts (`node --expose-gc --import`), so that it and its peers are measured alike. Tells its parent,
 * whenever that asks, how late the main thread was since it asked before, of which nothing is measured before the first question; and
 * collects its garbage when it is told to, so that what is looked at then is what it keeps.
 */
const RESOLUTION_MS = 1;
const NANOSECONDS_PER_MS = 1_000_000;

export type Question = 'how late?' | 'collect';

function collect(): 'collected' {
  // Twice: what the first one finds may hold what only the second one can free.
  for (let turn = 0; turn < 2; turn += 1) globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' } as never);
  return 'collected';
}

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const howLate = () => {
    // What is recorded is the time from one tick to the next.
    const lateMs = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
    const late = { p99Ms: lateMs(delay.percentile(99)), maxMs: lateMs(delay.max) };
    delay.enable();
    delay.reset();
    return late;
  };
  process.on('message', (question: Question) => process.send?.(question === 'collect' ? collect() : howLate()));
  // Whether the server ends is its own affair, unless nobody is left who would end it.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
}
