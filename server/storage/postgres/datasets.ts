import type { DatasetId } from '../../../protocol/ids.ts';
import type { DatasetFilter, DatasetRecord, DatasetStore, NewDataset, Provenance } from '../stores.ts';
import type { Database } from './database.ts';
import { changeDataset, once, record } from './record.ts';
import { array, fragment, sql } from './sql.ts';

const COLUMNS = fragment`d.dataset_id AS "datasetId", d.name, d.description, d.labels, d.key, d.created_by AS "createdBy",
  d.created_at AS "createdAt", d.updated_at AS "updatedAt"`;

export class PostgresDatasetStore implements DatasetStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(dataset: NewDataset, provenance: Provenance): Promise<DatasetRecord> {
    const { actor } = provenance;
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        const created = await transaction.one(sql<DatasetRecord>`
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
      WHERE ${granted} AND ${found} AND ${labelled} AND ${older}
      ORDER BY d.dataset_id DESC LIMIT ${limit}`);
    return [...rows];
  }

  get(datasetId: DatasetId): Promise<DatasetRecord | undefined> {
    return this.#database.first(sql<DatasetRecord>`SELECT ${COLUMNS} FROM datasets d WHERE d.dataset_id = ${datasetId}`);
  }

  async storage(datasetsMax: number): Promise<{ largest: { datasetId: DatasetId; bytes: number }[]; othersBytes: number }> {
    const rows = await this.#database.rows(sql<{ datasetId: DatasetId; bytes: number }>`
      WITH stored AS (
        SELECT dataset_id, bytes FROM data_files
        UNION ALL
        SELECT dataset_id, bytes FROM (
          SELECT DISTINCT ON (original_key) dataset_id, (original ->> 'bytes')::bigint AS bytes FROM versions WHERE original_key IS NOT NULL
        ) AS originals
      )
      SELECT dataset_id AS "datasetId", sum(bytes)::bigint AS bytes FROM stored GROUP BY dataset_id ORDER BY bytes DESC, dataset_id`);
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

  /** The events go too, but for the last one, from which watchers learn of it. A long history takes longer than a statement may. */
  async delete(datasetId: DatasetId, provenance: Provenance): Promise<void> {
    await changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      await transaction.rows(sql`SELECT set_config('statement_timeout', ${String(this.#database.limits.operationTimeoutMs)}, true)`);
      await transaction.rows(sql`DELETE FROM pointers WHERE dataset_id = ${datasetId}`);
      await transaction.rows(sql`DELETE FROM events WHERE dataset_id = ${datasetId}`);
      const { name } = await transaction.one(sql<{ name: string }>`DELETE FROM datasets WHERE dataset_id = ${datasetId} RETURNING name`);
      return { result: {}, event: { kind: 'dataset.deleted', data: { datasetId, name } }, detail: { name } };
    });
  }
}

function grantedTo(principals: readonly string[]) {
  return fragment`EXISTS (
    SELECT FROM grants g WHERE g.dataset_id = d.dataset_id AND g.principal = ANY (${array(principals, 'text')})
      AND coalesce(g.valid_from <= now(), true) AND coalesce(g.valid_until > now(), true))`;
}

/** Compared as plain text, so that no character of the search is a wildcard. */
function containing(search: string) {
  return fragment`EXISTS (
    SELECT FROM unnest(ARRAY[d.name, d.description] || d.labels) AS part WHERE strpos(lower(part), lower(${search})) > 0)`;
}
