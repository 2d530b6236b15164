import { randomUUID } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { Provenance, RetentionPolicy, RetentionRecord, RetentionStore, StorageUse } from '../../storage/stores.ts';

export interface RetentionRun {
  readonly datasetId: DatasetId;
  readonly dryRun: boolean;
  readonly policy: RetentionPolicy | null;
  readonly versionIds: VersionId[];
  readonly remaining: number;
  readonly files: number;
  readonly bytes: number;
}

export interface Retention {
  get(datasetId: DatasetId): Promise<RetentionRecord & { readonly datasetId: DatasetId; readonly graceMs: number; readonly storage: StorageUse }>;
  set(datasetId: DatasetId, policy: RetentionPolicy | null, provenance: Provenance): Promise<RetentionRecord & { readonly datasetId: DatasetId }>;
  /** What a policy, that of the dataset if it is undefined, would remove. */
  preview(datasetId: DatasetId, policy: RetentionPolicy | undefined): Promise<RetentionRun>;
  /** Removes some of what the policy does not keep; `outputOf` makes the command's result of it. */
  run<Output>(datasetId: DatasetId, outputOf: (run: RetentionRun) => Output, provenance: Provenance): Promise<Output>;
  restore(datasetId: DatasetId, versionIds: readonly VersionId[] | null, provenance: Provenance): Promise<VersionId[]>;
  /** Carries out the policies of all datasets, in steps; stops between two of them when it is told to. */
  runAll(signal: AbortSignal): Promise<void>;
}

export interface RetentionOptions {
  readonly store: RetentionStore;
  /** Tells this server's caches that versions were removed or came back; others hear of it from the database. */
  readonly onChange: (datasetId: DatasetId) => void;
  readonly limits: Pick<Limits, 'removalGraceMs' | 'retentionStepVersionsMax' | 'pageItemsMax'>;
  readonly log: Logger;
}

/** How often a run plans anew before whoever asked is told to ask again. */
const PLANS_MAX = 3;

class PlanChanged extends CovistaError {}

const NOTHING = { versionIds: [], count: 0, files: 0, bytes: 0 };

export function createRetention({ store, onChange, limits, log }: RetentionOptions): Retention {
  const { retentionStepVersionsMax: stepMax } = limits;

  const preview: Retention['preview'] = async (datasetId, tried) => {
    const policy = tried ?? (await store.get(datasetId)).policy;
    const { count, ...found } = policy === null ? NOTHING : await store.unkept(datasetId, policy, stepMax);
    return { datasetId, dryRun: true, policy, ...found, remaining: count - found.versionIds.length };
  };

  const removePlanned = async <Output>(planned: RetentionRun, outputOf: (run: RetentionRun) => Output, provenance: Provenance): Promise<Output> => {
    const output = (versionIds: VersionId[]) => {
      // The sums of the plan would be none of what was removed.
      if (versionIds.length < planned.versionIds.length)
        throw new PlanChanged('conflict', 'what the policy keeps changes all the time; run it again');
      return outputOf({ ...planned, versionIds, dryRun: false });
    };
    return await store.remove(planned.datasetId, planned.versionIds, output, provenance);
  };

  const run: Retention['run'] = async (datasetId, outputOf, provenance) => {
    for (let attempt = 1; ; attempt += 1) {
      const planned = await preview(datasetId, undefined);
      try {
        const result = await removePlanned(planned, outputOf, provenance);
        onChange(datasetId);
        return result;
      } catch (error) {
        // Most often the server's own round came between, and the next plan is what it left.
        if (!(error instanceof PlanChanged) || attempt === PLANS_MAX) throw error;
      }
    }
  };

  const runOne = async (datasetId: DatasetId, setBy: string, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      const { versionIds, remaining } = await preview(datasetId, undefined);
      if (versionIds.length === 0) return;
      const provenance = { actor: setBy, operation: 'retention.run', requestId: `retention-${randomUUID()}`, address: '' };
      const removed = await store.remove(datasetId, versionIds, (ids) => ids, provenance);
      onChange(datasetId);
      log.info({ datasetId, versions: removed.length, remaining }, 'versions that the policy does not keep were removed');
      if (removed.length === 0 || remaining === 0) return;
    }
  };

  return {
    preview,
    run,
    get: async (datasetId) => ({
      datasetId,
      ...(await store.get(datasetId)),
      graceMs: limits.removalGraceMs,
      storage: await store.storage(datasetId),
    }),
    set: async (datasetId, policy, provenance) => ({ datasetId, ...(await store.set(datasetId, policy, provenance)) }),
    restore: async (datasetId, versionIds, provenance) => {
      const restored = await store.restore(datasetId, versionIds, provenance);
      onChange(datasetId);
      return restored;
    },
    runAll: async (signal) => {
      for (let after: DatasetId | undefined; !signal.aborted; ) {
        const page = await store.withPolicy({ after, limit: limits.pageItemsMax });
        for (const { datasetId, setBy } of page) await runOne(datasetId, setBy ?? '', signal).catch((error: unknown) => reportUnlessGone(error, log));
        if (page.length < limits.pageItemsMax) return;
        after = page.at(-1)?.datasetId;
      }
    },
  };
}

/** A dataset that was deleted meanwhile has no versions to remove; whatever else fails with one keeps no other from its turn. */
function reportUnlessGone(error: unknown, log: Logger): void {
  if (error instanceof CovistaError && error.code === 'not_found') return;
  log.error({ err: error }, 'a policy could not be carried out; it is tried again in the next round');
}
