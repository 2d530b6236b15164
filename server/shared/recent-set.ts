/**
 * The values that were added last, at most `max` of them. It takes memory for those that it has, where a cache that reserves
 * its places takes it for those that it may have: with a set for each of many things that is nearly all of it.
 */
export class RecentSet<Value> {
  readonly #max: number;
  /** In the order in which they were last added. */
  readonly #values = new Set<Value>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#values.size;
  }

  add(value: Value): void {
    this.#values.delete(value);
    this.#values.add(value);
    if (this.#values.size <= this.#max) return;
    const [first] = this.#values;
    this.#values.delete(first as Value);
  }

  has(value: Value): boolean {
    return this.#values.has(value);
  }

  delete(value: Value): void {
    this.#values.delete(value);
  }
}
