/** What a document was made of, as far as its updates go: a state, and the batches of edits since. */
export interface StoredUpdates {
  readonly state: { readonly update: Uint8Array } | null;
  readonly batches: readonly { readonly updates: readonly Uint8Array[] }[];
}

/** What took the place of a log: up to which batch, and how large it is. */
export interface StoredState {
  readonly sequence: number;
  readonly bytes: number;
}

/** Everything that a document was made of, in order. */
export function updatesOf({ state, batches }: StoredUpdates): Uint8Array[] {
  return [...(state === null ? [] : [state.update]), ...batches.flatMap(({ updates }) => updates)];
}
