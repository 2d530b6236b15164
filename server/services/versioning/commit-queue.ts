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
}

interface Waiting {
  readonly commit: PendingCommit;
  /** Landed by the holder of the branch, and so not held back by it. */
  readonly privileged: boolean;
  readonly settle: PromiseWithResolvers<Landing>;
}

/** The commits that wait for one dataset. */
interface Lane {
  readonly waiting: Waiting[];
  readonly held: Set<string>;
  /** Branches in the transaction that is under way. */
  readonly landing: Set<string>;
  running: boolean;
  /** Settles when the transaction that is under way ends. */
  idle: PromiseWithResolvers<void>;
}

/**
 * One queue per dataset. The database's lock on the branch is the authority; the queue only spares transactions: what has
 * gathered while one ran lands together in the next, each commit on top of the one before.
 */
export function createCommitQueue(options: { readonly versions: VersionStore; readonly objects: ObjectStore; readonly limits: Limits }): CommitQueue {
  const lanes = new Map<DatasetId, Lane>();
  const holders = new KeyedMutex<string>();

  const laneOf = (datasetId: DatasetId): Lane => {
    const lane = lanes.get(datasetId) ?? { waiting: [], held: new Set(), landing: new Set(), running: false, idle: Promise.withResolvers<void>() };
    lanes.set(datasetId, lane);
    return lane;
  };

  const dropIfIdle = (datasetId: DatasetId, lane: Lane): void => {
    if (!lane.running && lane.waiting.length === 0 && lane.held.size === 0) lanes.delete(datasetId);
  };

  const enqueue = (datasetId: DatasetId, commit: PendingCommit, privileged: boolean): Promise<Landing> => {
    const lane = laneOf(datasetId);
    if (lane.waiting.length >= options.limits.commitsQueuedMax) {
      throw new CovistaError('rate_limited', `${lane.waiting.length} commits already wait for dataset ${datasetId}`, { retryAfterMs: 1_000 });
    }
    const settle = Promise.withResolvers<Landing>();
    lane.waiting.push({ commit, privileged, settle });
    void drain(datasetId, lane);
    return settle.promise;
  };

  const drain = async (datasetId: DatasetId, lane: Lane): Promise<void> => {
    if (lane.running) return;
    lane.running = true;
    for (let batch = takeBatch(lane, options.limits.commitBatchMax); batch.length > 0; batch = takeBatch(lane, options.limits.commitBatchMax)) {
      for (const { commit } of batch) lane.landing.add(commit.branch);
      await landBatch(datasetId, batch);
      lane.landing.clear();
      lane.idle.resolve();
      lane.idle = Promise.withResolvers<void>();
    }
    lane.running = false;
    dropIfIdle(datasetId, lane);
  };

  const landBatch = async (datasetId: DatasetId, batch: readonly Waiting[]): Promise<void> => {
    try {
      const landings = await options.versions.land(
        datasetId,
        batch.map(({ commit }) => commit),
        options.objects.publish,
      );
      batch.forEach(({ settle }, index) => settle.resolve(landings[index] as Landing));
    } catch (error) {
      // One commit may have spoilt it for all, so each is tried by itself; not where the database itself is the trouble.
      const hopeless = error instanceof CovistaError && ERRORS[error.code].retry === 'later';
      if (batch.length === 1 || hopeless) for (const { settle } of batch) settle.reject(error);
      else for (const waiting of batch) await landBatch(datasetId, [waiting]);
    }
  };

  return {
    land: async (datasetId, commit) => enqueue(datasetId, commit, false),
    exclusive: (datasetId, branch, work) =>
      holders.run(`${datasetId}/${branch}`, async () => {
        const lane = laneOf(datasetId);
        lane.held.add(branch);
        try {
          while (lane.landing.has(branch)) await lane.idle.promise;
          return await work(async (commit) => enqueue(datasetId, commit, true));
        } finally {
          lane.held.delete(branch);
          void drain(datasetId, lane);
          dropIfIdle(datasetId, lane);
        }
      }),
  };
}

/** Takes, in order, the commits that may land now. */
function takeBatch(lane: Lane, batchMax: number): Waiting[] {
  const batch: Waiting[] = [];
  const rest: Waiting[] = [];
  for (const waiting of lane.waiting) {
    const free = waiting.privileged || !lane.held.has(waiting.commit.branch);
    (free && batch.length < batchMax ? batch : rest).push(waiting);
  }
  lane.waiting.splice(0, lane.waiting.length, ...rest);
  return batch;
}
