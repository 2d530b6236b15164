import { CovistaError, ERRORS } from '../../../protocol/errors.ts';
import type { DatasetId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { KeyedMutex } from '../../shared/mutex.ts';
import type { Landing, ObjectStore, PendingCommit, VersionStore } from '../../storage/stores.ts';

export interface CommitQueue {
  /** Lands a commit behind those that wait for the dataset; many land in one transaction. */
  land(datasetId: DatasetId, commit: PendingCommit): Promise<Landing>;
  /**
   * Runs work that reads the head of a branch and then lands what it made of it. Meanwhile nothing else of this server
   * moves the branch, so the work is not done in vain; other branches go on.
   */
  exclusive<T>(datasetId: DatasetId, branch: string, work: (land: (commit: PendingCommit) => Promise<Landing>) => Promise<T>): Promise<T>;
  /** Commits that wait to land, of all datasets. */
  waiting(): number;
}

interface QueueOptions {
  readonly versions: VersionStore;
  readonly objects: ObjectStore;
  readonly limits: Limits;
}

/**
 * One queue per dataset. The database's lock on the branch is the authority; the queue only spares transactions: what has
 * gathered while one ran lands together in the next, each commit on top of the one before.
 */
export function createCommitQueue(options: QueueOptions): CommitQueue {
  const lanes = new Map<DatasetId, Lane>();
  const holders = new KeyedMutex<string>();

  const laneOf = (datasetId: DatasetId): Lane => {
    const lane = lanes.get(datasetId) ?? new Lane(datasetId, options, () => lanes.delete(datasetId));
    lanes.set(datasetId, lane);
    return lane;
  };

  return {
    land: async (datasetId, commit) => laneOf(datasetId).enqueue(commit, false),
    exclusive: (datasetId, branch, work) =>
      holders.run(`${datasetId}/${branch}`, async () => {
        const lane = laneOf(datasetId);
        await lane.hold(branch);
        try {
          return await work(async (commit) => lane.enqueue(commit, true));
        } finally {
          lane.release(branch);
        }
      }),
    waiting: () => [...lanes.values()].reduce((total, lane) => total + lane.waiting, 0),
  };
}

interface Waiting {
  readonly commit: PendingCommit;
  /** Landed by the holder of the branch, and so not held back by it. */
  readonly privileged: boolean;
  readonly settle: PromiseWithResolvers<Landing>;
}

/** The commits that wait for one dataset. */
class Lane {
  readonly #datasetId: DatasetId;
  readonly #options: QueueOptions;
  readonly #onIdle: () => void;
  readonly #held = new Set<string>();
  #waiting: Waiting[] = [];
  /** Branches in the transaction that is under way. */
  #landing: ReadonlySet<string> = new Set();
  /** Settles when the transaction that is under way ends. */
  #landed = Promise.withResolvers<void>();
  #running = false;

  constructor(datasetId: DatasetId, options: QueueOptions, onIdle: () => void) {
    this.#datasetId = datasetId;
    this.#options = options;
    this.#onIdle = onIdle;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  enqueue(commit: PendingCommit, privileged: boolean): Promise<Landing> {
    const { commitsQueuedMax } = this.#options.limits;
    if (!privileged && this.#waiting.length >= commitsQueuedMax) {
      throw new CovistaError('rate_limited', `${commitsQueuedMax} commits already wait for dataset ${this.#datasetId}`, {
        commitsQueuedMax,
        retryAfterMs: 1_000,
      });
    }
    const settle = Promise.withResolvers<Landing>();
    this.#waiting.push({ commit, privileged, settle });
    void this.#drain();
    return settle.promise;
  }

  /** Holds back the commits of a branch, and waits for the one under way. */
  async hold(branch: string): Promise<void> {
    this.#held.add(branch);
    while (this.#landing.has(branch)) await this.#landed.promise;
  }

  release(branch: string): void {
    this.#held.delete(branch);
    void this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (let batch = this.#takeBatch(); batch.length > 0; batch = this.#takeBatch()) {
      this.#landing = new Set(batch.map(({ commit }) => commit.branch));
      await this.#land(batch);
      this.#landing = new Set();
      this.#landed.resolve();
      this.#landed = Promise.withResolvers();
    }
    this.#running = false;
    if (this.#waiting.length === 0 && this.#held.size === 0) this.#onIdle();
  }

  /** Takes, in order, the commits that may land now. */
  #takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const rest: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const free = waiting.privileged || !this.#held.has(waiting.commit.branch);
      (free && batch.length < this.#options.limits.commitBatchMax ? batch : rest).push(waiting);
    }
    this.#waiting = rest;
    return batch;
  }

  async #land(batch: readonly Waiting[]): Promise<void> {
    const { versions, objects } = this.#options;
    try {
      const commits = batch.map(({ commit }) => commit);
      const landings = await versions.land(this.#datasetId, commits, objects.publish);
      for (const [index, { settle }] of batch.entries()) settle.resolve(landings[index] as Landing);
    } catch (error) {
      // One commit may have spoilt it for all, so each is tried by itself; not where the database itself is the trouble.
      const hopeless = error instanceof CovistaError && ERRORS[error.code].retry === 'later';
      if (batch.length === 1 || hopeless) for (const { settle } of batch) settle.reject(error);
      else for (const waiting of batch) await this.#land([waiting]);
    }
  }
}
