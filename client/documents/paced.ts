/** Does a thing at once, but not again before an interval has passed; what was asked for meanwhile is done once then. */
export class Paced {
  readonly #run: () => void;
  readonly #intervalMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked = false;

  constructor(intervalMs: number, run: () => void) {
    this.#intervalMs = intervalMs;
    this.#run = run;
  }

  ask(): void {
    this.#asked = true;
    if (this.#timer === undefined) this.#next();
  }

  /** What was asked for and not done is forgotten. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asked = false;
  }

  #next(): void {
    this.#timer = undefined;
    if (!this.#asked) return;
    this.#asked = false;
    this.#timer = setTimeout(() => this.#next(), this.#intervalMs);
    this.#run();
  }
}
