import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { StoredDocument } from '../../storage/stores.ts';

/** How often within the time from one snapshot to the next it is asked for at most. */
const ASKS_PER_INTERVAL = 60;

interface GrowthOptions {
  readonly limits: Pick<Limits, 'documentBytesMax' | 'documentLogBatchesMax' | 'documentLogBytesMax' | 'documentSnapshotIntervalMs'>;
  readonly clock: Clock;
}

/** How much a document has in its state and in the log behind it. */
export class Growth {
  readonly #options: GrowthOptions;
  #stateBytes: number;
  #logBytes: number;
  /** Last batch that the state has. */
  #stateSequence: number;
  /** When a snapshot is due, soon after the start, as others may have kept the last one long ago; and one was asked for last. */
  #dueAtMs: number;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ state, batches }: StoredDocument, options: GrowthOptions) {
    this.#options = options;
    this.#stateBytes = state?.update.length ?? 0;
    this.#stateSequence = state?.sequence ?? 0;
    this.#logBytes = batches.reduce((bytes, { updates }) => updates.reduce((sum, update) => sum + update.length, bytes), 0);
    this.#dueAtMs = options.clock.now() + options.limits.documentSnapshotIntervalMs / ASKS_PER_INTERVAL;
  }

  isTooLarge(bytes: number): boolean {
    return this.#stateBytes + this.#logBytes + bytes > this.#options.limits.documentBytesMax;
  }

  appended(bytes: number): void {
    this.#logBytes += bytes;
  }

  /** A state of so many bytes has taken the place of the log up to a batch. */
  compacted(sequence: number, stateBytes: number): void {
    this.#stateSequence = sequence;
    this.#stateBytes = stateBytes;
    // What came since is little, and counted anew with the next state.
    this.#logBytes = 0;
  }

  /** As the database says, which knows of those that others kept. */
  snapshotDueIn(ms: number): void {
    this.#dueAtMs = this.#options.clock.now() + ms;
  }

  /** Batches up to this one that opening the document anew would replay. */
  batchesUpTo(sequence: number): number {
    return sequence - this.#stateSequence;
  }

  /**
   * Whether a state should take the place of the log: early, so that there is little to put together at once; but a large state is not
   * written again for every little thing. And now and then whatever there is, of which a snapshot is kept.
   */
  isStateDue(sequence: number): boolean {
    const { limits } = this.#options;
    const isTime = this.#isSnapshotDue();
    const isLong = this.batchesUpTo(sequence) >= limits.documentLogBatchesMax;
    return isTime || isLong || this.#logBytes >= Math.max(limits.documentLogBytesMax, this.#stateBytes / 2);
  }

  /** Asked for again only after a while, as it may have failed. */
  #isSnapshotDue(): boolean {
    const nowMs = this.#options.clock.now();
    const pauseMs = this.#options.limits.documentSnapshotIntervalMs / ASKS_PER_INTERVAL;
    if (nowMs < this.#dueAtMs || nowMs - this.#askedAtMs < pauseMs) return false;
    this.#askedAtMs = nowMs;
    return true;
  }
}
