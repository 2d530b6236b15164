import type { Clock } from './clock.ts';

/** Tells how late work is that is to be done once in every period. */
export class Promptness {
  readonly #clock: Clock;
  readonly #periodMs: number;
  #dueAtMs: number;

  constructor(clock: Clock, periodMs: number) {
    this.#clock = clock;
    this.#periodMs = periodMs;
    this.#dueAtMs = clock.now() + periodMs;
  }

  /** It is done, and due again after a period. */
  done(): void {
    this.#dueAtMs = this.#clock.now() + this.#periodMs;
  }

  /** 0: it is not due. */
  get lagMs(): number {
    return Math.max(0, this.#clock.now() - this.#dueAtMs);
  }
}
