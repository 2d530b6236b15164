import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Page, Provenance, RetentionPolicy, RetentionRecord, RetentionStore, StorageUse, Unkept } from '../stores.ts';
import type { Database } from './database.ts';
import { changeDataset, noDataset } from './record.ts';
import { array, fragment, json, sql } from './sql.ts';

/** How the column has it. */
interface StoredPolicy extends RetentionPolicy {
  readonly setBy: string;
  readonly setAt: string;
}

const NONE: RetentionRecord = { policy: null, setBy: null, setAt: null };

const recordOf = (stored: StoredPolicy | null): RetentionRecord =>
  stored === null ? NONE : { policy: { keepLast: stored.keepLast, keepDays: stored.keepDays }, setBy: stored.setBy, setAt: stored.setAt };

export class PostgresRetentionStore implements RetentionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async get(datasetId: DatasetId): Promise<RetentionRecord> {
    const row = await this.#database.first(sql<{ retention: StoredPolicy | null }>`
      SELECT retention FROM datasets WHERE dataset_id = ${datasetId} AND deleted_at IS NULL`);
    if (row === undefined) throw noDataset(datasetId);
    return recordOf(row.retention);
  }

  set(datasetId: DatasetId, policy: RetentionPolicy | null, provenance: Provenance): Promise<RetentionRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, { at }) => {
      const stored = policy && { ...policy, setBy: provenance.actor, setAt: at };
      await transaction.rows(sql`
        UPDATE datasets SET retention = ${stored && json(stored)}::jsonb WHERE dataset_id = ${datasetId}`);
      const detail = { policy };
      return { result: recordOf(stored), event: { kind: 'dataset.updated', data: { retention: policy } }, detail };
    });
  }

  storage(datasetId: DatasetId): Promise<StorageUse> {
    return this.#database.one(sql<StorageUse>`
      WITH objects AS (
        SELECT object_key AS key, bytes FROM data_files WHERE dataset_id = ${datasetId}
        UNION SELECT original_key, (original ->> 'bytes')::bigint FROM versions WHERE dataset_id = ${datasetId} AND original_key IS NOT NULL
      ), present AS (
        SELECT d.object_key AS key FROM (
          SELECT DISTINCT unnest(file_ids) AS file_id FROM versions WHERE dataset_id = ${datasetId} AND removed_at IS NULL
        ) AS f JOIN data_files d USING (file_id)
        UNION SELECT original_key FROM versions WHERE dataset_id = ${datasetId} AND removed_at IS NULL AND original_key IS NOT NULL
      )
      SELECT
        (SELECT count(*) FROM versions WHERE dataset_id = ${datasetId} AND removed_at IS NULL) AS versions,
        (SELECT count(*) FROM versions WHERE dataset_id = ${datasetId} AND removed_at IS NOT NULL) AS "removedVersions",
        (SELECT count(*) FROM objects) AS files,
        (SELECT coalesce(sum(bytes), 0)::bigint FROM objects) AS bytes,
        (SELECT coalesce(sum(bytes), 0)::bigint FROM objects WHERE key NOT IN (SELECT key FROM present)) AS "removedBytes",
        (SELECT count(*) FROM condemned_objects WHERE dataset_id = ${datasetId}) AS "condemnedFiles",
        (SELECT coalesce(sum(bytes), 0)::bigint FROM condemned_objects WHERE dataset_id = ${datasetId}) AS "condemnedBytes"`);
  }

  unkept(datasetId: DatasetId, policy: RetentionPolicy, limit: number): Promise<Unkept> {
    return this.#database.one(sql<Unkept>`
      WITH unkept AS MATERIALIZED (${unkeptBy(datasetId, policy)}),
      listed AS MATERIALIZED (SELECT version_id FROM unkept ORDER BY version_id LIMIT ${limit}),
      of_versions AS MATERIALIZED (
        SELECT v.file_ids, v.original_key, (v.original ->> 'bytes')::bigint AS original_bytes, l.version_id IS NOT NULL AS is_listed
        FROM versions v LEFT JOIN listed l USING (version_id) WHERE v.dataset_id = ${datasetId} AND v.removed_at IS NULL
      ), freed AS (
        SELECT d.object_key, d.bytes FROM (
          SELECT unnest(file_ids) AS file_id FROM of_versions WHERE is_listed
          EXCEPT SELECT unnest(file_ids) FROM of_versions WHERE NOT is_listed
        ) AS f JOIN data_files d USING (file_id)
        UNION SELECT original_key, original_bytes FROM of_versions WHERE is_listed AND original_key IS NOT NULL
          AND original_key NOT IN (SELECT original_key FROM of_versions WHERE NOT is_listed AND original_key IS NOT NULL)
      )
      SELECT ARRAY(SELECT version_id FROM listed ORDER BY version_id) AS "versionIds", (SELECT count(*) FROM unkept) AS count,
        (SELECT count(*) FROM freed) AS files, (SELECT coalesce(sum(bytes), 0)::bigint FROM freed) AS bytes`);
  }

  remove<Result>(
    datasetId: DatasetId,
    versionIds: readonly VersionId[],
    outputOf: (removed: VersionId[]) => Result,
    provenance: Provenance,
  ): Promise<Result> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, { at }) => {
      const { retention } = await transaction.one(sql<{ retention: StoredPolicy | null }>`
        SELECT retention FROM datasets WHERE dataset_id = ${datasetId}`);
      const { policy } = recordOf(retention);
      // Policies and pointers change under the same lock, so that what is kept by now stays, whatever was chosen before.
      const unkept = policy === null ? fragment`SELECT NULL::integer AS version_id WHERE false` : unkeptBy(datasetId, policy);
      const rows = await transaction.rows(sql<{ versionId: VersionId }>`
        UPDATE versions v SET removed_at = ${at}
        WHERE v.dataset_id = ${datasetId} AND v.version_id = ANY (${array(versionIds, 'int4')}) AND v.removed_at IS NULL
          AND v.version_id IN (SELECT u.version_id FROM (${unkept}) AS u)
        RETURNING v.version_id AS "versionId"`);
      const removed = rows.map(({ versionId }) => versionId).sort((one, other) => one - other);
      const change = { result: outputOf(removed), detail: { versionIds: removed } };
      return removed.length === 0 ? change : { ...change, event: { kind: 'version.removed', data: { versionIds: removed } } };
    });
  }

  restore(datasetId: DatasetId, versionIds: readonly VersionId[] | null, provenance: Provenance): Promise<VersionId[]> {
    const asked = versionIds === null ? fragment`true` : fragment`v.version_id = ANY (${array(versionIds, 'int4')})`;
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      const rows = await transaction.rows(sql<{ versionId: VersionId }>`
        UPDATE versions v SET removed_at = NULL
        WHERE v.dataset_id = ${datasetId} AND ${asked} AND v.removed_at IS NOT NULL AND v.released_at IS NULL RETURNING v.version_id AS "versionId"`);
      const result = rows.map(({ versionId }) => versionId).sort((one, other) => one - other);
      const change = { result, detail: { versionIds: result }, output: { datasetId, versionIds: result } };
      return result.length === 0 ? change : { ...change, event: { kind: 'version.restored', data: { versionIds: result } } };
    });
  }

  async withPolicy({ after, limit }: Page & { readonly after: DatasetId | undefined }): Promise<(RetentionRecord & { datasetId: DatasetId })[]> {
    const rows = await this.#database.rows(sql<{ datasetId: DatasetId; retention: StoredPolicy }>`
      SELECT dataset_id AS "datasetId", retention FROM datasets
      WHERE retention IS NOT NULL AND deleted_at IS NULL AND dataset_id > ${after ?? 0} ORDER BY dataset_id LIMIT ${limit}`);
    return rows.map(({ datasetId, retention }) => ({ datasetId, ...recordOf(retention) }));
  }
}

/**
 * Versions that a policy does not keep. A version that left a branch within the days is kept, however old it is, so that
 * `main@TIME` of that time goes on working.
 */
function unkeptBy(datasetId: DatasetId, { keepLast, keepDays }: RetentionPolicy) {
  const since = fragment`now() - ${keepDays ?? 0} * interval '1 day'`;
  const days =
    keepDays === null
      ? fragment``
      : fragment`
        UNION SELECT version_id FROM versions WHERE dataset_id = ${datasetId} AND created_at >= ${since}
        UNION SELECT from_version FROM branch_log WHERE dataset_id = ${datasetId} AND from_version IS NOT NULL AND at >= ${since}`;
  return fragment`
    WITH heads AS MATERIALIZED (SELECT DISTINCT version_id FROM pointers WHERE dataset_id = ${datasetId}),
    kept AS MATERIALIZED (
      SELECT version_id FROM heads
      UNION (
        SELECT v.version_id FROM versions v
        WHERE v.dataset_id = ${datasetId} AND v.removed_at IS NULL AND NOT EXISTS (SELECT FROM heads h WHERE h.version_id = v.version_id)
        ORDER BY v.version_id DESC LIMIT ${keepLast ?? 0}
      )
      ${days}
    )
    SELECT v.version_id FROM versions v
    WHERE v.dataset_id = ${datasetId} AND v.removed_at IS NULL AND NOT EXISTS (SELECT FROM kept k WHERE k.version_id = v.version_id)`;
}
