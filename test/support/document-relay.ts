import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness';
import * as Y from 'yjs';
import type { OpenChannel } from '../../client/channel-call.ts';
import type { ConnectDocument } from '../../client/documents/session-options.ts';
import type { ChannelOptions } from '../../client/types.ts';
import { DOCUMENT_MESSAGE, type DocumentOpened, type Refusal } from '../../protocol/documents/messages.ts';
import { CovistaError } from '../../protocol/errors.ts';

const SYNC = { ask: 0, difference: 1, update: 2 } as const;

interface RelayLine {
  readonly options: ChannelOptions;
  readonly opened: DocumentOpened;
  readonly clients: Set<number>;
  edits: number;
  isOpen: boolean;
}

/** What the relay does with an edit; the default takes it up and acknowledges it. */
export type EditRule = (update: Uint8Array, line: RelayLine) => Omit<Refusal, 'edit'> | 'hold' | undefined;

/** One document in memory with channels to it, as a server would have; what it says and does is the test's to choose. */
export class DocumentRelay {
  doc = new Y.Doc();
  readonly awareness = new Awareness(new Y.Doc());
  opened: Omit<DocumentOpened, 'subject'> = { documentId: 'first', canWrite: true };
  /** Set: the next openings fail with it. */
  refuseOpening: CovistaError | undefined;
  rule: EditRule = () => undefined;
  /** Set: no channel takes a longer message, as no request of a link may be longer. */
  messageBytesMax = Number.POSITIVE_INFINITY;
  /** Set: what it does before it answers the next who opens it; they have its edits as everybody else. */
  beforeAnswering: (() => void) | undefined;
  /** Every message that arrived, as its type and, of a sync message, its kind. */
  readonly received: string[] = [];
  readonly #lines = new Set<RelayLine>();

  constructor() {
    this.awareness.setLocalState(null);
  }

  /** The way that a client of this person opens the document. */
  connectAs(subject: string): ConnectDocument {
    return async (_name, options): Promise<OpenChannel<DocumentOpened>> => {
      if (options.signal?.aborted === true) throw new CovistaError('cancelled', 'the caller cancelled');
      if (this.refuseOpening !== undefined) throw this.refuseOpening;
      const line: RelayLine = { options, opened: { ...this.opened, subject }, clients: new Set(), edits: 0, isOpen: true };
      this.#lines.add(line);
      queueMicrotask(() => this.#greet(line));
      return { opened: line.opened, send: (bytes) => this.#take(line, bytes), close: () => this.#close(line, undefined) };
    };
  }

  get lines(): number {
    return this.#lines.size;
  }

  /** Ends all channels, as a lost connection does. */
  drop(reason: CovistaError | undefined = new CovistaError('unavailable', 'lost', { connectionLost: true })): void {
    for (const line of [...this.#lines]) this.#close(line, reason);
  }

  /** Acknowledges what was held. */
  settle(): void {
    for (const line of this.#lines) this.#send(line, DOCUMENT_MESSAGE.durable, (encoder) => encoding.writeVarUint(encoder, line.edits));
  }

  #greet(line: RelayLine): void {
    if (this.beforeAnswering !== undefined) {
      const before = Y.encodeStateAsUpdate(this.doc);
      this.beforeAnswering();
      this.beforeAnswering = undefined;
      this.#sync(line, SYNC.update, Y.diffUpdate(Y.encodeStateAsUpdate(this.doc), Y.encodeStateVectorFromUpdate(before)));
    }
    this.#sync(line, SYNC.ask, Y.encodeStateVector(this.doc));
    const clients = [...this.awareness.getStates().keys()];
    if (clients.length > 0) this.#present(line, encodeAwarenessUpdate(this.awareness, clients));
  }

  #close(line: RelayLine, reason: CovistaError | undefined): void {
    if (!line.isOpen) return;
    line.isOpen = false;
    this.#lines.delete(line);
    removeAwarenessStates(this.awareness, [...line.clients], 'closed');
    this.#relay(line, (other) => this.#present(other, encodeAwarenessUpdate(this.awareness, [...line.clients])));
    queueMicrotask(() => line.options.onClose?.(reason));
  }

  #take(line: RelayLine, bytes: Uint8Array): void {
    if (!line.isOpen) return;
    if (bytes.length > this.messageBytesMax) throw new CovistaError('payload_too_large', `${bytes.length} bytes`, { bytesMax: this.messageBytesMax });
    queueMicrotask(() => this.#receive(line, bytes));
  }

  #receive(line: RelayLine, bytes: Uint8Array): void {
    if (!line.isOpen) return;
    const decoder = decoding.createDecoder(bytes);
    const type = decoding.readVarUint(decoder);
    if (type === DOCUMENT_MESSAGE.awareness) {
      this.received.push('awareness');
      this.#meet(line, decoding.readVarUint8Array(decoder));
      return;
    }
    const kind = decoding.readVarUint(decoder);
    const content = decoding.readVarUint8Array(decoder);
    this.received.push(Object.keys(SYNC)[kind] ?? 'unknown');
    if (kind === SYNC.ask) this.#sync(line, SYNC.difference, Y.encodeStateAsUpdate(this.doc, content));
    else this.#edit(line, content);
  }

  #meet(line: RelayLine, update: Uint8Array): void {
    const decoder = decoding.createDecoder(update);
    decoding.readVarUint(decoder);
    line.clients.add(decoding.readVarUint(decoder));
    applyAwarenessUpdate(this.awareness, update, line);
    this.#relay(line, (other) => this.#present(other, update));
  }

  #edit(line: RelayLine, update: Uint8Array): void {
    line.edits += 1;
    const verdict = this.rule(update, line);
    if (typeof verdict === 'object') {
      const refusal: Refusal = { edit: line.edits, ...verdict };
      this.#send(line, DOCUMENT_MESSAGE.refused, (encoder) => encoding.writeVarString(encoder, JSON.stringify(refusal)));
    } else {
      Y.applyUpdate(this.doc, update);
      if (this.doc.store.pendingStructs !== null) throw new Error('an edit came before those that it rests on');
      this.#relay(line, (other) => this.#sync(other, SYNC.update, update));
    }
    if (verdict !== 'hold') this.#send(line, DOCUMENT_MESSAGE.durable, (encoder) => encoding.writeVarUint(encoder, line.edits));
  }

  #relay(from: RelayLine, tell: (line: RelayLine) => void): void {
    for (const line of this.#lines) if (line !== from) tell(line);
  }

  #sync(line: RelayLine, kind: number, content: Uint8Array): void {
    this.#send(line, DOCUMENT_MESSAGE.sync, (encoder) => {
      encoding.writeVarUint(encoder, kind);
      encoding.writeVarUint8Array(encoder, content);
    });
  }

  #present(line: RelayLine, update: Uint8Array): void {
    this.#send(line, DOCUMENT_MESSAGE.awareness, (encoder) => encoding.writeVarUint8Array(encoder, update));
  }

  #send(line: RelayLine, type: number, write: (encoder: encoding.Encoder) => void): void {
    const bytes = encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, type);
      write(encoder);
    });
    queueMicrotask(() => line.isOpen && line.options.onMessage(bytes));
  }
}
