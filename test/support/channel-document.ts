import { createDecoder, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding';
import { createEncoder, length, toUint8Array, writeVarUint } from 'lib0/encoding';
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import * as Y from 'yjs';
import type { Client, OpenChannel } from '../../client/index.ts';
import { DOCUMENT_MESSAGE, type Refusal } from '../../protocol/documents/index.ts';
import type { CovistaError } from '../../protocol/errors.ts';

/** A document on one channel of `/rpc`, as plain as can be: it syncs, counts what is durable, and ends with the channel. */
export interface ChannelDocument {
  readonly doc: Y.Doc;
  /** Edits sent, and how many of them the server says are settled. */
  readonly sent: number;
  readonly settled: number;
  readonly refusals: readonly Refusal[];
  /** Resolves when the server's state is there. */
  readonly synced: Promise<void>;
  /** Resolves when the channel has ended, with the reason. */
  readonly closed: Promise<CovistaError | undefined>;
  close(): void;
}

export async function openChannelDocument(client: Client, name: string, doc = new Y.Doc()): Promise<ChannelDocument> {
  const opened = new Opened(doc);
  const channel = await client.document.connect(
    { name, receipts: true },
    { onMessage: (bytes) => opened.receive(bytes), onClose: (reason) => opened.end(reason) },
  );
  opened.begin(channel);
  return opened;
}

class Opened implements ChannelDocument {
  readonly doc: Y.Doc;
  readonly refusals: Refusal[] = [];
  readonly #synced = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<CovistaError | undefined>();
  sent = 0;
  settled = 0;
  #channel: OpenChannel<unknown> | undefined;
  #early: Uint8Array[] = [];

  constructor(doc: Y.Doc) {
    this.doc = doc;
    doc.on('update', this.#edited);
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get closed(): Promise<CovistaError | undefined> {
    return this.#closed.promise;
  }

  begin(channel: OpenChannel<unknown>): void {
    this.#channel = channel;
    this.#send((message) => writeSyncStep1(message, this.doc));
    for (const bytes of this.#early.splice(0)) this.receive(bytes);
  }

  receive(bytes: Uint8Array): void {
    if (this.#channel === undefined) {
      this.#early.push(bytes);
      return;
    }
    const decoder = createDecoder(bytes);
    const kind = readVarUint(decoder);
    if (kind === DOCUMENT_MESSAGE.durable) this.settled = readVarUint(decoder);
    else if (kind === DOCUMENT_MESSAGE.refused) this.refusals.push(JSON.parse(readVarString(decoder)) as Refusal);
    else if (kind === DOCUMENT_MESSAGE.awareness) readVarUint8Array(decoder);
    else this.#sync(decoder);
  }

  end(reason: CovistaError | undefined): void {
    this.doc.off('update', this.#edited);
    this.#closed.resolve(reason);
  }

  close(): void {
    this.#channel?.close();
  }

  readonly #edited = (update: Uint8Array, origin: unknown): void => {
    if (origin === this) return;
    this.sent += 1;
    this.#send((message) => writeUpdate(message, update));
  };

  #sync(decoder: ReturnType<typeof createDecoder>): void {
    const answer = createEncoder();
    writeVarUint(answer, DOCUMENT_MESSAGE.sync);
    const kind = readSyncMessage(decoder, answer, this.doc, this);
    if (kind === 1) this.#synced.resolve();
    if (length(answer) === 1) return;
    this.sent += 1;
    this.#channel?.send(toUint8Array(answer));
  }

  #send(write: (message: ReturnType<typeof createEncoder>) => void): void {
    const message = createEncoder();
    writeVarUint(message, DOCUMENT_MESSAGE.sync);
    write(message);
    this.#channel?.send(toUint8Array(message));
  }
}
