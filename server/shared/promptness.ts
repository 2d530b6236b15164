import type { Clock } from './clock.ts';

/** How late some work is. */
export interface Lateness {
  /** 0: it is not due. */
  readonly lagMs: number;
}

/** Tells how late work is that is to be done once in every period. */
export class Promptness implements Lateness {
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

  get lagMs(): number {
    return Math.max(0, this.#clock.now() - this.#dueAtMs);
  }
}

/** Tells how late work is that is to be done when it is asked for, and not otherwise. */
export class Owed implements Lateness {
  readonly #clock: Clock;
  #dueAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** It is due within so long, or before, when it was asked for already. */
  ask(withinMs = 0): void {
    this.#dueAtMs ??= this.#clock.now() + withinMs;
  }

  done(): void {
    this.#dueAtMs = undefined;
  }

  get lagMs(): number {
    return this.#dueAtMs === undefined ? 0 : Math.max(0, this.#clock.now() - this.#dueAtMs);
  }
}
