import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, GrantId } from '../../../protocol/ids.ts';
import { Gathering } from '../../shared/gathering.ts';
import type { EffectiveGrant, GrantRecord, GrantStore, NewGrant, Page, Provenance } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { changeDataset, type LockedDataset } from './record.ts';
import { array, fragment, json, sql } from './sql.ts';

const COLUMNS = fragment`g.grant_id AS "grantId", g.dataset_id AS "datasetId", g.principal, g.permission, g.valid_from AS "validFrom",
  g.valid_until AS "validUntil", g.row_filter AS "rowFilter", g.column_mask AS "columnMask",
  g.granted_by AS "grantedBy", g.granted_at AS "grantedAt"`;

const PRESENT = fragment`d.deleted_at IS NULL`;

export class PostgresGrantStore implements GrantStore {
  readonly #database: Database;
  readonly #ofDatasets: Gathering<DatasetId, EffectiveGrant[] | undefined>;

  constructor(database: Database) {
    this.#database = database;
    this.#ofDatasets = new Gathering({ ask: (datasetIds) => this.#of(datasetIds, PRESENT), questionsMax: database.limits.grantLoadsAtOnceMax });
  }

  create(datasetId: DatasetId, grant: NewGrant, provenance: Provenance): Promise<GrantRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      const { principal, permission, validFrom, validUntil, rowFilter = null, filter = null, columnMask = null } = grant;
      await this.#assertRoom(transaction, dataset);
      if (columnMask !== null) await assertColumns(transaction, dataset, columnMask);
      const columnIdsBelow = columnMask === null ? null : dataset.nextColumnId;
      const result = await transaction.one(sql<GrantRecord>`
        INSERT INTO grants AS g (dataset_id, principal, permission, valid_from, valid_until, row_filter, filter, column_mask,
          column_ids_below, granted_by, granted_at)
        VALUES (${datasetId}, ${principal}, ${permission}, ${validFrom}, ${validUntil}, ${rowFilter}, ${filter && json(filter)}::jsonb,
          ${array(columnMask, 'text')}, ${columnIdsBelow}, ${provenance.actor}, ${dataset.at})
        RETURNING ${COLUMNS}`);
      const data = { grantId: result.grantId, principal, permission, validFrom, validUntil, rowFilter, columnMask };
      return { result, event: { kind: 'grant.changed', data: { action: 'create', ...data } }, detail: data };
    });
  }

  async list(datasetId: DatasetId, { after, limit }: Page & { readonly after?: GrantId | undefined }): Promise<GrantRecord[]> {
    const rows = await this.#database.rows(sql<GrantRecord>`
      SELECT ${COLUMNS} FROM grants g WHERE g.dataset_id = ${datasetId} AND g.grant_id > ${after ?? 0} ORDER BY g.grant_id LIMIT ${limit}`);
    return [...rows];
  }

  /** Whoever may still be an admin must be so now, and without end: otherwise the dataset could end up with nobody to run it. */
  async revoke(datasetId: DatasetId, grantId: GrantId, provenance: Provenance): Promise<void> {
    await changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      const revoked = await transaction.first(sql<GrantRecord>`
        DELETE FROM grants g WHERE g.dataset_id = ${datasetId} AND g.grant_id = ${grantId} RETURNING ${COLUMNS}`);
      if (!revoked) throw new CovistaError('not_found', `there is no grant ${grantId} on dataset ${datasetId}`, { datasetId, grantId });
      const { principal, permission, validFrom, validUntil, rowFilter, columnMask } = revoked;
      const others = await transaction.first(sql`
        SELECT grant_id FROM grants WHERE dataset_id = ${datasetId} AND permission = 'admin' AND principal LIKE 'user:%'
          AND valid_until IS NULL AND coalesce(valid_from <= now(), true) LIMIT 1`);
      if (permission === 'admin' && !others) {
        throw new CovistaError('conflict', 'a dataset keeps at least one user who is its admin without end', { grantId });
      }
      const data = { grantId, principal, permission, validFrom, validUntil, rowFilter, columnMask };
      return { result: {}, event: { kind: 'grant.changed', data: { action: 'revoke', ...data } }, detail: data };
    });
  }

  async ofDeleted(datasetId: DatasetId, graceMs: number): Promise<EffectiveGrant[] | undefined> {
    const [found] = await this.#of([datasetId], fragment`d.deleted_at > now() - ${graceMs} * interval '1 millisecond'`);
    return found;
  }

  ofDataset(datasetId: DatasetId): Promise<EffectiveGrant[] | undefined> {
    return this.#ofDatasets.ask(datasetId);
  }

  /** One query: a dataset always has a grant, so no rows mean that there is no such dataset, or no longer. */
  async #of(datasetIds: readonly DatasetId[], state: ReturnType<typeof fragment>): Promise<(EffectiveGrant[] | undefined)[]> {
    const rows = await this.#database.rows(sql<EffectiveGrant>`
      SELECT ${COLUMNS}, g.filter, g.column_ids_below AS "columnIdsBelow" FROM grants g JOIN datasets d USING (dataset_id)
      WHERE g.dataset_id = ANY(${array(datasetIds, 'int4')}) AND ${state} ORDER BY g.grant_id`);
    const byDataset = Map.groupBy(rows, ({ datasetId }) => datasetId);
    return datasetIds.map((datasetId) => byDataset.get(datasetId));
  }

  async #assertRoom(transaction: Executor, { datasetId }: LockedDataset): Promise<void> {
    const { grantsPerDatasetMax } = this.#database.limits;
    const { grants } = await transaction.one(sql<{ grants: number }>`SELECT count(*) AS grants FROM grants WHERE dataset_id = ${datasetId}`);
    if (grants < grantsPerDatasetMax) return;
    throw new CovistaError('conflict', `a dataset has at most ${grantsPerDatasetMax} grants; grant to groups instead`, { grantsPerDatasetMax });
  }
}

/** A misspelt name would hide nothing, so each must be that of a column that some version has. */
async function assertColumns(transaction: Executor, { datasetId }: LockedDataset, names: readonly string[]): Promise<void> {
  const unknown = await transaction.rows(sql<{ name: string }>`
    WITH known AS (
      SELECT DISTINCT c.value ->> 'name' AS name
      FROM (SELECT DISTINCT ON (schema_hash) schema FROM versions WHERE dataset_id = ${datasetId}) v, jsonb_array_elements(v.schema) c
    )
    SELECT n.name FROM unnest(${array(names, 'text')}) n(name) WHERE n.name NOT IN (SELECT name FROM known)`);
  if (unknown.length === 0) return;
  const columns = unknown.map(({ name }) => name);
  throw new CovistaError('invalid_input', `no version has the masked columns ${columns.map((name) => JSON.stringify(name)).join(', ')}`, {
    field: 'columnMask',
    columns,
  });
}
