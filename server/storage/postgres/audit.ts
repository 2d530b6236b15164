import type { DatasetId } from '../../../protocol/ids.ts';
import type { AuditFilter, AuditRecord, AuditStore, NewAuditRecord, Page } from '../stores.ts';
import type { Database } from './database.ts';
import { fragment, json, sql, tag } from './sql.ts';

export class PostgresAuditStore implements AuditStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. */
  async list(datasetId: DatasetId | null, { before, limit, ...filter }: AuditFilter & Page & { readonly before?: number | undefined }) {
    const conditions = conditionsOf(filter);
    if (datasetId !== null) conditions.push(fragment`dataset_id = ${datasetId}`);
    const rows = await this.#database.rows(sql<AuditRecord>`
      SELECT sequence, at, actor, operation, dataset_id AS "datasetId", version_id AS "versionId", request_id AS "requestId", address,
        outcome, detail, count, coalesce(last_at, at) AS "lastAt"
      FROM audit WHERE ${tag.join([fragment`sequence < ${before ?? Number.MAX_SAFE_INTEGER}`, ...conditions], fragment` AND `)}
      ORDER BY sequence DESC LIMIT ${limit}`);
    return [...rows];
  }

  async append(entries: readonly NewAuditRecord[]): Promise<void> {
    await this.#database.rows(sql`
      INSERT INTO audit (at, actor, operation, dataset_id, version_id, request_id, address, outcome, detail, count, last_at)
      SELECT at, actor, operation, "datasetId", "versionId", "requestId", address, outcome, detail, count, "lastAt"
      FROM json_to_recordset(${json(entries)}::json) AS a(
        at timestamptz, actor text, operation text, "datasetId" integer, "versionId" integer, "requestId" text, address text, outcome text,
        detail jsonb, count integer, "lastAt" timestamptz)`);
  }
}

function conditionsOf({ actor, operation, outcome, from, until }: AuditFilter) {
  return [
    ...(actor === undefined ? [] : [fragment`actor = ${actor}`]),
    ...(operation === undefined ? [] : [fragment`operation = ${operation}`]),
    ...(outcome === undefined ? [] : [outcome === 'error' ? fragment`outcome <> 'ok'` : fragment`outcome = ${outcome}`]),
    ...(from === undefined ? [] : [fragment`coalesce(last_at, at) >= ${from}::timestamptz`]),
    ...(until === undefined ? [] : [fragment`at < ${until}::timestamptz`]),
  ];
}
