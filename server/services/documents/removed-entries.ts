/** Entries that were removed last, as plain JSON, so that whoever undoes the removal may bring back what others had written. */
export class RemovedEntries {
  /** In the order of their removal; most documents have none, so that nothing is set aside for them. */
  readonly #entries = new Map<string, unknown>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get(map: string, id: string): unknown {
    return this.#entries.get(JSON.stringify([map, id]));
  }

  set(map: string, id: string, entry: unknown): void {
    const key = JSON.stringify([map, id]);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#max && oldest !== undefined) this.#entries.delete(oldest);
  }
}
