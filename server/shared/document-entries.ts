/** Entries of a map at the root, by id. */
export interface EntriesPage {
  readonly updates: readonly Uint8Array[];
  readonly map: string;
  /** The id behind which the page begins. */
  readonly after: string;
  readonly limit: number;
  /** Given: only those entries that are the same in what these updates come to. */
  readonly unchangedIn: readonly Uint8Array[] | undefined;
}

export interface PagedEntry {
  readonly id: string;
  readonly entry: unknown;
}
