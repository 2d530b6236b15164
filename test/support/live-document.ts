import { createDecoder, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding';
import { createEncoder, length, toUint8Array, writeVarUint, writeVarUint8Array } from 'lib0/encoding';
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness';
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync';
import * as Y from 'yjs';
import { DOCUMENT_MESSAGE, type Refusal } from '../../protocol/documents/index.ts';
import type { CovistaError } from '../../protocol/errors.ts';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import { Allowances } from '../../server/services/documents/allowance.ts';
import { DocumentChannel } from '../../server/services/documents/document-channel.ts';
import { LiveDocument } from '../../server/services/documents/live-document.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import type { NewDocumentBatch, StoredDocument } from '../../server/storage/stores.ts';

/** A document whose log is in memory, with clients in the same process. */
export interface MemoryDocument {
  readonly document: LiveDocument;
  readonly batches: NewDocumentBatch[];
  /** Stands before each commit. */
  beforeCommit: () => Promise<void>;
  connect(subject: string, options?: Partial<MemoryClientOptions>): MemoryClient;
  /** What the log alone comes to. */
  reloaded(): Y.Doc;
}

export interface MemoryClientOptions {
  readonly canWrite: boolean;
  readonly receipts: boolean;
  readonly doc: Y.Doc;
  /** Of the connection that it is on, if it is on one with others. */
  readonly allowances: Allowances;
}

export function memoryDocument(limits: Partial<Limits> = {}, kind: 'dataset' | 'user' = 'dataset'): MemoryDocument {
  const batches: NewDocumentBatch[] = [];
  const resolved = { ...defaultLimits, ...limits };
  const made: Pick<MemoryDocument, 'beforeCommit'> = { beforeCommit: async () => undefined };
  const append = async (_lease: unknown, batch: NewDocumentBatch): Promise<'written'> => {
    await made.beforeCommit();
    batches.push(batch);
    return 'written';
  };
  const stored: StoredDocument = { state: null, batches: [], bindings: [], told: [] };
  const document = new LiveDocument({
    name: 'dataset/1',
    kind,
    lease: { documentId: 'a document', fence: 1 },
    stored,
    store: { append },
    limits: resolved,
    answers: new CacheCounts(),
    clock: systemClock,
    log: createLog('silent', false),
    onLost: () => undefined,
    onGrown: () => undefined,
  });
  return Object.assign(made, {
    document,
    batches,
    connect: (subject: string, options: Partial<MemoryClientOptions> = {}) => {
      const { canWrite = true, receipts = true, doc = new Y.Doc(), allowances = new Allowances(resolved) } = options;
      const client = new MemoryClient(doc);
      client.attach((peer) => {
        const channel = new DocumentChannel({
          document,
          peer,
          subject,
          canWrite,
          isVisitor: false,
          receipts,
          allowances,
          limits: resolved,
          clock: systemClock,
          onClosed: () => undefined,
        });
        channel.begin();
        return channel;
      });
      return client;
    },
    reloaded: () => {
      const doc = newDoc();
      for (const { updates } of batches) for (const update of updates) Y.applyUpdate(doc, update);
      return doc;
    },
  });
}

function newDoc(): Y.Doc {
  const doc = new Y.Doc();
  for (const map of ['views', 'annotations', 'preferences']) doc.getMap(map);
  return doc;
}

type Peer = ConstructorParameters<typeof DocumentChannel>[0]['peer'];

/** A client of y-websocket's protocol, without the socket: what it sends arrives in a turn of its own. */
export class MemoryClient {
  readonly doc: Y.Doc;
  readonly awareness: Awareness;
  readonly refusals: Refusal[] = [];
  readonly denials: string[] = [];
  /** Everything that it received. */
  readonly received: Uint8Array[] = [];
  durable = 0;
  edits = 0;
  queuedBytes = 0;
  /** Whether all that is sent counts as waiting, though it is received. */
  countsQueue = false;
  closedBy: CovistaError | undefined;
  isClosed = false;
  #channel: DocumentChannel | undefined;

  constructor(doc: Y.Doc) {
    this.doc = doc;
    for (const map of ['views', 'annotations', 'preferences']) doc.getMap(map);
    this.awareness = new Awareness(doc);
    doc.on('update', (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.sendEdit(update);
    });
    this.awareness.on('update', ({ added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>) => {
      const message = createEncoder();
      writeVarUint(message, DOCUMENT_MESSAGE.awareness);
      writeVarUint8Array(message, encodeAwarenessUpdate(this.awareness, [...added, ...updated, ...removed]));
      this.send(toUint8Array(message));
    });
  }

  views(): Y.Map<Y.Map<unknown>> {
    return this.doc.getMap('views');
  }

  annotations(): Y.Map<Y.Map<unknown>> {
    return this.doc.getMap('annotations');
  }

  attach(open: (peer: Peer) => DocumentChannel): void {
    const self = this;
    const peer: Peer = {
      send: (bytes) => {
        this.received.push(bytes);
        if (this.countsQueue) this.queuedBytes += bytes.length;
        queueMicrotask(() => this.#receive(bytes));
      },
      get queuedBytes() {
        return self.queuedBytes;
      },
      drop: () => {
        this.queuedBytes = 0;
      },
      close: (reason) => {
        this.closedBy = reason;
        this.close();
      },
    };
    this.#channel = open(peer);
    const step1 = createEncoder();
    writeVarUint(step1, DOCUMENT_MESSAGE.sync);
    writeSyncStep1(step1, this.doc);
    this.send(toUint8Array(step1));
  }

  sendEdit(update: Uint8Array): void {
    const message = createEncoder();
    writeVarUint(message, DOCUMENT_MESSAGE.sync);
    writeUpdate(message, update);
    this.edits += 1;
    this.send(toUint8Array(message));
  }

  send(message: Uint8Array): void {
    queueMicrotask(() => {
      if (this.isClosed) return;
      try {
        this.#channel?.receive(message);
      } catch (error) {
        this.closedBy = error as CovistaError;
        this.close();
      }
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#channel?.closed();
    this.awareness.destroy();
  }

  #receive(bytes: Uint8Array): void {
    const decoder = createDecoder(bytes);
    const kind = readVarUint(decoder);
    if (kind === DOCUMENT_MESSAGE.awareness) applyAwarenessUpdate(this.awareness, readVarUint8Array(decoder), this);
    else if (kind === DOCUMENT_MESSAGE.durable) this.durable = readVarUint(decoder);
    else if (kind === DOCUMENT_MESSAGE.refused) this.refusals.push(JSON.parse(readVarString(decoder)) as Refusal);
    else if (kind === DOCUMENT_MESSAGE.auth) {
      readVarUint(decoder);
      this.denials.push(readVarString(decoder));
    } else {
      const answer = createEncoder();
      writeVarUint(answer, DOCUMENT_MESSAGE.sync);
      readSyncMessage(decoder, answer, this.doc, this);
      if (length(answer) === 1) return;
      this.edits += 1;
      this.send(toUint8Array(answer));
    }
  }
}

const ROUNDS = 20;

/** Resolves when nothing is under way any more between the document, its log and its clients. */
export async function quiet(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) await new Promise((resolve) => setImmediate(resolve));
}
