import { CovistaError } from '../../../protocol/errors.ts';
import type { ClientBinding, DocumentLease, DocumentStore } from '../../storage/stores.ts';

export interface DocumentLogOptions {
  readonly store: Pick<DocumentStore, 'append'>;
  readonly lease: DocumentLease;
  /** Of the last batch that was written. */
  readonly sequence: number;
  /** Called once when nothing more can be written; what was not committed is lost to this server. */
  readonly onLost: (reason: CovistaError) => void;
}

/** What an update is: an edit of somebody, or what the server itself changes or puts back, so that nobody's edits are to answer for its size. */
export type Origin = 'edit' | 'own';

interface Batch {
  readonly updates: Uint8Array[];
  readonly bytes: Record<Origin, number>;
  readonly bindings: ClientBinding[];
  readonly committed: (() => void)[];
  /** Called when it is committed or never will be. */
  readonly settled: (() => void)[];
}

const emptyBatch = (): Batch => ({ updates: [], bytes: { edit: 0, own: 0 }, bindings: [], committed: [], settled: [] });

/**
 * Writes the edits of one document in batches: one is on its way to the database at a time, and what comes meanwhile makes the
 * next one. So an edit waits no longer than the commit before its own takes, and edits that come at once share a commit.
 */
export class DocumentLog {
  readonly #options: DocumentLogOptions;
  #sequence: number;
  #waiting = emptyBatch();
  #writing: Batch | undefined;
  readonly #pendingBytes: Record<Origin, number> = { edit: 0, own: 0 };
  #isLost = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: DocumentLogOptions) {
    this.#options = options;
    this.#sequence = options.sequence;
  }

  /** Of the last batch that was committed. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Bytes that are not committed. */
  get pendingBytes(): Readonly<Record<Origin, number>> {
    return this.#pendingBytes;
  }

  get isPending(): boolean {
    return this.#pendingBytes.edit + this.#pendingBytes.own > 0;
  }

  append(update: Uint8Array, bindings: readonly ClientBinding[], origin: Origin): void {
    if (this.#isLost) return;
    this.#pendingBytes[origin] += update.length;
    this.#waiting.bytes[origin] += update.length;
    this.#waiting.updates.push(update);
    this.#waiting.bindings.push(...bindings);
    if (this.#writing === undefined) this.#start();
  }

  /** Calls back when everything that was appended so far is committed, at once when it is; never when the log is lost. */
  whenCommitted(callback: () => void): void {
    if (this.#isLost) return;
    const last = this.#last;
    if (last === undefined) callback();
    else last.committed.push(callback);
  }

  /** Resolves when everything that was appended so far is committed or never will be, whatever comes meanwhile. */
  settled(): Promise<void> {
    const last = this.#last;
    if (last === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      last.settled.push(resolve);
    });
  }

  /** The last batch that is not committed. */
  get #last(): Batch | undefined {
    return this.#waiting.updates.length > 0 ? this.#waiting : this.#writing;
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    if (this.#writing === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  /** Edits of one turn of the loop go together. */
  #start(): void {
    this.#writing = emptyBatch();
    setImmediate(() => void this.#write());
  }

  async #write(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = emptyBatch();
    this.#writing = batch;
    const reason = await this.#append(batch);
    this.#writing = undefined;
    if (reason !== undefined) this.#lose(reason, batch);
    else this.#committed(batch);
    if (this.#writing !== undefined) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  async #append({ updates, bindings }: Batch): Promise<CovistaError | undefined> {
    const { store, lease } = this.#options;
    try {
      const outcome = await store.append(lease, { sequence: this.#sequence + 1, updates, bindings });
      if (outcome === 'written') return undefined;
      if (outcome === 'gone') return new CovistaError('not_found', 'the document was deleted');
      return new CovistaError('unavailable', 'another server has taken the document over');
    } catch (cause) {
      return new CovistaError('unavailable', 'the edits could not be stored', {}, cause);
    }
  }

  #committed({ bytes, committed, settled }: Batch): void {
    this.#sequence += 1;
    this.#pendingBytes.edit -= bytes.edit;
    this.#pendingBytes.own -= bytes.own;
    if (this.#waiting.updates.length > 0) this.#start();
    for (const callback of [...committed, ...settled]) callback();
  }

  #lose(reason: CovistaError, batch: Batch): void {
    const settled = [...batch.settled, ...this.#waiting.settled];
    this.#isLost = true;
    this.#waiting = emptyBatch();
    this.#options.onLost(reason);
    for (const callback of settled) callback();
  }
}
