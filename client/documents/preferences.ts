import type { Json } from '../../protocol/documents/json.ts';
import { Entries } from './entries.ts';
import type { DocumentSession } from './session.ts';

/** What a person's programs keep for that person, by name. */
export class Preferences {
  readonly #entries: Entries;

  constructor(session: DocumentSession) {
    this.#entries = new Entries(session, 'preferences');
  }

  all(): Readonly<Record<string, Json>> {
    return Object.fromEntries(this.#entries.all()) as Record<string, Json>;
  }

  get(name: string): Json | undefined {
    return this.#entries.get(name) as Json | undefined;
  }

  set(name: string, value: Json): void {
    this.#entries.set(name, value);
  }

  /** Answers whether there was such a preference. */
  remove(name: string): boolean {
    return this.#entries.remove(name);
  }

  /** Tells all of them after every change, until the function that it returns is called. */
  observe(listener: (preferences: Readonly<Record<string, Json>>) => void): () => void {
    return this.#entries.observe(() => listener(this.all()));
  }
}
