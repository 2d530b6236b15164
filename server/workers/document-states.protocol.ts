import type { ErrorBody } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { EntriesPage, PagedEntry } from '../shared/document-entries.ts';
import type { StoredState } from '../shared/stored-updates.ts';
import type { DocumentLease } from '../storage/stores.ts';

/** What the worker is started with. */
export interface DocumentStatesSettings {
  readonly limits: Limits;
  /** Where the documents are whose logs give way to states; undefined: nowhere, and none can be asked to. */
  readonly databaseUrl: string | undefined;
}

/** What the worker is asked, one thing after the other. Updates are those of Yjs, in order. */
export type ToDocumentStates =
  /** What updates come to, as one update. */
  | { readonly kind: 'compact'; readonly updates: readonly Uint8Array[] }
  /** That a state takes the place of the log of a document. */
  | { readonly kind: 'compactStored'; readonly lease: DocumentLease }
  /** What is in the maps at the root, as plain JSON. */
  | { readonly kind: 'read'; readonly updates: readonly Uint8Array[]; readonly maps: readonly string[] }
  | ({ readonly kind: 'page' } & EntriesPage);

/** Answers come in the order of the questions. */
export type FromDocumentStates =
  | { readonly kind: 'compacted'; readonly update: Uint8Array }
  /** Undefined: no state did. */
  | { readonly kind: 'compactedStored'; readonly state: StoredState | undefined }
  | { readonly kind: 'read'; readonly maps: Readonly<Record<string, unknown>> }
  | { readonly kind: 'paged'; readonly entries: readonly PagedEntry[] }
  | { readonly kind: 'failed'; readonly error: ErrorBody };
