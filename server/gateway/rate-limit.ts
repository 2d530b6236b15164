import { LRUCache } from 'lru-cache';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { CovistaError } from '../../protocol/errors.ts';
import type { LimitName } from '../../protocol/limits.ts';

export interface RateLimitOptions {
  /** What is counted, as the refusal names it. */
  readonly what: string;
  /** The limit that `most` is, which the refusal names as well. */
  readonly limit: LimitName;
  readonly most: number;
  readonly periodMs: number;
  /** Keys that are remembered; the one that was used longest ago starts anew. */
  readonly keysMax: number;
}

interface Allowance {
  /** What was taken from the limiter and not used; below zero while more is being taken. */
  left: number;
  blockedUntilMs: number;
  isRefilling: boolean;
}

const BATCH_MAX = 256;

/**
 * At most so many in a period for each key. The limiter is asked for a batch at a time, a hundredth of the period's share,
 * because asking it costs more than what a small request does; a key may exceed its share by one batch.
 */
export class RateLimit {
  readonly #what: string;
  readonly #limit: Readonly<Partial<Record<LimitName, number>>>;
  readonly #batch: number;
  readonly #limiter: RateLimiterMemory;
  readonly #allowances: LRUCache<string, Allowance>;
  /** Callers repeat themselves. */
  #latestKey: string | undefined;
  #latest: Allowance | undefined;

  constructor({ what, limit, most, periodMs, keysMax }: RateLimitOptions) {
    this.#what = what;
    this.#limit = { [limit]: most };
    this.#batch = Math.max(1, Math.min(BATCH_MAX, Math.floor(most / 100)));
    this.#limiter = new RateLimiterMemory({ points: Math.ceil(most / this.#batch), duration: periodMs / 1000 });
    this.#allowances = new LRUCache({ max: keysMax, dispose: (_, key) => void this.#limiter.delete(key) });
  }

  /** Counts one; throws `rate_limited` with `retryAfterMs` when there were too many. */
  take(key: string): void {
    const allowance = this.#latest !== undefined && this.#latestKey === key ? this.#latest : this.#find(key);
    if (allowance.left <= 0) this.#ask(key, allowance);
    allowance.left -= 1;
  }

  /** Throws `rate_limited` when there were too many, and counts nothing. */
  assertFree(key: string): void {
    const allowance = this.#allowances.get(key);
    if (allowance !== undefined) this.#refuseBlocked(allowance);
  }

  #find(key: string): Allowance {
    const allowance = this.#allowances.get(key) ?? { left: 0, blockedUntilMs: 0, isRefilling: false };
    this.#allowances.set(key, allowance);
    this.#latestKey = key;
    this.#latest = allowance;
    return allowance;
  }

  /** The answer comes before the next message or request is looked at, so what goes on meanwhile is one. */
  #ask(key: string, allowance: Allowance): void {
    this.#refuseBlocked(allowance);
    if (allowance.isRefilling) return;
    allowance.isRefilling = true;
    this.#limiter.consume(key).then(
      () => {
        allowance.isRefilling = false;
        allowance.left += this.#batch;
      },
      (refusal: unknown) => {
        allowance.isRefilling = false;
        allowance.left = 0;
        // In memory nothing else can go wrong.
        allowance.blockedUntilMs = Date.now() + Math.max(1, refusal instanceof RateLimiterRes ? refusal.msBeforeNext : 1);
      },
    );
  }

  #refuseBlocked({ left, blockedUntilMs }: Allowance): void {
    if (left > 0) return;
    const retryAfterMs = blockedUntilMs - Date.now();
    if (retryAfterMs <= 0) return;
    throw new CovistaError('rate_limited', `too many ${this.#what}; try again in ${retryAfterMs} ms`, { ...this.#limit, retryAfterMs });
  }
}
