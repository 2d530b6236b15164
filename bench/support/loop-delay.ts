import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

/**
 * Loaded into a server before it starts (`node --import`): tells its parent, whenever that asks, how late the main thread was since it
 * asked before; nothing is measured before the first question. A server and its peers are measured alike this way.
 */
const RESOLUTION_MS = 1;
const NANOSECONDS_PER_MS = 1_000_000;

if (isMainThread && process.send !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  process.on('message', () => {
    // What is recorded is the time from one tick to the next.
    const lateMs = (nanoseconds: number): number => Math.max(0, nanoseconds / NANOSECONDS_PER_MS - RESOLUTION_MS);
    process.send?.({ p99Ms: lateMs(delay.percentile(99)), maxMs: lateMs(delay.max) });
    delay.enable();
    delay.reset();
  });
  // Whether the server ends is its own affair.
  process.channel?.unref();
}
