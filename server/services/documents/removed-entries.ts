import { LRUCache } from 'lru-cache';

/** Entries that were removed, as plain JSON, so that whoever undoes the removal may bring back what others had written. */
export class RemovedEntries {
  readonly #entries: LRUCache<string, { readonly entry: unknown }>;

  constructor(max: number) {
    this.#entries = new LRUCache({ max });
  }

  get(map: string, id: string): unknown {
    return this.#entries.get(JSON.stringify([map, id]))?.entry;
  }

  set(map: string, id: string, entry: unknown): void {
    this.#entries.set(JSON.stringify([map, id]), { entry });
  }
}
