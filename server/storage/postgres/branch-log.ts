import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { MovementRecord, Page } from '../stores.ts';
import type { Executor } from './database.ts';
import type { LockedDataset } from './record.ts';
import { fragment, sql } from './sql.ts';

export interface NewMovement extends Pick<MovementRecord, 'action' | 'actor' | 'message'> {
  readonly branchId: number;
  /** The name that the branch has after the movement. */
  readonly name: string;
  readonly from: VersionId | null;
  readonly to: VersionId | null;
}

export async function writeMovement(transaction: Executor, { datasetId, at }: LockedDataset, movement: NewMovement): Promise<void> {
  const { branchId, name, action, from, to, actor, message } = movement;
  await transaction.rows(sql`
    INSERT INTO branch_log (dataset_id, branch_id, name, action, from_version, to_version, actor, at, message)
    VALUES (${datasetId}, ${branchId}, ${name}, ${action}, ${from}, ${to}, ${actor}, ${at}, ${message})`);
}

/** Branches that ever had a name. Every name begins with a creation or a renaming, of which a branch has few. */
function branchesNamed(datasetId: DatasetId, name: string) {
  return fragment`(
    SELECT DISTINCT branch_id FROM branch_log WHERE dataset_id = ${datasetId} AND name = ${name} AND action IN ('create', 'rename'))`;
}

/** Movements, newest first, of every branch that ever had the name, those under its other names included. */
export async function readLog(
  executor: Executor,
  datasetId: DatasetId,
  name: string,
  { before = Number.MAX_SAFE_INTEGER, limit }: Page & { readonly before?: number | undefined },
): Promise<MovementRecord[]> {
  const rows = await executor.rows(sql<MovementRecord>`
    SELECT l.sequence, l.name AS branch, l.action, l.from_version AS "from", l.to_version AS "to", l.actor, l.at, l.message
    FROM ${branchesNamed(datasetId, name)} AS named
    CROSS JOIN LATERAL (
      SELECT sequence, name, action, from_version, to_version, actor, at, message FROM branch_log
      WHERE dataset_id = ${datasetId} AND branch_id = named.branch_id AND sequence < ${before} ORDER BY sequence DESC LIMIT ${limit}
    ) AS l
    ORDER BY l.sequence DESC LIMIT ${limit}`);
  return [...rows];
}

/**
 * The head at a time of the branch that has the name now, under whatever name it had then; failing that, of the one that had
 * the name then.
 */
export async function headAt(executor: Executor, datasetId: DatasetId, name: string, time: string): Promise<VersionId | undefined> {
  const row = await executor.first(sql<{ head: VersionId | null }>`
    SELECT l.to_version AS head
    FROM ${branchesNamed(datasetId, name)} AS named
    LEFT JOIN pointers p ON p.branch_id = named.branch_id
    CROSS JOIN LATERAL (
      SELECT sequence, name, to_version FROM branch_log
      WHERE branch_id = named.branch_id AND at <= ${time} ORDER BY at DESC, sequence DESC LIMIT 1
    ) AS l
    WHERE p.name = ${name} OR l.name = ${name}
    ORDER BY (p.name = ${name}) DESC NULLS LAST, l.sequence DESC LIMIT 1`);
  return row?.head ?? undefined;
}
