/** What the worker is asked; `bytes` may be in shared memory and must not change until the answer is there. */
export type ToSha256 =
  | { readonly kind: 'update'; readonly hash: number; readonly bytes: Uint8Array }
  /** The hash is not asked for again; answered like an update where nobody wants the digest. */
  | { readonly kind: 'finish'; readonly hash: number };

/** Answers come in the order of the questions; that to `finish` has the digest, in hexadecimal. */
export type FromSha256 = { readonly sha256: string | null };
