/**
 * Exponential back-off with full jitter: anywhere between nothing and the bound, which doubles with every failure, so that
 * clients that lost their server together do not come back together.
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number, random: () => number = Math.random): number {
  return Math.round(random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30)));
}
