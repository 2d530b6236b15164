import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { DisposalStore, Released } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { array, fragment, sql } from './sql.ts';

type Due = Parameters<DisposalStore['release']>[0];

/** What is to go of a dataset in one step. */
interface Chosen {
  readonly datasetId: DatasetId;
  readonly isDeleted: boolean;
  readonly versionIds: readonly VersionId[];
  /** Files and originals that no other version had when they were chosen; only versions from `nextVersionId` on can have come to have them since. */
  readonly fileIds: readonly number[];
  readonly originalKeys: readonly string[];
  readonly nextVersionId: number;
}

const ago = (ms: number) => fragment`now() - ${ms} * interval '1 millisecond'`;

export class PostgresDisposalStore implements DisposalStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async release(due: Due): Promise<Released | null> {
    const { condemned } = await this.#database.one(sql<{ condemned: number }>`
      SELECT count(*) AS condemned FROM (SELECT FROM condemned_objects LIMIT ${due.condemnedMax}) AS waiting`);
    if (condemned >= due.condemnedMax) return null;
    const chosen = await this.#choose(due);
    if (chosen === undefined) return null;
    if (chosen.versionIds.length === 0) return this.#purge(chosen, due);
    return this.#database.transaction((transaction) => releaseChosen(transaction, chosen, due));
  }

  async announce(): Promise<void> {
    await this.#database.rows(sql`UPDATE condemned_objects SET announced_at = clock_timestamp() WHERE announced_at IS NULL`);
  }

  async join(readerId: string, kind: 'server' | 'backup', leaseMs: number): Promise<void> {
    await this.#database.rows(sql`
      INSERT INTO file_readers (reader_id, kind, acknowledged_at, expires_at)
      VALUES (${readerId}::uuid, ${kind}, clock_timestamp(), clock_timestamp() + ${leaseMs} * interval '1 millisecond')
      ON CONFLICT (reader_id) DO UPDATE SET acknowledged_at = excluded.acknowledged_at, expires_at = excluded.expires_at`);
  }

  /** The time is taken before the table is read: what was announced by then had been committed, and is among what is read. */
  async acknowledge(readerId: string, leaseMs: number, heldOf: (condemned: readonly string[]) => string[]): Promise<boolean> {
    const { at } = await this.#database.one(sql<{ at: string }>`SELECT clock_timestamp()::text AS at`);
    const rows = await this.#database.rows(sql<{ key: string }>`SELECT object_key AS key FROM condemned_objects`);
    const held = heldOf(rows.map(({ key }) => key));
    return this.#database.transaction(async (transaction) => {
      const found = await transaction.first(sql`
        UPDATE file_readers SET acknowledged_at = greatest(acknowledged_at, ${at}::timestamptz),
          expires_at = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
        WHERE reader_id = ${readerId}::uuid AND expires_at > clock_timestamp() RETURNING reader_id`);
      if (found === undefined) return false;
      await transaction.rows(sql`
        DELETE FROM object_holds WHERE reader_id = ${readerId}::uuid AND NOT object_key = ANY (${array(held, 'text')})`);
      await transaction.rows(sql`
        INSERT INTO object_holds (reader_id, object_key) SELECT ${readerId}::uuid, unnest(${array(held, 'text')}) ON CONFLICT DO NOTHING`);
      return true;
    });
  }

  async leave(readerId: string): Promise<void> {
    await this.#database.rows(sql`DELETE FROM file_readers WHERE reader_id = ${readerId}::uuid`);
  }

  async leaveAll(): Promise<void> {
    await this.#database.rows(sql`DELETE FROM file_readers WHERE kind = 'server'`);
  }

  async disposable(limit: number): Promise<string[]> {
    await this.#database.rows(sql`DELETE FROM file_readers WHERE expires_at <= clock_timestamp()`);
    const rows = await this.#database.rows(sql<{ key: string }>`
      SELECT c.object_key AS key FROM condemned_objects c
      WHERE c.announced_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM object_holds h WHERE h.object_key = c.object_key)
        AND NOT EXISTS (SELECT FROM file_readers r WHERE r.acknowledged_at <= c.announced_at)
      ORDER BY c.object_key LIMIT ${limit}`);
    return rows.map(({ key }) => key);
  }

  async disposed(objectKeys: readonly string[]): Promise<void> {
    await this.#database.rows(sql`DELETE FROM condemned_objects WHERE object_key = ANY (${array(objectKeys, 'text')})`);
  }

  /** Without the lock, because it reads what all versions of the dataset have. */
  async #choose({ graceMs, versionsMax }: Due): Promise<Chosen | undefined> {
    const target = await this.#database.first(sql<{ datasetId: DatasetId; isDeleted: boolean; nextVersionId: number }>`
      SELECT d.dataset_id AS "datasetId", coalesce(d.deleted_at <= ${ago(graceMs)}, false) AS "isDeleted", d.next_version_id AS "nextVersionId"
      FROM (
        (SELECT dataset_id FROM versions WHERE removed_at <= ${ago(graceMs)} AND released_at IS NULL ORDER BY removed_at LIMIT 1)
        UNION (SELECT dataset_id FROM datasets WHERE deleted_at <= ${ago(graceMs)} ORDER BY deleted_at LIMIT 1)
      ) AS due JOIN datasets d USING (dataset_id) LIMIT 1`);
    if (target === undefined) return undefined;
    const { datasetId, isDeleted } = target;
    const going = isDeleted ? fragment`true` : fragment`removed_at <= ${ago(graceMs)}`;
    const found = await this.#database.one(sql<Omit<Chosen, keyof typeof target>>`
      WITH going AS MATERIALIZED (
        SELECT version_id, file_ids, original_key FROM versions
        WHERE dataset_id = ${datasetId} AND released_at IS NULL AND ${going} ORDER BY version_id LIMIT ${versionsMax}
      ), others AS MATERIALIZED (
        SELECT file_ids, original_key FROM versions WHERE dataset_id = ${datasetId} AND released_at IS NULL
          AND version_id NOT IN (SELECT version_id FROM going)
      )
      SELECT ARRAY(SELECT version_id FROM going ORDER BY version_id) AS "versionIds",
        ARRAY(SELECT unnest(file_ids) FROM going EXCEPT SELECT unnest(file_ids) FROM others) AS "fileIds",
        ARRAY(SELECT original_key FROM going WHERE original_key IS NOT NULL
          EXCEPT SELECT original_key FROM others WHERE original_key IS NOT NULL) AS "originalKeys"`);
    return { ...target, ...found };
  }

  /** The last of a deleted dataset: its row, with everything that refers to it. Its audit entries stay. */
  async #purge({ datasetId }: Chosen, { graceMs }: Due): Promise<Released | null> {
    return this.#database.transaction(async (transaction) => {
      await transaction.rows(sql`SELECT set_config('statement_timeout', ${String(this.#database.limits.operationTimeoutMs)}, true)`);
      const isDue = await transaction.first(sql`
        SELECT dataset_id FROM datasets WHERE dataset_id = ${datasetId} AND deleted_at <= ${ago(graceMs)}
          AND NOT EXISTS (SELECT FROM versions v WHERE v.dataset_id = ${datasetId} AND v.released_at IS NULL) FOR UPDATE`);
      if (isDue === undefined) return null;
      const condemned = await condemn(
        transaction,
        fragment`DELETE FROM data_files WHERE dataset_id = ${datasetId}
        RETURNING object_key AS key, dataset_id, bytes`,
      );
      await transaction.rows(sql`DELETE FROM pointers WHERE dataset_id = ${datasetId}`);
      await transaction.rows(sql`DELETE FROM events WHERE dataset_id = ${datasetId}`);
      await transaction.rows(sql`DELETE FROM datasets WHERE dataset_id = ${datasetId}`);
      return { datasetId, versions: 0, condemned, isPurged: true };
    });
  }
}

async function releaseChosen(transaction: Executor, chosen: Chosen, { graceMs }: Due): Promise<Released> {
  const { datasetId, isDeleted, versionIds, nextVersionId } = chosen;
  await transaction.rows(sql`SELECT dataset_id FROM datasets WHERE dataset_id = ${datasetId} FOR NO KEY UPDATE`);
  // What was brought back since, be it the dataset or a version, stays; then nothing goes in this step but what is chosen anew.
  const stillDue = isDeleted
    ? fragment`EXISTS (SELECT FROM datasets WHERE dataset_id = ${datasetId} AND deleted_at <= ${ago(graceMs)})`
    : fragment`removed_at <= ${ago(graceMs)}`;
  const { due } = await transaction.one(sql<{ due: number }>`
    SELECT count(*) AS due FROM versions WHERE dataset_id = ${datasetId} AND version_id = ANY (${array(versionIds, 'int4')})
      AND released_at IS NULL AND ${stillDue}`);
  if (due < versionIds.length) return { datasetId, versions: 0, condemned: 0, isPurged: false };
  const newer = fragment`versions v WHERE v.dataset_id = ${datasetId} AND v.version_id >= ${nextVersionId} AND v.released_at IS NULL`;
  const originals = await condemn(
    transaction,
    fragment`
      SELECT DISTINCT ON (original_key) original_key AS key, dataset_id, (original ->> 'bytes')::bigint AS bytes FROM versions
      WHERE dataset_id = ${datasetId} AND version_id = ANY (${array(versionIds, 'int4')}) AND original_key = ANY (${array(chosen.originalKeys, 'text')})
        AND NOT EXISTS (SELECT FROM ${newer} AND v.original_key = versions.original_key)`,
  );
  await transaction.rows(sql`
    UPDATE versions SET removed_at = coalesce(removed_at, now()), released_at = now(), file_ids = '{}', original_key = NULL
    WHERE dataset_id = ${datasetId} AND version_id = ANY (${array(versionIds, 'int4')})`);
  const files = await condemn(
    transaction,
    fragment`
      DELETE FROM data_files WHERE dataset_id = ${datasetId} AND file_id = ANY (${array(chosen.fileIds, 'int8')})
        AND file_id NOT IN (SELECT unnest(v.file_ids) FROM ${newer})
      RETURNING object_key AS key, dataset_id, bytes`,
  );
  return { datasetId, versions: versionIds.length, condemned: originals + files, isPurged: false };
}

/** Objects with `key`, `dataset_id` and `bytes`; answers how many there are. */
async function condemn(transaction: Executor, objects: ReturnType<typeof fragment>): Promise<number> {
  const { condemned } = await transaction.one(sql<{ condemned: number }>`
    WITH objects AS (${objects}), added AS (
      INSERT INTO condemned_objects (object_key, dataset_id, bytes, condemned_at)
      SELECT key, dataset_id, bytes, clock_timestamp() FROM objects RETURNING 1
    ) SELECT count(*) AS condemned FROM added`);
  return condemned;
}
