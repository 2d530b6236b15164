/** How often it is looked at how much of a state is still on its way. */
const LOOK_MS = 100;

interface CatchUpOptions {
  queuedBytes(): number;
  /** They are there when no more than this waits for them. */
  readonly doneBytes: number;
  /** Who reads nothing for so long has gone. */
  readonly stallMs: number;
  onDone(): void;
  onStalled(): void;
}

/**
 * Somebody to whom a large state is on its way. What is committed meanwhile is not put behind it, where it would only grow, but comes
 * afterwards, as the difference from that state.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  #leastBytes: number;
  #leastAtMs = performance.now();
  #timer: NodeJS.Timeout;

  constructor(options: CatchUpOptions) {
    this.#options = options;
    this.#leastBytes = options.queuedBytes();
    this.#timer = this.#later();
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #later(): NodeJS.Timeout {
    return setTimeout(() => this.#look(), LOOK_MS).unref();
  }

  #look(): void {
    const { queuedBytes, doneBytes, stallMs, onDone, onStalled } = this.#options;
    const bytes = queuedBytes();
    const nowMs = performance.now();
    if (bytes < this.#leastBytes) {
      this.#leastBytes = bytes;
      this.#leastAtMs = nowMs;
    }
    if (bytes <= doneBytes) onDone();
    else if (nowMs - this.#leastAtMs >= stallMs) onStalled();
    else this.#timer = this.#later();
  }
}
