import type { DatasetId } from '../../../protocol/ids.ts';
import { assert, present } from '../../shared/assert.ts';
import type { LandedVersion, Landing, NewDataset, PendingCommit, Publication } from '../stores.ts';
import { type Database, type Executor, RunAgain } from './database.ts';
import { insertDataset } from './datasets.ts';
import { LandingPlan } from './landing-plan.ts';
import { readLandingState } from './landing-state.ts';
import { lockDataset, noDataset, once, RepeatedCommand, record } from './record.ts';
import { array, json, sql } from './sql.ts';

type Publish = (files: readonly Publication[]) => Promise<void>;

/**
 * Lands a batch of commits in one transaction of five statements, however many commits it has. Files are published last:
 * whatever can fail for another reason has succeeded by then, and a published file that nothing refers to is swept later.
 */
export async function land(database: Database, datasetId: DatasetId, commits: readonly PendingCommit[], publish: Publish): Promise<Landing[]> {
  assert(commits.length <= database.limits.commitBatchMax, 'a batch has more commits than may land at once');
  return database.transaction(async (transaction) => {
    const dataset = await lockDataset(transaction, datasetId);
    if (!dataset) throw noDataset(datasetId);
    const plan = new LandingPlan(dataset, await readLandingState(transaction, dataset, commits), database.limits);
    for (const commit of commits) plan.add(commit);
    if (plan.versions.length > 0) {
      await write(transaction, plan);
      await recordPlan(transaction, plan);
      await publish(plan.publications);
    }
    return plan.landings;
  });
}

/** A dataset and its first version in one transaction: whatever keeps the version from landing takes the dataset back. */
export function landFirst(database: Database, dataset: NewDataset, commit: PendingCommit, publish: Publish): Promise<LandedVersion> {
  const { provenance } = commit;
  return once(database, provenance, () =>
    database.transaction(async (transaction) => {
      const { datasetId } = await insertDataset(transaction, dataset, provenance.actor);
      const made = present(await lockDataset(transaction, datasetId), 'the dataset that was just made');
      const plan = new LandingPlan(made, await readLandingState(transaction, made, [commit]), database.limits);
      plan.add(commit);
      const [landing] = plan.landings;
      if (landing?.outcome === 'refused') throw landing.error;
      assert(landing?.outcome === 'landed', 'there is no head yet that could have moved');
      if (plan.versions.length === 0) throw new RepeatedCommand('the command was carried out meanwhile');
      await write(transaction, plan);
      const entries = plan.entries.map((entry) => ({ ...entry, detail: { name: dataset.name, ...entry.detail } }));
      await record(transaction, plan.dataset, entries);
      await publish(plan.publications);
      return landing.version;
    }),
  );
}

/** A command that another server carried out meanwhile shows when this is run again. */
async function recordPlan(transaction: Executor, plan: LandingPlan): Promise<void> {
  try {
    await record(transaction, plan.dataset, plan.entries);
  } catch (error) {
    if (error instanceof RepeatedCommand) throw new RunAgain('a commit of the batch landed elsewhere');
    throw error;
  }
}

async function write(transaction: Executor, plan: LandingPlan): Promise<void> {
  const { datasetId, at } = plan.dataset;
  await transaction.rows(sql`
    WITH new_files AS (
      INSERT INTO data_files (file_id, dataset_id, object_key, rows, bytes, sha256, schema_hash, sequence)
      SELECT file_id, ${datasetId}::integer, object_key, rows, bytes, sha256, schema_hash, sequence
      FROM json_to_recordset(${json(fileRows(plan))}::json) AS f(
        file_id bigint, object_key text, rows bigint, bytes bigint, sha256 text, schema_hash text, sequence integer)
    ), new_versions AS (
      INSERT INTO versions (dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes,
        file_ids, schema, schema_hash, key, conversion, original, original_key)
      SELECT ${datasetId}::integer, version_id, parents, generation, branch, mode, message, author, ${at}::timestamptz, rows, bytes,
        file_ids, schema, schema_hash, key, conversion, original, original_key
      FROM json_to_recordset(${json(versionRows(plan))}::json) AS v(
        version_id integer, parents integer[], generation integer, branch text, mode text, message text, author text, rows bigint,
        bytes bigint, file_ids bigint[], schema jsonb, schema_hash text, key text[], conversion jsonb, original jsonb, original_key text)
    ), moved AS (
      INSERT INTO pointers (dataset_id, name, kind, branch_id, version_id, created_by, created_at, moved_at)
      SELECT ${datasetId}::integer, name, 'branch', branch_id, version_id, created_by, ${at}::timestamptz, ${at}::timestamptz
      FROM json_to_recordset(${json(pointerRows(plan))}::json) AS p(name text, branch_id bigint, version_id integer, created_by text)
      ON CONFLICT (dataset_id, name) DO UPDATE SET version_id = excluded.version_id, moved_at = excluded.moved_at
    ), logged AS (
      INSERT INTO branch_log (dataset_id, branch_id, name, action, from_version, to_version, actor, at, message)
      SELECT ${datasetId}::integer, branch_id, name, action, from_version, to_version, actor, ${at}::timestamptz, message
      FROM json_to_recordset(${json(movementRows(plan))}::json) AS m(
        branch_id bigint, name text, action text, from_version integer, to_version integer, actor text, message text)
    )
    DELETE FROM uploads WHERE upload_id = ANY (${array(plan.uploadIds, 'text')}::uuid[])`);
}

const fileRows = ({ files }: LandingPlan) =>
  files.map(({ fileId, objectKey, rows, bytes, sha256, schemaHash, versionId }) => ({
    file_id: fileId,
    object_key: objectKey,
    rows,
    bytes,
    sha256,
    schema_hash: schemaHash,
    sequence: versionId,
  }));

const versionRows = ({ versions }: LandingPlan) =>
  versions.map(({ record: { versionId, ...version }, fileIds, schemaHash, originalKey }) => ({
    ...version,
    version_id: versionId,
    file_ids: fileIds,
    schema_hash: schemaHash,
    original_key: originalKey,
  }));

const pointerRows = ({ branches }: LandingPlan) =>
  branches.map(({ name, branchId, head, createdBy }) => ({ name, branch_id: branchId, version_id: head?.versionId, created_by: createdBy }));

const movementRows = ({ movements }: LandingPlan) =>
  movements.map(({ branchId, name, action, from, to, actor, message }) => ({
    branch_id: branchId,
    name,
    action,
    from_version: from,
    to_version: to,
    actor,
    message,
  }));
