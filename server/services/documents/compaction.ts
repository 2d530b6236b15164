import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { EntriesPage, PagedEntry } from '../../shared/document-entries.ts';
import type { Logger } from '../../shared/log.ts';
import type { Lateness } from '../../shared/promptness.ts';
import type { StoredState } from '../../shared/stored-updates.ts';
import type { DocumentLease, DocumentStore } from '../../storage/stores.ts';
import type { LiveDocument } from './live-document.ts';

/** Puts states of documents together, in a thread of its own, to which it gives the updates away. */
export interface DocumentStates {
  /**
   * Puts a state in the place of the log of a document, which goes from the database to the thread and back without this one.
   * Undefined: there is no log, or somebody else has the document.
   */
  compactStored(lease: DocumentLease): Promise<StoredState | undefined>;
  compact(updates: readonly Uint8Array[]): Promise<Uint8Array>;
  read(updates: readonly Uint8Array[], maps: readonly string[]): Promise<Readonly<Record<string, unknown>>>;
  page(page: EntriesPage): Promise<readonly PagedEntry[]>;
}

export interface CompactionOptions {
  readonly store: Pick<DocumentStore, 'addPeriodicSnapshot'>;
  readonly states: Pick<DocumentStates, 'compactStored'>;
  readonly limits: Pick<Limits, 'documentSnapshotIntervalMs' | 'documentPeriodicSnapshotsMax'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Puts a state in the place of the log, one document at a time, so that opening one never means replaying much. */
export class Compaction implements Lateness {
  readonly #options: CompactionOptions;
  readonly #waiting = new Map<LiveDocument, PromiseWithResolvers<void>>();
  /** When each was asked for that was not done since, because it waits or failed. */
  readonly #askedAtMs = new Map<LiveDocument, number>();
  /** Batches of logs of which no state can be put together, when that was tried. */
  readonly #unfit = new WeakMap<LiveDocument, number>();
  #running: Promise<void> | undefined;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Soon; once, however often it is asked. Resolves when it was tried. */
  request(document: LiveDocument): Promise<void> {
    if (document.logBatches < (this.#unfit.get(document) ?? 0) * 2) return Promise.resolve();
    const tried = this.#waiting.get(document) ?? Promise.withResolvers<void>();
    this.#waiting.set(document, tried);
    if (!this.#askedAtMs.has(document)) this.#askedAtMs.set(document, this.#options.clock.now());
    this.#running ??= this.#run();
    return tried.promise;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** It is open here no longer: whoever opens it next sees to its log. */
  forget(document: LiveDocument): void {
    this.#askedAtMs.delete(document);
  }

  /** Since when the document has been asked for that has waited longest. */
  get lagMs(): number {
    const nowMs = this.#options.clock.now();
    let lagMs = 0;
    for (const askedAtMs of this.#askedAtMs.values()) lagMs = Math.max(lagMs, nowMs - askedAtMs);
    return lagMs;
  }

  async #run(): Promise<void> {
    for (const [document, tried] of this.#waiting) {
      this.#waiting.delete(document);
      await this.#tryToCompact(document);
      tried.resolve();
    }
    this.#running = undefined;
  }

  async #tryToCompact(document: LiveDocument): Promise<void> {
    const { clock, log } = this.#options;
    try {
      await this.#compact(document);
      this.#askedAtMs.delete(document);
      if (this.#waiting.has(document)) this.#askedAtMs.set(document, clock.now());
    } catch (err) {
      // The log is as good, and longer; the next edits try again. Where it is at fault itself it is to be quite another one by then.
      if (err instanceof CovistaError && err.code === 'unprocessable_data') {
        this.#unfit.set(document, document.logBatches);
        this.#askedAtMs.delete(document);
      }
      log.warn({ err, document: document.name }, 'a document could not be compacted');
    }
  }

  async #compact(document: LiveDocument): Promise<void> {
    const { store, states, limits } = this.#options;
    const { lease } = document;
    if (document.isLost) return;
    const state = await states.compactStored(lease);
    if (state === undefined) return;
    document.compacted(state.sequence, state.bytes);
    const { documentSnapshotIntervalMs: everyMs, documentPeriodicSnapshotsMax: keptMax } = limits;
    document.snapshotDueIn(await store.addPeriodicSnapshot(lease.documentId, { everyMs, keptMax }));
  }
}
