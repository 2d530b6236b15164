import { LRUCache } from 'lru-cache';
import type { Limits } from '../../protocol/limits.ts';
import { countedAddress, isLoopback } from '../shared/addresses.ts';
import type { Clock } from '../shared/clock.ts';
import { RateLimit } from './rate-limit.ts';

export interface TighteningOptions {
  readonly limits: Pick<Limits, 'alertTightRequestsPerSecond' | 'alertTightMs' | 'rateKeysMax'>;
  readonly clock: Clock;
}

/** Persons and addresses that may ask only a little for a while, because they asked too often for what they may not have. */
export class Tightening {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #until: LRUCache<string, number>;
  readonly #rate: RateLimit;

  constructor({ limits, clock }: TighteningOptions) {
    this.#clock = clock;
    this.#keepMs = limits.alertTightMs;
    this.#until = new LRUCache({ max: limits.rateKeysMax });
    const { alertTightRequestsPerSecond: most, rateKeysMax: keysMax } = limits;
    this.#rate = new RateLimit({ what: 'requests after too many refusals', limit: 'alertTightRequestsPerSecond', most, periodMs: 1_000, keysMax });
  }

  /** How many are held to the tighter limit. */
  get size(): number {
    const nowMs = this.#clock.now();
    return [...this.#until.values()].filter((untilMs) => untilMs > nowMs).length;
  }

  tightenSubject(subject: string): void {
    this.#until.set(subjectKey(subject), this.#clock.now() + this.#keepMs);
  }

  /** Everybody of this machine and behind a proxy on it would be meant by its own address, so that one is left alone. */
  tightenAddress(address: string): boolean {
    if (isLoopback(address) || address === countedAddress('::1')) return false;
    this.#until.set(addressKey(address), this.#clock.now() + this.#keepMs);
    return true;
  }

  /** Counts a request of somebody; throws `rate_limited` where they are held to the limit and above it. */
  take({ subject, address }: { readonly subject: string; readonly address: string }): void {
    if (this.#until.size === 0) return;
    this.#takeKey(subjectKey(subject));
    this.#takeKey(addressKey(address));
  }

  #takeKey(key: string): void {
    const untilMs = this.#until.get(key);
    if (untilMs === undefined) return;
    if (untilMs > this.#clock.now()) this.#rate.take(key);
    else this.#until.delete(key);
  }
}

const subjectKey = (subject: string): string => `s${subject}`;
const addressKey = (address: string): string => `a${countedAddress(address)}`;
