import { sha256 } from '@noble/hashes/sha2.js';

/** A hash that grows with the bytes, unlike that of `crypto.subtle`, which wants them all at once. */
export interface GrowingHash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

interface NodeCrypto {
  createHash(algorithm: string): GrowingHash;
}

/** Node's own is some ten times faster; it is asked for at run time, so that a bundle for browsers does not need it. */
const nodeCrypto = (globalThis as { process?: { getBuiltinModule?(name: string): unknown } }).process?.getBuiltinModule?.('node:crypto') as
  | NodeCrypto
  | undefined;

export function createSha256(): GrowingHash {
  return nodeCrypto?.createHash('sha256') ?? sha256.create();
}

export function hexadecimal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
