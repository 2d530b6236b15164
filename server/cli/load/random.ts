/** Numbers that follow from a seed alone (xorshift32), so that a run can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Zero would stay zero; neighbouring seeds are spread far apart.
    this.#state = Math.imul(seed, 0x9e37_79b1) | 1;
  }

  /** From 0, inclusive, to 1, exclusive. */
  next(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) / 2 ** 32;
  }

  /** A whole number from 0, inclusive, to `end`, exclusive. */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  /** A waiting time of this mean, as people who act independently of each other have (exponential), at most ten times the mean. */
  waitMs(meanMs: number): number {
    return Math.min(meanMs * 10, -Math.log(1 - this.next()) * meanMs);
  }
}
