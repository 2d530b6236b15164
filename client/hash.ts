import { sha256 } from '@noble/hashes/sha2.js';

/** A hash that grows with the bytes, unlike that of `crypto.subtle`, which wants them all at once. */
export interface GrowingHash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

export function createSha256(): GrowingHash {
  return sha256.create();
}

export function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
