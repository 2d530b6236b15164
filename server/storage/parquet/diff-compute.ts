import { randomUUID } from 'node:crypto';
import { rm, stat } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import type { Limits } from '../../../protocol/limits.ts';
import type { Content, DiffCounts, OnProgress } from '../content-store.ts';
import { compareByKey } from './diff-by-key.ts';
import type { KeyChecks } from './diff-keys.ts';
import { compareAsMultiset } from './diff-multiset.ts';
import type { DiffPlan } from './diff-plan.ts';
import type { DigestPlan } from './digest-plan.ts';
import { targetLiteral } from './quote.ts';
import type { Session } from './session.ts';

/** Where the changes of a diff are: positions in the differing files of either side, in the order of the pages. */
export interface ComputedDiff {
  readonly counts: DiffCounts;
  readonly changes: number;
  /** A Parquet file with the columns `from_pos`, `to_pos` and `occurrences`; null when nothing differs. */
  readonly path: string | null;
  readonly bytes: number;
}

export const NOTHING: ComputedDiff = { counts: { added: 0, removed: 0, changed: 0 }, changes: 0, path: null, bytes: 0 };

/** The changes as something that can be read, like a version. */
export function resultContent(path: string | null, changes: number): Content {
  const columns = ['from_pos', 'to_pos', 'occurrences'];
  return {
    schema: columns.map((name, columnId) => ({ columnId, name, type: 'BIGINT', nullable: true })),
    schemaHash: '',
    rows: changes,
    files: path === null ? [] : [{ path, rows: changes, sha256: '', schemaHash: '' }],
  };
}

export interface Computing {
  readonly session: Session;
  readonly plan: DiffPlan;
  readonly limits: Limits;
  readonly keyChecks: KeyChecks;
  /** The rows of both sides as digests, by which they are compared instead of by their cells. */
  readonly digests: DigestPlan | undefined;
  /** Where the result goes. */
  readonly directory: string;
  readonly onProgress: OnProgress;
}

export async function computeDiff(computing: Computing): Promise<ComputedDiff> {
  const { session, plan } = computing;
  await session.execute('CREATE TEMP TABLE changes (from_pos BIGINT, to_pos BIGINT, occurrences BIGINT)');
  if (plan.key === null) await compareAsMultiset(session, plan, computing.limits);
  else await compareByKey(computing, plan.key);
  const [row] = await session.rows(`SELECT count(*) AS changes,
    ifnull(sum(occurrences) FILTER (from_pos IS NULL), 0)::BIGINT AS added,
    ifnull(sum(occurrences) FILTER (to_pos IS NULL), 0)::BIGINT AS removed,
    count(*) FILTER (from_pos IS NOT NULL AND to_pos IS NOT NULL) AS changed FROM changes`);
  const counts = { added: Number(row?.added), removed: Number(row?.removed), changed: Number(row?.changed) };
  const changes = Number(row?.changes);
  return changes === 0 ? NOTHING : { counts, changes, ...(await writeResult(computing)) };
}

/** First what became of the rows of `from`, in their order; then the rows that are new, in the order of `to`. */
async function writeResult({ session, directory, onProgress }: Computing): Promise<{ path: string; bytes: number }> {
  onProgress({ phase: 'sort', done: 0, total: 1, unit: 'steps' });
  const path = joinPath(directory, `${randomUUID()}.parquet`);
  const sorted = 'SELECT from_pos, to_pos, occurrences FROM changes ORDER BY from_pos NULLS LAST, to_pos';
  try {
    await session.execute(`COPY (${sorted}) TO ${targetLiteral(path)} (FORMAT parquet, COMPRESSION zstd)`);
    return { path, bytes: (await stat(path)).size };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
