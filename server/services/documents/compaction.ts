import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { DocumentStore, StoredDocument } from '../../storage/stores.ts';
import type { LiveDocument } from './live-document.ts';

/** Puts states of documents together, in a thread of its own. */
export interface DocumentStates {
  compact(updates: readonly Uint8Array[]): Promise<Uint8Array>;
  read(updates: readonly Uint8Array[], maps: readonly string[]): Promise<Readonly<Record<string, unknown>>>;
}

export interface CompactionOptions {
  readonly store: Pick<DocumentStore, 'load' | 'compact' | 'addPeriodicSnapshot'>;
  readonly states: DocumentStates;
  readonly limits: Pick<Limits, 'documentSnapshotIntervalMs' | 'documentPeriodicSnapshotsMax'>;
  readonly log: Logger;
}

/** Everything that a document was made of, in order. */
export function updatesOf({ state, batches }: StoredDocument): Uint8Array[] {
  return [...(state === null ? [] : [state.update]), ...batches.flatMap(({ updates }) => updates)];
}

/** Puts a state in the place of the log, one document at a time, so that opening one never means replaying much. */
export class Compaction {
  readonly #options: CompactionOptions;
  readonly #waiting = new Set<LiveDocument>();
  #running: Promise<void> | undefined;

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Soon; once, however often it is asked. */
  request(document: LiveDocument): void {
    this.#waiting.add(document);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const document of this.#waiting) {
      this.#waiting.delete(document);
      await this.#compact(document);
    }
    this.#running = undefined;
  }

  async #compact(document: LiveDocument): Promise<void> {
    const { store, states, limits, log } = this.#options;
    const { lease } = document;
    try {
      const stored = await store.load(lease.documentId);
      const last = stored.batches.at(-1);
      if (last === undefined || document.isLost) return;
      const update = await states.compact(updatesOf(stored));
      if (!(await store.compact(lease, { sequence: last.sequence, update }))) return;
      document.compacted(last.sequence, update.length);
      const { documentSnapshotIntervalMs: everyMs, documentPeriodicSnapshotsMax: keptMax } = limits;
      await store.addPeriodicSnapshot(lease.documentId, { state: update, everyMs, keptMax });
    } catch (err) {
      // The log is as good, and longer; the next edits try again.
      log.warn({ err, document: document.name }, 'a document could not be compacted');
    }
  }
}
