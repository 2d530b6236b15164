import type { DocumentKeeper } from './keeper.ts';

export interface KeeperOptions {
  /** Whose documents are kept; another person on the same machine has others. */
  readonly subject: string;
  /** Told apart by this too, such as the address of the server. */
  readonly place?: string;
  readonly bytesMax?: number;
  readonly documentsMax?: number;
}

/**
 * Keeps documents in the IndexedDB of a browser, for `document.open(name, { keeper })`. Call its `erase` when the person signs out. Rejects with
 * `unavailable` where there is none, as in some private windows; documents can be opened without a keeper then.
 */
export async function keepDocuments(options: KeeperOptions): Promise<DocumentKeeper> {
  const { openKeeper } = await import('./indexed-keeper.ts');
  return openKeeper(options);
}
