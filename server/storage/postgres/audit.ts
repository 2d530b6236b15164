import type { DatasetId } from '../../../protocol/ids.ts';
import type { AuditRecord, AuditStore, Page } from '../stores.ts';
import type { Database } from './database.ts';
import { sql } from './sql.ts';

export class PostgresAuditStore implements AuditStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. */
  async list(
    datasetId: DatasetId,
    { before = Number.MAX_SAFE_INTEGER, limit }: Page & { readonly before?: number | undefined },
  ): Promise<AuditRecord[]> {
    const rows = await this.#database.rows(sql<AuditRecord>`
      SELECT sequence, at, actor, operation, dataset_id AS "datasetId", version_id AS "versionId", request_id AS "requestId", address,
        outcome, detail
      FROM audit WHERE dataset_id = ${datasetId} AND sequence < ${before} ORDER BY sequence DESC LIMIT ${limit}`);
    return [...rows];
  }
}
