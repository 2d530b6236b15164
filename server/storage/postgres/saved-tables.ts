import type { SavedTable, SavedTableStore, SavedTablesChange } from '../stores.ts';
import type { Database } from './database.ts';
import { json, sql } from './sql.ts';

export class PostgresSavedTableStore implements SavedTableStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  save({ open, isRenewed, gone, most }: SavedTablesChange): Promise<void> {
    return this.#database.transaction(async (transaction) => {
      await transaction.rows(sql`
        INSERT INTO saved_tables (table_id, dataset_id, version_id, options, scope, used_at)
        SELECT s."tableId", s."datasetId", s."versionId", s.options, s.scope, s."usedAt"
        FROM json_to_recordset(${json(open)}::json)
          AS s("tableId" text, "datasetId" integer, "versionId" integer, options json, scope json, "usedAt" timestamptz)
        JOIN datasets d ON d.dataset_id = s."datasetId" ORDER BY s."tableId"
        ON CONFLICT (table_id) DO UPDATE SET used_at = greatest(saved_tables.used_at, excluded.used_at) WHERE ${isRenewed}`);
      await transaction.rows(sql`
        DELETE FROM saved_tables WHERE table_id IN (SELECT json_array_elements_text(${json(gone)}::json))
        OR table_id IN (SELECT table_id FROM saved_tables ORDER BY used_at DESC, table_id OFFSET ${most})`);
    });
  }

  async list(limit: number): Promise<SavedTable[]> {
    return [
      ...(await this.#database.rows(sql<SavedTable>`
        SELECT table_id AS "tableId", dataset_id AS "datasetId", version_id AS "versionId", options, scope, used_at AS "usedAt"
        FROM saved_tables ORDER BY used_at DESC, table_id LIMIT ${limit}`)),
    ];
  }
}
