import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Logger } from '../../shared/log.ts';
import type { ContentStore, Control, DiffResult } from '../content-store.ts';
import type { Broker } from './broker.ts';
import { type ComputedDiff, computeDiff, NOTHING, resultContent } from './diff-compute.ts';
import { KeyChecks } from './diff-keys.ts';
import { readPage } from './diff-page.ts';
import { type DiffPlan, planDiff } from './diff-plan.ts';
import { DiffResults } from './diff-results.ts';

export interface DifferOptions {
  readonly broker: Broker;
  readonly limits: Limits;
  /** Private to this differ: whatever is in it when it starts is removed. The broker must be allowed to use it. */
  readonly directory: string;
  readonly log: Logger;
  /** Where it is counted how often a diff was there already. */
  readonly counts?: CacheCounts;
}

export interface Differ {
  readonly diff: ContentStore['diff'];
  /** Stops what is being computed and removes all results. */
  close(): Promise<void>;
}

export async function createDiffer({ broker, limits, directory, log, counts = new CacheCounts() }: DifferOptions): Promise<Differ> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
  const keyChecks = new KeyChecks(limits);
  const results = new DiffResults({ limits, log, counts });

  /** Uses the result of a plan: one that is kept, that is being computed, or a new one. */
  const use = <T>(plan: DiffPlan, control: Control, work: (computed: ComputedDiff) => Promise<T>): Promise<T> => {
    if (isIdentical(plan)) return work(NOTHING);
    return results.use(plan.id, control, work, (shared) =>
      broker.run('bulk', shared, (session) => computeDiff({ session, plan, limits, keyChecks, directory, onProgress: shared.onProgress })),
    );
  };

  const open = async (plan: DiffPlan, control: Control): Promise<DiffResult> => {
    const { counts, changes } = await use(plan, control, async (computed) => computed);
    return {
      counts,
      changes,
      page: async (position, limit, pageControl) => {
        if (position >= changes || limit === 0) return [];
        const window = { position, limit: Math.min(limit, changes - position), bytesMax: limits.pageBytesMax };
        return use(plan, pageControl, ({ path }) =>
          broker.run(isWide(plan) ? 'bulk' : 'interactive', pageControl, (session) => readPage(session, plan, resultContent(path, changes), window)),
        );
      },
      // Results are kept for those who ask next, within their bounds, whether or not someone holds them.
      close: () => undefined,
    };
  };

  return {
    diff: async (from, to, key, control) => open(planDiff(from, to, key), control),
    close: () => results.close(),
  };
}

/** Joining rows of more columns than this takes more memory than short queries have. */
const INTERACTIVE_COLUMNS_MAX = 200;

function isWide({ from, to }: DiffPlan): boolean {
  return Math.max(from.whole.content.schema.length, to.whole.content.schema.length) > INTERACTIVE_COLUMNS_MAX;
}

function isIdentical({ from, to }: DiffPlan): boolean {
  return from.differing.content.files.length === 0 && to.differing.content.files.length === 0;
}
