import { afterEach, expect, test, vi } from 'vitest';
import { defaultSettings } from '../../client/settings.ts';
import { TokenKeeper } from '../../client/token.ts';

const MINUTE = 60_000;

afterEach(() => {
  vi.useRealTimers();
});

/** How often a client whose clock is ahead asks for a token in ten minutes, of tokens that hold a quarter of an hour. */
async function tokensAskedFor(aheadMs: number): Promise<number> {
  vi.useFakeTimers();
  let asked = 0;
  const keeper = new TokenKeeper(async () => {
    asked += 1;
    return 'token';
  }, defaultSettings);
  const refreshed = (): void => keeper.watch(new Date(Date.now() - aheadMs + 15 * MINUTE).toISOString(), refreshed);
  refreshed();
  await vi.advanceTimersByTimeAsync(10 * MINUTE);
  keeper.stop();
  return asked;
}

test('SDK10 a client whose clock is right, or behind, asks for a token shortly before the one in use ends', async () => {
  expect(await tokensAskedFor(0)).toBe(0);
  expect(await tokensAskedFor(-60 * MINUTE)).toBe(0);
});

test('SDK10 a client whose clock is ahead of the server’s asks for tokens at a pace, not without end', async () => {
  expect(await tokensAskedFor(60 * MINUTE)).toBe(10);
  expect(await tokensAskedFor(15 * MINUTE - 1)).toBeLessThanOrEqual(2_400);
});
