import * as Y from 'yjs';
import { Paced } from './paced.ts';

/** Edits that wait to be sent together. */
export class Gathering {
  readonly #send: (update: Uint8Array) => void;
  readonly #pace: Paced;
  #updates: Uint8Array[] = [];
  #isHeld = false;

  constructor(intervalMs: number, send: (update: Uint8Array) => void) {
    this.#send = send;
    this.#pace = new Paced(intervalMs, () => this.flush());
  }

  add(update: Uint8Array): void {
    this.#updates.push(update);
    this.#pace.ask();
  }

  /** What comes until `release` leaves together. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    this.#pace.ask();
  }

  flush(): void {
    if (this.#isHeld) return;
    const [first, ...rest] = this.#updates;
    if (first === undefined) return;
    this.#updates = [];
    this.#send(rest.length === 0 ? first : Y.mergeUpdates([first, ...rest]));
  }

  /** Forgets what waits. */
  clear(): void {
    this.#updates = [];
    this.#pace.stop();
  }
}
