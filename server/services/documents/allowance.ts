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
    this.#left = Math.min(this.#perSecond * BURST_SECONDS, this.#left + earned) - amount;
    this.#atMs = nowMs;
    return this.#left >= 0;
  }
}
