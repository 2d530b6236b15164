import type { DocumentOpened } from '../../protocol/documents/messages.ts';

/** What is kept of a document where the client runs. */
export interface KeptDocument {
  readonly opened: DocumentOpened;
  /** Whether it may hold edits that the server does not. */
  readonly unsettled: boolean;
  readonly updates: readonly Uint8Array[];
}

/** A place for copies of documents of one person. What is asked of it for one document happens in the order of asking. */
export interface DocumentKeeper {
  load(name: string): Promise<KeptDocument | undefined>;
  /** Begins to keep a document, or notes what the server says of it now. */
  note(name: string, opened: DocumentOpened): Promise<void>;
  /** Adds an update, and notes whether there are edits that the server does not have. */
  append(name: string, update: Uint8Array, unsettled: boolean): Promise<void>;
  /** Notes that the server has everything. */
  settle(name: string): Promise<void>;
  forget(name: string): Promise<void>;
  /** Forgets everything, such as when the person signs out. */
  erase(): Promise<void>;
}
