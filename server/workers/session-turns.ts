/** A session: of which table it is, and what of it waits. */
interface Place<Item> {
  readonly table: string;
  readonly waiting: Item[];
}

/**
 * What waits to be done in a thread: one thing of each table in turn, and of each session of a table, so that neither who asks for
 * hundreds ahead nor twenty who look at one table keep others waiting for more than one of them.
 */
export class SessionTurns<Item> {
  readonly #work: (session: number, item: Item) => void;
  readonly #turnMs: number;
  readonly #places = new Map<number, Place<Item>>();
  /** Those who wait, by table: whose turn is next comes first. */
  readonly #waiting = new Map<string, Set<number>>();
  #isDue = false;

  /** `turnMs`: how long one thing after the other is done before the thread hears what it is told meanwhile; 0: one a turn. */
  constructor(turnMs: number, work: (session: number, item: Item) => void) {
    this.#turnMs = turnMs;
    this.#work = work;
  }

  open(session: number, table: string): void {
    this.#places.set(session, { table, waiting: [] });
  }

  /** Whether the session is open, and the item waits for its turn. */
  add(session: number, item: Item): boolean {
    const place = this.#places.get(session);
    if (place === undefined) return false;
    place.waiting.push(item);
    this.#line(session, place);
    if (!this.#isDue) setImmediate(() => this.#turn());
    this.#isDue = true;
    return true;
  }

  /** Answers what of the session still waited, and is never done. */
  close(session: number): Item[] {
    const { table, waiting } = this.#places.get(session) ?? { table: '', waiting: [] };
    this.#places.delete(session);
    const sessions = this.#waiting.get(table);
    sessions?.delete(session);
    if (sessions?.size === 0) this.#waiting.delete(table);
    return waiting;
  }

  #line(session: number, { table }: Place<Item>): void {
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
    const item = place?.waiting.shift();
    if (place === undefined || item === undefined) return;
    if (place.waiting.length > 0) this.#line(session, place);
    this.#work(session, item);
  }
}
