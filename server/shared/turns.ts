import { setImmediate } from 'node:timers/promises';

/** How long others wait while something long is done in this thread. */
const TURN_MS = 5;

/** Long work in this thread, which lets others have their turn: `if (turns.over) await turns.next()` between pieces of it. */
export class Turns {
  #since = performance.now();

  get over(): boolean {
    return performance.now() - this.#since > TURN_MS;
  }

  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }
}
