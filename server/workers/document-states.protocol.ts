import type { ErrorBody } from '../../protocol/errors.ts';
import type { EntriesPage, PagedEntry } from '../shared/document-entries.ts';

/** How much it may take to put one document together. */
export interface DocumentStatesSettings {
  readonly stepsMax: number;
}

/** What the worker is asked, one thing after the other. Updates are those of Yjs, in order. */
export type ToDocumentStates =
  /** What updates come to, as one update. */
  | { readonly kind: 'compact'; readonly updates: readonly Uint8Array[] }
  /** What is in the maps at the root, as plain JSON. */
  | { readonly kind: 'read'; readonly updates: readonly Uint8Array[]; readonly maps: readonly string[] }
  | ({ readonly kind: 'page' } & EntriesPage);

/** Answers come in the order of the questions. */
export type FromDocumentStates =
  | { readonly kind: 'compacted'; readonly update: Uint8Array }
  | { readonly kind: 'read'; readonly maps: Readonly<Record<string, unknown>> }
  | { readonly kind: 'paged'; readonly entries: readonly PagedEntry[] }
  | { readonly kind: 'failed'; readonly error: ErrorBody };
