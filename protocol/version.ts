/**
 * The version of the wire and of the operations on it. It rises with every change that a client or server of the version
 * before would not understand; the history says what changed and when.
 */
export const PROTOCOL_VERSION = 1;

export const PROTOCOL_HISTORY: readonly { readonly version: number; readonly date: string; readonly change: string }[] = [
  { version: 1, date: '2026-11-22', change: 'First version: requests, streams with credit, bodies, fragments, token refresh, goodbye' },
];
