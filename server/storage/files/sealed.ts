import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { assert } from '../../shared/assert.ts';

/**
 * A sealed file: a header with the file's own key, wrapped, and then pieces of `PIECE_BYTES` bytes, each encrypted by itself
 * with AES-256-GCM (NIST SP 800-38D) under a random nonce, so that any range can be read. What a piece is bound to — its
 * number, and whether it is the last — is authenticated: pieces cannot be swapped, left out or cut off.
 *
 *   header   8 bytes magic · 12 nonce · 32 wrapped key · 16 tag, bound to the name of the file
 *   piece    12 nonce · up to PIECE_BYTES encrypted bytes · 16 tag
 */
const MAGIC = Buffer.from('COVISTA\x01', 'latin1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const PIECE_BYTES = 64 * 1024;
const SEALED_PIECE_BYTES = NONCE_BYTES + PIECE_BYTES + TAG_BYTES;
const HEADER_BYTES = MAGIC.length + NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/** What a sealed file takes beside its plain bytes: so much once, and so much for every piece. */
export const SEALED_SIZES = { headerBytes: HEADER_BYTES, pieceBytes: PIECE_BYTES, extraBytes: NONCE_BYTES + TAG_BYTES } as const;

/** The bytes are not what was written under this key and name: damaged, tampered with, or of another key. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/** Encrypts under a key; `context` is authenticated with it. Answers nonce, encrypted bytes and tag. */
export function seal(key: Uint8Array, context: Uint8Array | string, plain: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Throws SealBroken for anything but what `seal` gave under the same key and context. */
export function unseal(key: Uint8Array, context: Uint8Array | string, sealed: Uint8Array): Buffer {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new SealBroken('a sealed piece is too short');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new SealBroken('a sealed piece does not authenticate', { cause });
  }
}

/** A new key for a file of this name, and the header that holds it wrapped. */
function newFileKey(wrappingKey: Uint8Array, name: string): { readonly key: Buffer; readonly header: Buffer } {
  const key = randomBytes(KEY_BYTES);
  return { key, header: Buffer.concat([MAGIC, seal(wrappingKey, name, key)]) };
}

export async function readFileKey(handle: FileHandle, wrappingKey: Uint8Array, name: string): Promise<Buffer> {
  const header = await readExactly(handle, 0, HEADER_BYTES);
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new SealBroken('the file is not a sealed one');
  return unseal(wrappingKey, name, header.subarray(MAGIC.length));
}

const contextOf = (piece: number, isLast: boolean): Buffer => {
  const context = Buffer.alloc(9);
  context.writeBigUInt64BE(BigInt(piece));
  context[8] = isLast ? 1 : 0;
  return context;
};

function sealPiece(key: Uint8Array, piece: number, isLast: boolean, plain: Uint8Array): Buffer {
  assert(plain.length <= PIECE_BYTES, 'a piece has at most PIECE_BYTES bytes');
  return seal(key, contextOf(piece, isLast), plain);
}

const pieceStart = (piece: number): number => HEADER_BYTES + piece * SEALED_PIECE_BYTES;

/** How many plain bytes a sealed file of so many bytes holds, in how many pieces. */
export function plainSize(sealedBytes: number): { readonly bytes: number; readonly pieces: number } {
  const body = Math.max(0, sealedBytes - HEADER_BYTES);
  const pieces = Math.ceil(body / SEALED_PIECE_BYTES);
  return { bytes: Math.max(0, body - pieces * (NONCE_BYTES + TAG_BYTES)), pieces };
}

async function readPiece(
  handle: FileHandle,
  key: Uint8Array,
  at: { readonly piece: number; readonly isLast: boolean; readonly plainBytes: number },
): Promise<Buffer> {
  const sealed = await readExactly(handle, pieceStart(at.piece), NONCE_BYTES + at.plainBytes + TAG_BYTES);
  return unseal(key, contextOf(at.piece, at.isLast), sealed);
}

/** Writes a sealed file of whatever bytes come, under a new key; answers with how many came. */
export async function writeSealed(
  handle: FileHandle,
  { wrappingKey, name }: { readonly wrappingKey: Uint8Array; readonly name: string },
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  const { key, header } = newFileKey(wrappingKey, name);
  await handle.appendFile(header);
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  let filled = 0;
  let piece = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      // A full piece waits until more comes, because the last one is marked.
      if (filled === PIECE_BYTES) {
        await handle.appendFile(sealPiece(key, piece, false, buffer));
        piece += 1;
        filled = 0;
      }
      const taken = chunk.subarray(at, at + PIECE_BYTES - filled);
      buffer.set(taken, filled);
      filled += taken.length;
      at += taken.length;
    }
  }
  await handle.appendFile(sealPiece(key, piece, true, buffer.subarray(0, filled)));
  return piece * PIECE_BYTES + filled;
}

/** Plain bytes from `start` to `end` exclusive of a file whose last piece is marked as such. */
export async function* readSealed(
  handle: FileHandle,
  key: Uint8Array,
  range?: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array> {
  const { bytes, pieces } = plainSize((await handle.stat()).size);
  if (pieces === 0) throw new SealBroken('the file ends before its first piece');
  const { start, end } = { start: range?.start ?? 0, end: Math.min(range?.end ?? bytes, bytes) };
  // Of an empty file, too, the last piece tells that nothing is missing.
  const first = Math.min(Math.floor(start / PIECE_BYTES), pieces - 1);
  for (let piece = first; piece === first || piece * PIECE_BYTES < end; piece += 1) {
    const plainBytes = Math.min(PIECE_BYTES, bytes - piece * PIECE_BYTES);
    const plain = await readPiece(handle, key, { piece, isLast: piece === pieces - 1, plainBytes });
    const offset = piece * PIECE_BYTES;
    const wanted = plain.subarray(Math.max(0, start - offset), Math.max(0, end - offset));
    if (wanted.length > 0) yield wanted;
  }
}

async function readExactly(handle: FileHandle, position: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let at = 0; at < bytes; ) {
    const { bytesRead } = await handle.read(buffer, at, bytes - at, position + at);
    if (bytesRead === 0) throw new SealBroken('the file ends too early');
    at += bytesRead;
  }
  return buffer;
}
