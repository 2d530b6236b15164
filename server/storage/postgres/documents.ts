import { createDecoder, hasContent, readVarUint8Array } from 'lib0/decoding';
import { createEncoder, toUint8Array, writeVarUint8Array } from 'lib0/encoding';
import type {
  BindingRecord,
  ClientBinding,
  DocumentBatch,
  DocumentLease,
  DocumentOwner,
  DocumentStore,
  DocumentTarget,
  NewDocumentBatch,
  Page,
  StoredDocument,
} from '../stores.ts';
import type { Database } from './database.ts';
import { binary, fragment, json, sql } from './sql.ts';

export class PostgresDocumentStore implements DocumentStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async acquire({ name, datasetId, scope }: DocumentTarget, { serverId, leaseMs }: DocumentOwner): Promise<DocumentLease | undefined> {
    const until = fragment`now() + ${leaseMs} * interval '1 millisecond'`;
    return this.#database.first(sql<DocumentLease>`
      INSERT INTO documents AS d (name, dataset_id, scope, created_at, updated_at, owner, owned_until, fence)
      VALUES (${name}, ${datasetId}, ${scope === null ? null : json(scope)}::jsonb, now(), now(), ${serverId}::uuid, ${until}, 1)
      ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, owned_until = excluded.owned_until, fence = d.fence + 1
      WHERE d.owner IS NULL OR d.owner = excluded.owner OR d.owned_until <= now()
      RETURNING document_id AS "documentId", fence`);
  }

  async renew(leases: readonly DocumentLease[], { leaseMs }: DocumentOwner): Promise<string[]> {
    const kept = await this.#database.rows(sql<{ documentId: string }>`
      UPDATE documents d SET owned_until = now() + ${leaseMs} * interval '1 millisecond'
      FROM json_to_recordset(${json(leases)}::json) AS l("documentId" uuid, fence bigint)
      WHERE d.document_id = l."documentId" AND d.fence = l.fence AND d.owner IS NOT NULL
      RETURNING d.document_id AS "documentId"`);
    const ids = new Set(kept.map(({ documentId }) => documentId));
    return leases.flatMap(({ documentId }) => (ids.has(documentId) ? [] : [documentId]));
  }

  async release({ documentId, fence }: DocumentLease): Promise<void> {
    await this.#database.rows(sql`
      UPDATE documents SET owner = NULL, owned_until = NULL WHERE document_id = ${documentId}::uuid AND fence = ${fence}`);
  }

  async releaseAll(): Promise<void> {
    await this.#database.rows(sql`UPDATE documents SET owner = NULL, owned_until = NULL WHERE owner IS NOT NULL`);
  }

  async load(documentId: string): Promise<StoredDocument> {
    // In this order: a compaction in between moves batches into the state, and meeting some twice is harmless.
    const batches = await this.#database.rows(sql<{ sequence: number; updates: Uint8Array }>`
      SELECT sequence, updates FROM document_batches WHERE document_id = ${documentId}::uuid ORDER BY sequence`);
    const state = await this.#database.first(sql<{ sequence: number; update: Uint8Array }>`
      SELECT sequence, state AS update FROM document_states WHERE document_id = ${documentId}::uuid`);
    const bindings = await this.#database.rows(sql<ClientBinding>`
      SELECT client_id AS "clientId", subject FROM document_clients WHERE document_id = ${documentId}::uuid`);
    return { state: state ?? null, batches: batches.map(unpack), bindings };
  }

  /** The document's row is locked first, so that whoever takes it over meanwhile comes before or after this batch as a whole. */
  async append({ documentId, fence }: DocumentLease, { sequence, updates, bindings }: NewDocumentBatch): Promise<boolean> {
    const written = await this.#database.first(sql<{ sequence: number }>`
      WITH owned AS (
        UPDATE documents SET last_sequence = ${sequence}, updated_at = now()
        WHERE document_id = ${documentId}::uuid AND fence = ${fence} AND owner IS NOT NULL RETURNING document_id
      ), bound AS (
        INSERT INTO document_clients (document_id, client_id, subject, bound_at)
        SELECT o.document_id, b."clientId", b.subject, now()
        FROM owned o, json_to_recordset(${json(bindings)}::json) AS b("clientId" bigint, subject text)
        ON CONFLICT DO NOTHING
      )
      INSERT INTO document_batches (document_id, sequence, updates)
      SELECT document_id, ${sequence}, ${binary(pack(updates))} FROM owned
      RETURNING sequence`);
    return written !== undefined;
  }

  compact({ documentId, fence }: DocumentLease, { sequence, update }: NonNullable<StoredDocument['state']>): Promise<boolean> {
    return this.#database.transaction(async (transaction) => {
      const owned = await transaction.first(sql`
        SELECT 1 AS held FROM documents WHERE document_id = ${documentId}::uuid AND fence = ${fence} AND owner IS NOT NULL FOR UPDATE`);
      if (owned === undefined) return false;
      await transaction.rows(sql`
        INSERT INTO document_states AS s (document_id, sequence, state) VALUES (${documentId}::uuid, ${sequence}, ${binary(update)})
        ON CONFLICT (document_id) DO UPDATE SET sequence = excluded.sequence, state = excluded.state`);
      await transaction.rows(sql`DELETE FROM document_batches WHERE document_id = ${documentId}::uuid AND sequence <= ${sequence}`);
      return true;
    });
  }

  async find(name: string): Promise<string | undefined> {
    const found = await this.#database.first(sql<{ documentId: string }>`SELECT document_id AS "documentId" FROM documents WHERE name = ${name}`);
    return found?.documentId;
  }

  async bindings(documentId: string, { after, limit }: Page & { readonly after?: number | undefined }): Promise<BindingRecord[]> {
    const rows = await this.#database.rows(sql<BindingRecord>`
      SELECT client_id AS "clientId", subject, bound_at AS "boundAt" FROM document_clients
      WHERE document_id = ${documentId}::uuid AND client_id > ${after ?? -1} ORDER BY client_id LIMIT ${limit}`);
    return [...rows];
  }
}

function pack(updates: readonly Uint8Array[]): Uint8Array {
  const encoder = createEncoder();
  for (const update of updates) writeVarUint8Array(encoder, update);
  return toUint8Array(encoder);
}

function unpack({ sequence, updates }: { readonly sequence: number; readonly updates: Uint8Array }): DocumentBatch {
  const decoder = createDecoder(updates);
  const unpacked: Uint8Array[] = [];
  while (hasContent(decoder)) unpacked.push(readVarUint8Array(decoder));
  return { sequence, updates: unpacked };
}
