/** Functions that want to hear of something. What one of them throws is its own: it reaches nobody else. */
export class Listeners<Told extends unknown[]> {
  readonly #listeners = new Set<(...told: Told) => void>();

  /** Until the function that it returns is called. */
  add(listener: (...told: Told) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(...told: Told): void {
    for (const listener of this.#listeners) queueMicrotask(() => this.#listeners.has(listener) && listener(...told));
  }
}
