import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { type Awareness, encodeAwarenessUpdate } from 'y-protocols/awareness';
import * as sync from 'y-protocols/sync';
import type * as Y from 'yjs';
import { DOCUMENT_MESSAGE, type Refusal, refusal } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';

/** A message of the server. */
export type ServerMessage =
  /** What the server has, as a state vector: it is to be sent the rest. */
  | { readonly kind: 'ask'; readonly stateVector: Uint8Array }
  /** The answer to what was asked at the beginning. */
  | { readonly kind: 'difference'; readonly update: Uint8Array }
  | { readonly kind: 'update'; readonly update: Uint8Array }
  | { readonly kind: 'awareness'; readonly update: Uint8Array }
  | { readonly kind: 'queryAwareness' }
  | { readonly kind: 'denied'; readonly reason: string }
  | { readonly kind: 'durable'; readonly edits: number }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** Reads a message; throws `protocol_error` for one that has no place here. */
export function readMessage(bytes: Uint8Array): ServerMessage {
  const decoder = decoding.createDecoder(bytes);
  const type = decoding.readVarUint(decoder);
  if (type === DOCUMENT_MESSAGE.sync) return readSync(decoder);
  if (type === DOCUMENT_MESSAGE.awareness) return { kind: 'awareness', update: decoding.readVarUint8Array(decoder) };
  if (type === DOCUMENT_MESSAGE.queryAwareness) return { kind: 'queryAwareness' };
  if (type === DOCUMENT_MESSAGE.durable) return { kind: 'durable', edits: decoding.readVarUint(decoder) };
  if (type === DOCUMENT_MESSAGE.refused) return { kind: 'refused', refusal: refusal.parse(JSON.parse(decoding.readVarString(decoder))) };
  if (type === DOCUMENT_MESSAGE.auth) {
    decoding.readVarUint(decoder);
    return { kind: 'denied', reason: decoding.readVarString(decoder) };
  }
  throw new CovistaError('protocol_error', `a document channel has no message of type ${type}`);
}

function readSync(decoder: decoding.Decoder): ServerMessage {
  const type = decoding.readVarUint(decoder);
  const content = decoding.readVarUint8Array(decoder);
  if (type === sync.messageYjsSyncStep1) return { kind: 'ask', stateVector: content };
  if (type === sync.messageYjsSyncStep2) return { kind: 'difference', update: content };
  if (type === sync.messageYjsUpdate) return { kind: 'update', update: content };
  throw new CovistaError('protocol_error', `a document channel has no sync message of type ${type}`);
}

function message(type: number, write: (encoder: encoding.Encoder) => void): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, type);
    write(encoder);
  });
}

/** Asks the server for what the document lacks. */
export const askMessage = (doc: Y.Doc): Uint8Array => message(DOCUMENT_MESSAGE.sync, (encoder) => sync.writeSyncStep1(encoder, doc));

/** The answer to what the server asks for. */
export const differenceMessage = (update: Uint8Array): Uint8Array =>
  message(DOCUMENT_MESSAGE.sync, (encoder) => {
    encoding.writeVarUint(encoder, sync.messageYjsSyncStep2);
    encoding.writeVarUint8Array(encoder, update);
  });

export const updateMessage = (update: Uint8Array): Uint8Array => message(DOCUMENT_MESSAGE.sync, (encoder) => sync.writeUpdate(encoder, update));

/** The awareness state of this client. */
export const awarenessMessage = (awareness: Awareness): Uint8Array =>
  message(DOCUMENT_MESSAGE.awareness, (encoder) => encoding.writeVarUint8Array(encoder, encodeAwarenessUpdate(awareness, [awareness.clientID])));
