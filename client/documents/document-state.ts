import type { CovistaError } from '../../protocol/errors.ts';

/** Where a document stands; the table of its transitions is in SPEC.md, section LIVE. */
export type DocumentState =
  /** There is no channel: not yet, or no longer for a reason. Edits wait. */
  | { readonly kind: 'connecting'; readonly reason: CovistaError | undefined }
  /** The channel is open, and what happened meanwhile is on its way. */
  | { readonly kind: 'syncing' }
  | { readonly kind: 'synced' }
  | { readonly kind: 'closed'; readonly reason: CovistaError };
