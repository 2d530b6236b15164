/** A session, and of which table it is. */
interface Place {
  readonly table: string;
  readonly waiting: Uint8Array[];
}

/**
 * Requests that wait to be done in a thread: one of each table in turn, and of each session of a table, so that neither who asks for
 * hundreds ahead nor twenty who look at one table keep others waiting for more than one of them. Nothing is done for a session that has ended.
 */
export class SessionTurns {
  readonly #work: (session: number, request: Uint8Array) => void;
  readonly #turnMs: number;
  readonly #places = new Map<number, Place>();
  /** Those who wait, by table: whose turn is next comes first. */
  readonly #waiting = new Map<string, Set<number>>();
  #isDue = false;

  /** `turnMs`: how long requests are done in one go before the thread hears what it is told meanwhile. */
  constructor(turnMs: number, work: (session: number, request: Uint8Array) => void) {
    this.#turnMs = turnMs;
    this.#work = work;
  }

  open(session: number, table: string): void {
    this.#places.set(session, { table, waiting: [] });
  }

  /** Of a session that is open. */
  add(session: number, request: Uint8Array): void {
    const place = this.#places.get(session);
    if (place === undefined) return;
    place.waiting.push(request);
    this.#line(session, place);
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => this.#turn());
  }

  /** What of the session still waits is never done. */
  close(session: number): void {
    const table = this.#places.get(session)?.table ?? '';
    this.#places.delete(session);
    const sessions = this.#waiting.get(table);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#waiting.delete(table);
  }

  #line(session: number, { table }: Place): void {
    const sessions = this.#waiting.get(table);
    if (sessions === undefined) this.#waiting.set(table, new Set([session]));
    else sessions.add(session);
  }

  #turn(): void {
    const untilMs = performance.now() + this.#turnMs;
    do this.#next();
    while (this.#waiting.size > 0 && performance.now() < untilMs);
    this.#isDue = this.#waiting.size > 0;
    if (this.#isDue) setImmediate(() => this.#turn());
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const [table, sessions] = first;
    this.#waiting.delete(table);
    const [session = 0] = sessions;
    sessions.delete(session);
    if (sessions.size > 0) this.#waiting.set(table, sessions);
    const place = this.#places.get(session);
    const request = place?.waiting.shift();
    if (place === undefined || request === undefined) return;
    if (place.waiting.length > 0) this.#line(session, place);
    this.#work(session, request);
  }
}
