/** Worker threads by what they are for: how many run, and how many ended though nobody ended them. */
export class ThreadCounts {
  readonly #running = new Map<string, number>();
  readonly #failures = new Map<string, number>();

  started(name: string): void {
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1);
    if (!this.#failures.has(name)) this.#failures.set(name, 0);
  }

  ended(name: string, isFailure: boolean): void {
    this.#running.set(name, (this.#running.get(name) ?? 0) - 1);
    if (isFailure) this.#failures.set(name, (this.#failures.get(name) ?? 0) + 1);
  }

  get running(): ReadonlyMap<string, number> {
    return this.#running;
  }

  get failures(): ReadonlyMap<string, number> {
    return this.#failures;
  }
}
