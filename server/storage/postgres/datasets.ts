import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, Subject } from '../../../protocol/ids.ts';
import type { DatasetFilter, DatasetRecord, DatasetStore, DeletedDataset, NewDataset, Provenance, SealedSizes } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { changeDataset, lockDataset, noDataset, once, record } from './record.ts';
import { wakeSchedules } from './schedule-rows.ts';
import { array, fragment, sql } from './sql.ts';

const COLUMNS = fragment`d.dataset_id AS "datasetId", d.name, d.description, d.labels, d.key, d.created_by AS "createdBy",
  d.created_at AS "createdAt", d.updated_at AS "updatedAt"`;

export class PostgresDatasetStore implements DatasetStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(dataset: NewDataset, provenance: Provenance): Promise<DatasetRecord> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        const created = await insertDataset(transaction, dataset, provenance.actor);
        const { datasetId } = created;
        const entry = { provenance, datasetId, versionId: null, detail: { name: created.name }, events: [], output: created };
        await record(transaction, { at: created.createdAt }, [entry]);
        return created;
      }),
    );
  }

  async list({ principals, search, label, before, limit }: DatasetFilter): Promise<DatasetRecord[]> {
    const granted = principals === null ? fragment`true` : grantedTo(principals);
    const found = search === undefined || search === '' ? fragment`true` : containing(search);
    const labelled = label === undefined ? fragment`true` : fragment`d.labels @> ${array([label], 'text')}`;
    const older = before === undefined ? fragment`true` : fragment`d.dataset_id < ${before}`;
    const rows = await this.#database.rows(sql<DatasetRecord>`
      SELECT ${COLUMNS} FROM datasets d
      WHERE d.deleted_at IS NULL AND ${granted} AND ${found} AND ${labelled} AND ${older}
      ORDER BY d.dataset_id DESC LIMIT ${limit}`);
    return [...rows];
  }

  get(datasetId: DatasetId): Promise<DatasetRecord | undefined> {
    return this.#database.first(sql<DatasetRecord>`SELECT ${COLUMNS} FROM datasets d
      WHERE d.dataset_id = ${datasetId} AND d.deleted_at IS NULL`);
  }

  async storage(
    datasetsMax: number,
    sealed: SealedSizes | null,
  ): Promise<{ largest: { datasetId: DatasetId; bytes: number }[]; othersBytes: number }> {
    // The last piece is there also where it is empty.
    const added =
      sealed === null
        ? fragment`0`
        : fragment`${sealed.headerBytes}::bigint + ${sealed.extraBytes}::bigint * greatest(1, (bytes + ${sealed.pieceBytes - 1}::bigint) / ${sealed.pieceBytes}::bigint)`;
    const rows = await this.#database.rows(sql<{ datasetId: DatasetId; bytes: number }>`
      WITH stored AS (
        SELECT dataset_id, bytes FROM data_files
        UNION ALL SELECT dataset_id, bytes FROM condemned_objects
        UNION ALL
        SELECT dataset_id, bytes FROM (
          SELECT DISTINCT ON (original_key) dataset_id, (original ->> 'bytes')::bigint AS bytes FROM versions WHERE original_key IS NOT NULL
        ) AS originals
        UNION ALL SELECT s.dataset_id, r.bytes FROM schedule_runs r JOIN schedules s USING (schedule_id) WHERE r.file IS NOT NULL
      )
      SELECT dataset_id AS "datasetId", sum(bytes + ${added})::bigint AS bytes FROM stored GROUP BY dataset_id ORDER BY 2 DESC, 1`);
    return { largest: rows.slice(0, datasetsMax), othersBytes: rows.slice(datasetsMax).reduce((sum, { bytes }) => sum + bytes, 0) };
  }

  update(datasetId: DatasetId, changes: Partial<NewDataset>, provenance: Provenance): Promise<DatasetRecord> {
    const changed = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, { at }) => {
      const result = await transaction.one(sql<DatasetRecord>`
        UPDATE datasets d SET
          name = coalesce(${changes.name ?? null}, name),
          description = coalesce(${changes.description ?? null}, description),
          labels = coalesce(${array(changes.labels ?? null, 'text')}, labels),
          key = CASE WHEN ${changes.key !== undefined} THEN ${array(changes.key ?? null, 'text')} ELSE key END,
          updated_at = ${at}
        WHERE dataset_id = ${datasetId}
        RETURNING ${COLUMNS}`);
      return { result, event: { kind: 'dataset.updated', data: changed }, detail: changed };
    });
  }

  /** Its events stay, the last one telling watchers of it, so that whoever comes back after an undelete misses nothing. */
  async delete(datasetId: DatasetId, provenance: Provenance): Promise<void> {
    await changeDataset(this.#database, { datasetId, provenance }, async (transaction, { at }) => {
      const { name } = await transaction.one(sql<{ name: string }>`
        UPDATE datasets SET deleted_at = ${at}, deleted_by = ${provenance.actor} WHERE dataset_id = ${datasetId} RETURNING name`);
      return { result: {}, event: { kind: 'dataset.deleted', data: { datasetId, name } }, detail: { name } };
    });
  }

  undelete(datasetId: DatasetId, graceMs: number, provenance: Provenance): Promise<DatasetRecord> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        // The row is locked by this, and everything below sees a dataset that is there.
        const result = await transaction.first(sql<DatasetRecord>`
          UPDATE datasets d SET deleted_at = NULL, deleted_by = NULL
          WHERE d.dataset_id = ${datasetId} AND ${within(graceMs)} RETURNING ${COLUMNS}`);
        if (result === undefined) throw noDeleted(datasetId);
        const dataset = await lockDataset(transaction, datasetId);
        if (dataset === undefined) throw noDataset(datasetId);
        const events = [{ kind: 'dataset.restored', data: { datasetId, name: result.name } }] as const;
        await record(transaction, dataset, [{ provenance, datasetId, versionId: null, detail: { name: result.name }, events, output: result }]);
        await wakeSchedules(transaction, datasetId);
        return result;
      }),
    );
  }

  async listDeleted(filter: Parameters<DatasetStore['listDeleted']>[0]): Promise<DeletedDataset[]> {
    const { principals, before, limit, graceMs } = filter;
    const mine = principals === null ? fragment`true` : grantedTo(principals, 'admin');
    const older = before === undefined ? fragment`true` : fragment`d.dataset_id < ${before}`;
    const rows = await this.#database.rows(sql<DeletedDataset>`
      SELECT ${COLUMNS}, d.deleted_at AS "deletedAt", d.deleted_by AS "deletedBy" FROM datasets d
      WHERE ${within(graceMs)} AND ${mine} AND ${older} ORDER BY d.dataset_id DESC LIMIT ${limit}`);
    return [...rows];
  }
}

/** A dataset without versions, and the grant of its creator. */
export function insertDataset(transaction: Executor, dataset: NewDataset, actor: Subject): Promise<DatasetRecord> {
  return transaction.one(sql<DatasetRecord>`
    WITH d AS (
      INSERT INTO datasets (name, description, labels, key, created_by, created_at, updated_at)
      SELECT ${dataset.name}, ${dataset.description}, ${array(dataset.labels, 'text')}, ${array(dataset.key, 'text')}, ${actor}, at, at
      FROM date_trunc('milliseconds', now()) AS at
      RETURNING dataset_id, name, description, labels, key, created_by, created_at, updated_at
    ), granted AS (
      INSERT INTO grants (dataset_id, principal, permission, granted_by, granted_at)
      SELECT dataset_id, ${`user:${actor}`}, 'admin', ${actor}, created_at FROM d
    )
    SELECT ${COLUMNS} FROM d`);
}

/** Deleted, and not for longer than that. */
function within(graceMs: number) {
  return fragment`d.deleted_at > now() - ${graceMs} * interval '1 millisecond'`;
}

function noDeleted(datasetId: DatasetId): CovistaError {
  return new CovistaError('not_found', `there is no deleted dataset ${datasetId} that you could bring back`, { datasetId });
}

function grantedTo(principals: readonly string[], permission?: 'admin') {
  const level = permission === undefined ? fragment`true` : fragment`g.permission = ${permission}`;
  return fragment`EXISTS (
    SELECT FROM grants g WHERE g.dataset_id = d.dataset_id AND g.principal = ANY (${array(principals, 'text')}) AND ${level}
      AND coalesce(g.valid_from <= now(), true) AND coalesce(g.valid_until > now(), true))`;
}

/** Compared as plain text, so that no character of the search is a wildcard. */
function containing(search: string) {
  return fragment`EXISTS (
    SELECT FROM unnest(ARRAY[d.name, d.description] || d.labels) AS part WHERE strpos(lower(part), lower(${search})) > 0)`;
}
