/** How long requests are done in one go before the thread hears what it is told meanwhile. */
const TURN_MS = 5;

/**
 * Requests that wait to be done in a thread, by session: one of each in turn, so that who asks for hundreds ahead keeps others
 * waiting for one of them, and nothing is done for a session that has ended.
 */
export class SessionTurns {
  readonly #work: (session: number, request: Uint8Array) => void;
  /** Whose turn is next comes first. */
  readonly #waiting = new Map<number, Uint8Array[]>();
  #isDue = false;

  constructor(work: (session: number, request: Uint8Array) => void) {
    this.#work = work;
  }

  add(session: number, request: Uint8Array): void {
    const requests = this.#waiting.get(session);
    if (requests === undefined) this.#waiting.set(session, [request]);
    else requests.push(request);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#turn());
  }

  /** What of the session still waits is never done. */
  drop(session: number): void {
    this.#waiting.delete(session);
  }

  #turn(): void {
    const untilMs = performance.now() + TURN_MS;
    while (this.#waiting.size > 0 && performance.now() < untilMs) this.#next();
    this.#isDue = this.#waiting.size > 0;
    if (this.#isDue) setImmediate(() => this.#turn());
  }

  #next(): void {
    for (const [session, requests] of this.#waiting) {
      this.#waiting.delete(session);
      const request = requests.shift();
      if (requests.length > 0) this.#waiting.set(session, requests);
      if (request !== undefined) this.#work(session, request);
      return;
    }
  }
}
