import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, GrantId } from '../../../protocol/ids.ts';
import type { GrantRecord, GrantStore, NewGrant, Page, Provenance } from '../stores.ts';
import type { Database } from './database.ts';
import { changeDataset } from './record.ts';
import { fragment, sql } from './sql.ts';

const COLUMNS = fragment`g.grant_id AS "grantId", g.dataset_id AS "datasetId", g.principal, g.permission, g.valid_from AS "validFrom",
  g.valid_until AS "validUntil", g.granted_by AS "grantedBy", g.granted_at AS "grantedAt"`;

export class PostgresGrantStore implements GrantStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(datasetId: DatasetId, grant: NewGrant, provenance: Provenance): Promise<GrantRecord> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, { at }) => {
      const result = await transaction.one(sql<GrantRecord>`
        INSERT INTO grants AS g (dataset_id, principal, permission, valid_from, valid_until, granted_by, granted_at)
        VALUES (${datasetId}, ${grant.principal}, ${grant.permission}, ${grant.validFrom}, ${grant.validUntil}, ${provenance.actor}, ${at})
        RETURNING ${COLUMNS}`);
      const data = { grantId: result.grantId, ...grant };
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
      const { principal, permission, validFrom, validUntil } = revoked;
      const others = await transaction.first(sql`
        SELECT grant_id FROM grants WHERE dataset_id = ${datasetId} AND permission = 'admin' AND principal LIKE 'user:%'
          AND valid_until IS NULL AND coalesce(valid_from <= now(), true) LIMIT 1`);
      if (permission === 'admin' && !others) {
        throw new CovistaError('conflict', 'a dataset keeps at least one user who is its admin without end', { grantId });
      }
      const data = { grantId, principal, permission, validFrom, validUntil };
      return { result: {}, event: { kind: 'grant.changed', data: { action: 'revoke', ...data } }, detail: data };
    });
  }

  /** One query: a dataset always has a grant, so no rows mean that there is no such dataset. */
  async ofDataset(datasetId: DatasetId): Promise<GrantRecord[] | undefined> {
    const rows = await this.#database.rows(sql<GrantRecord>`
      SELECT ${COLUMNS} FROM grants g WHERE g.dataset_id = ${datasetId} ORDER BY g.grant_id`);
    return rows.length === 0 ? undefined : [...rows];
  }
}
