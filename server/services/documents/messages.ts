import { createDecoder, readVarUint, readVarUint8Array } from 'lib0/decoding';
import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding';
import { DOCUMENT_MESSAGE, type Refusal } from '../../../protocol/documents/index.ts';
import { CovistaError } from '../../../protocol/errors.ts';

const UTF8 = new TextDecoder();

/** Messages within `sync` (y-protocols/sync). */
const SYNC = { step1: 0, step2: 1, update: 2 } as const;

/** What a client may say. */
export type ClientMessage =
  /** It has so much, and asks for the rest. */
  | { readonly kind: 'step1'; readonly stateVector: Uint8Array }
  /** What it has and the server lacks, in answer to the server's own question. */
  | { readonly kind: 'step2'; readonly update: Uint8Array }
  | { readonly kind: 'update'; readonly update: Uint8Array }
  | { readonly kind: 'awareness'; readonly update: Uint8Array }
  | { readonly kind: 'queryAwareness' };

/** Throws `invalid_input` for what is no message. */
export function decodeMessage(bytes: Uint8Array): ClientMessage {
  return decoding(() => {
    const decoder = createDecoder(bytes);
    const kind = readVarUint(decoder);
    if (kind === DOCUMENT_MESSAGE.queryAwareness) return { kind: 'queryAwareness' };
    if (kind === DOCUMENT_MESSAGE.awareness) return { kind: 'awareness', update: readVarUint8Array(decoder) };
    if (kind !== DOCUMENT_MESSAGE.sync) return undefined;
    const sync = readVarUint(decoder);
    if (sync === SYNC.step1) return { kind: 'step1', stateVector: readVarUint8Array(decoder) };
    if (sync === SYNC.step2) return { kind: 'step2', update: readVarUint8Array(decoder) };
    return sync === SYNC.update ? { kind: 'update', update: readVarUint8Array(decoder) } : undefined;
  });
}

/** The decoders throw what they happen to meet. */
export function decoding<T>(decode: () => T | undefined): T {
  let decoded: T | undefined;
  try {
    decoded = decode();
  } catch (cause) {
    throw new CovistaError('invalid_input', 'this is no message of a document', {}, cause);
  }
  if (decoded === undefined) throw new CovistaError('invalid_input', 'a document knows no message of this kind');
  return decoded;
}

type Part = number | string | Uint8Array;

function encoded(...parts: readonly Part[]): Uint8Array {
  const encoder = createEncoder();
  for (const part of parts) {
    if (typeof part === 'number') writeVarUint(encoder, part);
    else if (typeof part === 'string') writeVarString(encoder, part);
    else writeVarUint8Array(encoder, part);
  }
  return toUint8Array(encoder);
}

export const step1Message = (stateVector: Uint8Array): Uint8Array => encoded(DOCUMENT_MESSAGE.sync, SYNC.step1, stateVector);
export const step2Message = (update: Uint8Array): Uint8Array => encoded(DOCUMENT_MESSAGE.sync, SYNC.step2, update);
export const updateMessage = (update: Uint8Array): Uint8Array => encoded(DOCUMENT_MESSAGE.sync, SYNC.update, update);
export const awarenessMessage = (update: Uint8Array): Uint8Array => encoded(DOCUMENT_MESSAGE.awareness, update);
export const durableMessage = (edits: number): Uint8Array => encoded(DOCUMENT_MESSAGE.durable, edits);
export const refusedMessage = (refusal: Refusal): Uint8Array => encoded(DOCUMENT_MESSAGE.refused, JSON.stringify(refusal));
/** What clients of y-websocket show as permission denied (y-protocols/auth). */
export const deniedMessage = (reason: string): Uint8Array => encoded(DOCUMENT_MESSAGE.auth, 0, reason);

/** The state of one client in an awareness update (y-protocols/awareness); `json` is `null` for one who left. */
export interface AwarenessEntry {
  readonly clientId: number;
  readonly clock: number;
  readonly json: string;
}

/** The state of who left. */
const LEFT = Buffer.from('null');

/** Who tells something, and whether that is that they left. */
export interface AwarenessHead extends Omit<AwarenessEntry, 'json'> {
  readonly hasLeft: boolean;
}

/** The entries that are wanted, of each client the last one; the others are passed over without a look at their states. */
export function decodeAwareness(update: Uint8Array, isWanted: (head: AwarenessHead) => boolean): AwarenessEntry[] {
  return decoding(() => {
    const wanted: AwarenessEntry[] = [];
    for (const { text, ...head } of lastHeads(update))
      if (isWanted(head)) wanted.push({ clientId: head.clientId, clock: head.clock, json: UTF8.decode(text) });
    return wanted;
  });
}

function lastHeads(update: Uint8Array): Iterable<AwarenessHead & { readonly text: Uint8Array }> {
  const decoder = createDecoder(update);
  const heads = new Map<number, AwarenessHead & { readonly text: Uint8Array }>();
  for (let left = readVarUint(decoder); left > 0; left -= 1) {
    const clientId = readVarUint(decoder);
    const clock = readVarUint(decoder);
    const text = readVarUint8Array(decoder);
    heads.set(clientId, { clientId, clock, hasLeft: LEFT.equals(text), text });
  }
  return heads.values();
}

export function encodeAwareness(entries: readonly AwarenessEntry[]): Uint8Array {
  const encoder = createEncoder();
  writeVarUint(encoder, entries.length);
  for (const { clientId, clock, json } of entries) {
    writeVarUint(encoder, clientId);
    writeVarUint(encoder, clock);
    writeVarString(encoder, json);
  }
  return toUint8Array(encoder);
}
