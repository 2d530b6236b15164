import { Worker } from 'node:worker_threads';
import { errorFromBody } from '../../protocol/errors.ts';
import { assert } from '../shared/assert.ts';
import type { EntriesPage, PagedEntry } from '../shared/document-entries.ts';
import type { StoredState } from '../shared/stored-updates.ts';
import type { ThreadCounts } from '../shared/thread-counts.ts';
import type { DocumentLease } from '../storage/stores.ts';
import type { DocumentStatesSettings, FromDocumentStates, ToDocumentStates } from './document-states.protocol.ts';

/** Beside this file, with its extension: a checkout runs TypeScript, a package JavaScript. */
const WORKER = new URL(import.meta.url.replace(/\.client(\.\w+)$/, '.worker$1'));

function givenWith(message: ToDocumentStates): readonly Uint8Array[] {
  if (message.kind === 'compactStored') return [];
  return message.kind === 'page' ? [...message.updates, ...(message.unchangedIn ?? [])] : message.updates;
}

/** Memory that is one update's alone goes over to the thread; copying what is large would hold up the loop. */
function ownedBy(updates: readonly Uint8Array[]): ArrayBuffer[] {
  const whole = updates.filter(({ buffer, byteLength }) => byteLength > 0 && buffer.byteLength === byteLength);
  return [...new Set(whole.map(({ buffer }) => buffer as ArrayBuffer))];
}

/**
 * One thread that puts states of documents together, which takes long for large ones. It starts with the first, and anew after a fault;
 * it ends when it has rested for a while, since it keeps the memory that the largest one took. Updates are given away to it.
 */
export class DocumentStatesThread {
  readonly #settings: DocumentStatesSettings;
  readonly #threads: ThreadCounts | undefined;
  #worker: Worker | undefined;
  /** Those that were told to end. */
  readonly #dismissed = new WeakSet<Worker>();
  #rest: NodeJS.Timeout | undefined;
  #waiting: PromiseWithResolvers<FromDocumentStates>[] = [];

  constructor(settings: DocumentStatesSettings, threads?: ThreadCounts) {
    this.#settings = settings;
    this.#threads = threads;
  }

  /** What updates come to, as one update. */
  async compact(updates: readonly Uint8Array[]): Promise<Uint8Array> {
    return (await this.#ask({ kind: 'compact', updates }, 'compacted')).update;
  }

  /** Puts a state in the place of the log of a document; undefined where it has none, or somebody else has the document. */
  async compactStored(lease: DocumentLease): Promise<StoredState | undefined> {
    return (await this.#ask({ kind: 'compactStored', lease }, 'compactedStored')).state;
  }

  /** What the updates come to in maps at the root, as plain JSON. */
  async read(updates: readonly Uint8Array[], maps: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    return (await this.#ask({ kind: 'read', updates, maps }, 'read')).maps;
  }

  /** A page of entries, as plain JSON. */
  async page(page: EntriesPage): Promise<readonly PagedEntry[]> {
    return (await this.#ask({ kind: 'page', ...page }, 'paged')).entries;
  }

  async close(): Promise<void> {
    clearTimeout(this.#rest);
    if (this.#worker === undefined) return;
    this.#dismissed.add(this.#worker);
    await this.#worker.terminate();
  }

  async #ask<Kind extends FromDocumentStates['kind']>(message: ToDocumentStates, kind: Kind): Promise<Extract<FromDocumentStates, { kind: Kind }>> {
    const answer = await this.#answerTo(message);
    if (answer.kind === 'failed') throw errorFromBody(answer.error);
    assert(answer.kind === kind, 'answers in the order of the questions');
    return answer as Extract<FromDocumentStates, { kind: Kind }>;
  }

  /** Keeps the process alive for as long as somebody waits. */
  #answerTo(message: ToDocumentStates): Promise<FromDocumentStates> {
    clearTimeout(this.#rest);
    const worker = this.#worker ?? this.#start();
    const settle = Promise.withResolvers<FromDocumentStates>();
    this.#waiting.push(settle);
    worker.ref();
    worker.postMessage(message, ownedBy(givenWith(message)));
    return settle.promise;
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { name: 'document-states', workerData: this.#settings });
    this.#worker = worker;
    this.#threads?.started('document-states');
    worker.unref();
    worker.on('message', (answer: FromDocumentStates) => {
      this.#waiting.shift()?.resolve(answer);
      if (this.#waiting.length > 0) return;
      worker.unref();
      this.#rest = setTimeout(() => this.#dismiss(worker), this.#settings.limits.documentStatesIdleMs).unref();
    });
    worker.once('error', (error) => this.#lose(worker, error));
    worker.once('exit', () => {
      this.#threads?.ended('document-states', !this.#dismissed.has(worker));
      this.#lose(worker, new Error('the thread for states of documents ended'));
    });
    return worker;
  }

  /** Whoever asks next gets another. */
  #dismiss(worker: Worker): void {
    this.#dismissed.add(worker);
    if (this.#worker === worker) this.#worker = undefined;
    void worker.terminate();
  }

  #lose(worker: Worker, reason: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(reason);
  }
}
