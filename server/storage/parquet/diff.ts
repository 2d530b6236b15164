import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Logger } from '../../shared/log.ts';
import type { ContentStore, Control, DiffResult } from '../content-store.ts';
import type { ObjectStore } from '../stores.ts';
import type { Broker } from './broker.ts';
import { type ComputedDiff, computeDiff, NOTHING, resultContent } from './diff-compute.ts';
import { KeyChecks } from './diff-keys.ts';
import { readPage } from './diff-page.ts';
import { type DiffPlan, planDiff } from './diff-plan.ts';
import { DiffResults } from './diff-results.ts';
import { EngineError } from './engine-error.ts';
import { type DigestLoad, type HeldDigests, RowDigests } from './row-digests.ts';

export interface DifferOptions {
  readonly broker: Broker;
  readonly limits: Limits;
  /** Private to this differ: whatever is in it when it starts is removed. The broker must be allowed to use it. */
  readonly directory: string;
  readonly log: Logger;
  /** Keeps the files of versions where they are read for digests, after the diff that wanted them. */
  readonly lease?: ObjectStore['lease'];
  /** Where it is counted how often a diff, the digests of its rows, and that keys are in order, were there already. */
  readonly counts?: Readonly<Record<'diffs' | 'digests' | 'keyChecks', CacheCounts>>;
}

export interface Differ {
  readonly diff: ContentStore['diff'];
  readonly prepareDiff: ContentStore['prepareDiff'];
  /** Of the digests of rows. */
  readonly digestLoad: () => DigestLoad;
  /** Resolves when no digests of rows wait to be made. */
  idle(): Promise<void>;
  /** Stops what is being computed and removes all results. */
  close(): Promise<void>;
}

const NOTHING_HELD: ObjectStore['lease'] = async () => () => undefined;

export async function createDiffer(options: DifferOptions): Promise<Differ> {
  const { broker, limits, directory, log, lease = NOTHING_HELD } = options;
  const counts = options.counts ?? { diffs: new CacheCounts(), digests: new CacheCounts(), keyChecks: new CacheCounts() };
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true, force: true });
  const keyChecks = new KeyChecks(limits, counts.keyChecks);
  const results = new DiffResults({ limits, log, counts: counts.diffs });
  const digests = new RowDigests({ broker, limits, log, lease, directory: join(directory, 'digests'), counts: counts.digests });

  const run = (plan: DiffPlan, control: Required<Control>, held?: HeldDigests): Promise<ComputedDiff> => {
    const parts = { plan, limits, keyChecks, digests: held?.digests, directory, onProgress: control.onProgress };
    return broker.run('bulk', control, (session) => computeDiff({ session, ...parts }));
  };

  /** By digests of the rows where all are there; otherwise by their cells, and then digests are made for the next. */
  const compute = async (plan: DiffPlan, control: Required<Control>): Promise<ComputedDiff> => {
    const held = digests.hold(plan);
    try {
      if (held !== undefined) return await run(plan, control, held);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      log.warn({ error }, 'digests of rows could not be compared, so their cells are');
      held?.forget();
    } finally {
      held?.release();
    }
    const computed = await run(plan, control);
    digests.request(plan);
    return computed;
  };

  /** Uses the result of a plan: one that is kept, that is being computed, or a new one. */
  const use = <T>(plan: DiffPlan, control: Control, work: (computed: ComputedDiff) => Promise<T>): Promise<T> => {
    if (isIdentical(plan)) return work(NOTHING);
    return results.use(plan.id, control, work, (shared) => compute(plan, shared));
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
    prepareDiff: (content, key) => digests.prepare(content, key),
    digestLoad: () => digests.load,
    idle: () => digests.idle(),
    close: async () => {
      await results.close();
      await digests.close();
    },
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
