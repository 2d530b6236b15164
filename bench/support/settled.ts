import { setTimeout as delay } from 'node:timers/promises';
import { type ScenarioOptions, sizeOf } from '../measurement.ts';
import type { BenchServer } from './server.ts';

/** Resident memory of a server once it has come to rest and collected its garbage, in bytes: the least of some looks. */
export async function settledMemory(server: BenchServer, options: ScenarioOptions): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  await server.collect();
  for (let look = 0; look < sizeOf(options, [2, 2, 6]); look += 1) {
    await delay(sizeOf(options, [50, 200, 400]));
    least = Math.min(least, server.memory().now);
  }
  return least;
}

const LOOK_MS = 250;

/** The least resident memory of a server that gives back what it no longer needs: until it is back at what it had before, or time is up. */
export async function settledWithin(server: BenchServer, before: number, withinMs: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (const endMs = performance.now() + withinMs; performance.now() < endMs && least > before; ) {
    await delay(LOOK_MS);
    await server.collect();
    least = Math.min(least, server.memory().now);
  }
  return least;
}

/** Bytes that one more takes, from what some and more of them take together: what was there before the first one came is in both. */
export function bytesOfOne(together: readonly (readonly [count: number, bytes: number])[]): number {
  const [first, last] = [together[0], together.at(-1)];
  if (first === undefined || last === undefined) throw new Error('nothing was looked at');
  const bytes = first === last ? first[1] / first[0] : (last[1] - first[1]) / (last[0] - first[0]);
  return Math.max(0, bytes);
}
