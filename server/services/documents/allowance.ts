import type { Limits } from '../../../protocol/limits.ts';

/** How many seconds' worth may come at once after a pause. */
const BURST_SECONDS = 10;

/** So much a second, with room for a burst after a pause. */
export class Allowance {
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * BURST_SECONDS;
    this.#atMs = nowMs;
  }

  /** False: that is too much. */
  take(amount: number, nowMs: number): boolean {
    const earned = (Math.max(0, nowMs - this.#atMs) / 1000) * this.#perSecond;
    const burst = this.#perSecond * BURST_SECONDS;
    // Nobody owes more than one burst, whatever a single thing cost.
    this.#left = Math.max(-burst, Math.min(burst, this.#left + earned) - amount);
    this.#atMs = nowMs;
    return this.#left >= 0;
  }
}

export type AllowanceLimits = Pick<
  Limits,
  'documentUpdatesPerSecond' | 'documentUpdateBytesPerSecond' | 'documentSyncsPerSecond' | 'documentRefusalsPerMinute' | 'awarenessMessagesPerSecond'
>;

/** What the channels of one connection may send together, whichever documents they are of. */
export class Allowances {
  readonly updates: Allowance;
  readonly updateBytes: Allowance;
  /** Beside the first of each channel, with which it begins. */
  readonly syncs: Allowance;
  readonly awareness: Allowance;
  readonly refusals: Allowance;

  constructor(limits: AllowanceLimits, nowMs: number) {
    const allowance = (perSecond: number): Allowance => new Allowance(perSecond, nowMs);
    this.updates = allowance(limits.documentUpdatesPerSecond);
    this.updateBytes = allowance(limits.documentUpdateBytesPerSecond);
    this.syncs = allowance(limits.documentSyncsPerSecond);
    this.awareness = allowance(limits.awarenessMessagesPerSecond);
    this.refusals = allowance(limits.documentRefusalsPerMinute / 60);
  }
}
