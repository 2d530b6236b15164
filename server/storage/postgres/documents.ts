import { createDecoder, hasContent, readVarUint8Array } from 'lib0/decoding';
import { createEncoder, toUint8Array, writeVarUint8Array } from 'lib0/encoding';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, Subject } from '../../../protocol/ids.ts';
import type {
  BindingRecord,
  ClientBinding,
  DocumentBatch,
  DocumentLease,
  DocumentOwner,
  DocumentSnapshotRecord,
  DocumentStore,
  DocumentTarget,
  NewDocumentBatch,
  Page,
  Provenance,
  PublishedEntry,
  ReleasedLease,
  RestoredSnapshot,
  ScopedDocument,
  StoredDocument,
  StoredToldClients,
} from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { readState, sendState, withState } from './document-states.ts';
import { once, record } from './record.ts';
import { binary, fragment, json, sql } from './sql.ts';

/** Instead of a label, which has a character at least, what was kept before another was restored has none. */
const RESTORE_LABEL = '';

const SNAPSHOT = fragment`s.snapshot_id AS "snapshotId", nullif(s.name, ${RESTORE_LABEL}) AS label, s.taken_by AS "takenBy", s.taken_at AS "takenAt", length(s.state) AS bytes`;

export class PostgresDocumentStore implements DocumentStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async acquire(targets: readonly DocumentTarget[], { serverId, leaseMs }: DocumentOwner): Promise<(DocumentLease | undefined)[]> {
    const until = fragment`now() + ${leaseMs} * interval '1 millisecond'`;
    // By name, so that two servers that want the same ones wait for each other and never both.
    const rows = await this.#database.rows(sql<DocumentLease & { readonly name: string }>`
      INSERT INTO documents AS d (name, dataset_id, scope, created_at, updated_at, owner, owned_until, fence)
      SELECT t.name, t."datasetId", t.scope, now(), now(), ${serverId}::uuid, ${until}, 1
      FROM json_to_recordset(${json(targets)}::json) AS t(name text, "datasetId" integer, scope jsonb) ORDER BY t.name
      ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, owned_until = excluded.owned_until, fence = d.fence + 1
      WHERE d.owner IS NULL OR d.owner = excluded.owner OR d.owned_until <= now()
      RETURNING name, document_id AS "documentId", fence`);
    const leases = new Map(rows.map(({ name, documentId, fence }) => [name, { documentId, fence }]));
    return targets.map(({ name }) => leases.get(name));
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

  async release(leases: readonly ReleasedLease[]): Promise<void> {
    await this.#database.rows(sql`
      WITH released AS (
        UPDATE documents d SET owner = NULL, owned_until = NULL
        FROM json_to_recordset(${json(leases)}::json) AS l("documentId" uuid, fence bigint, told json)
        WHERE d.document_id = l."documentId" AND d.fence = l.fence RETURNING d.document_id, l.told
      )
      INSERT INTO document_told_clients (document_id, clients) SELECT document_id, told FROM released WHERE told IS NOT NULL
      ON CONFLICT (document_id) DO UPDATE SET clients = excluded.clients`);
  }

  async releaseAll(): Promise<void> {
    await this.#database.rows(sql`UPDATE documents SET owner = NULL, owned_until = NULL WHERE owner IS NOT NULL`);
  }

  async load(documentId: string): Promise<StoredDocument> {
    const { state, batches } = await this.updates(documentId);
    const bindings = await this.#database.rows(sql<ClientBinding>`
      SELECT client_id AS "clientId", subject FROM document_clients WHERE document_id = ${documentId}::uuid`);
    const told = await this.#database.first(sql<{ clients: StoredToldClients }>`
      SELECT clients FROM document_told_clients WHERE document_id = ${documentId}::uuid`);
    return { state, batches, bindings, told: told?.clients ?? [] };
  }

  async updates(documentId: string): Promise<Pick<StoredDocument, 'state' | 'batches'>> {
    // In this order: a compaction in between moves batches into the state, and meeting some twice is harmless.
    const batches = await this.#database.rows(sql<{ sequence: number; updates: Uint8Array }>`
      SELECT sequence, updates FROM document_batches WHERE document_id = ${documentId}::uuid ORDER BY sequence`);
    const found = await readState(
      this.#database,
      fragment`SELECT sequence AS key, state FROM document_states WHERE document_id = ${documentId}::uuid`,
    );
    return { state: found === undefined ? null : { sequence: found.key, update: found.state }, batches: batches.map(unpack) };
  }

  /** The document's row is locked first, so that whoever takes it over meanwhile comes before or after this batch as a whole. */
  async append({ documentId, fence }: DocumentLease, { sequence, updates, bindings }: NewDocumentBatch): Promise<'written' | 'taken' | 'gone'> {
    // Most batches come from clients that are known.
    const bound = bindings.length === 0 ? NOTHING_BOUND : boundBy(bindings);
    const written = await this.#database.first(sql<{ sequence: number }>`
      WITH owned AS (
        UPDATE documents SET last_sequence = ${sequence}, updated_at = now()
        WHERE document_id = ${documentId}::uuid AND fence = ${fence} AND owner IS NOT NULL RETURNING document_id
      )${bound}
      INSERT INTO document_batches (document_id, sequence, updates)
      SELECT document_id, ${sequence}, ${binary(pack(updates))} FROM owned
      RETURNING sequence`);
    if (written !== undefined) return 'written';
    const found = await this.#database.first(sql`SELECT 1 AS found FROM documents WHERE document_id = ${documentId}::uuid`);
    return found === undefined ? 'gone' : 'taken';
  }

  /**
   * The state takes its place in one statement, whose lock is one that edits do not wait for. So somebody may take the document over
   * meanwhile, which does no harm: what batches come to is the same for everybody, and no state takes the place of a later one.
   */
  async compact({ documentId, fence }: DocumentLease, { sequence, update }: NonNullable<StoredDocument['state']>): Promise<boolean> {
    const put = await withState(this.#database, update, (executor, state) =>
      executor.first(sql`
      WITH owned AS (
        SELECT document_id FROM documents
        WHERE document_id = ${documentId}::uuid AND fence = ${fence} AND owner IS NOT NULL FOR KEY SHARE
      ), put AS (
        INSERT INTO document_states AS s (document_id, sequence, state) SELECT document_id, ${sequence}, ${state} FROM owned
        ON CONFLICT (document_id) DO UPDATE SET sequence = excluded.sequence, state = excluded.state WHERE s.sequence < excluded.sequence
        RETURNING document_id
      ), dropped AS (
        DELETE FROM document_batches b USING put WHERE b.document_id = put.document_id AND b.sequence <= ${sequence}
      )
      SELECT document_id FROM put`),
    );
    return put !== undefined;
  }

  addSnapshot(
    documentId: string,
    { label, makeState }: { readonly label: string; readonly makeState: () => Promise<Uint8Array> },
    provenance: Provenance,
  ): Promise<DocumentSnapshotRecord> {
    return once(this.#database, provenance, async () => {
      await this.#assertRoom(this.#database, documentId);
      const state = await makeState();
      return this.#database.transaction(async (transaction) => {
        const sent = await sendState(transaction, state);
        const { datasetId } = await lockDocument(transaction, documentId);
        await this.#assertRoom(transaction, documentId);
        const output = await transaction.one(sql<DocumentSnapshotRecord>`
          INSERT INTO document_snapshots AS s (document_id, name, taken_by, taken_at, state)
          VALUES (${documentId}::uuid, ${label}, ${provenance.actor}, now(), ${sent}) RETURNING ${SNAPSHOT}`);
        const detail = { documentId, snapshotId: output.snapshotId, label };
        await record(transaction, { at: output.takenAt }, [{ provenance, datasetId, versionId: null, detail, events: [], output }]);
        return output;
      });
    });
  }

  async addPeriodicSnapshot(documentId: string, { everyMs, keptMax }: { readonly everyMs: number; readonly keptMax: number }): Promise<number> {
    await this.#database.rows(sql`
      INSERT INTO document_snapshots (document_id, taken_at, state)
      SELECT document_id, now(), state FROM document_states
      WHERE document_id = ${documentId}::uuid AND NOT EXISTS (
        SELECT FROM document_snapshots WHERE document_id = ${documentId}::uuid AND name IS NULL
          AND taken_at > now() - ${everyMs} * interval '1 millisecond')`);
    await keepNewest(this.#database, { documentId, label: null, keptMax });
    const { dueInMs } = await this.#database.one(sql<{ dueInMs: number }>`
      SELECT greatest(0, ceil(coalesce(extract(epoch FROM max(taken_at) - now()) * 1000, 0) + ${everyMs}))::bigint AS "dueInMs"
      FROM document_snapshots WHERE document_id = ${documentId}::uuid AND name IS NULL`);
    return dueInMs;
  }

  async addRestoreSnapshot(
    documentId: string,
    { state, restorer, keptMax }: { readonly state: Uint8Array; readonly restorer: Subject; readonly keptMax: number },
  ): Promise<void> {
    await withState(this.#database, state, (executor, sent) =>
      executor.rows(sql`
        INSERT INTO document_snapshots (document_id, name, taken_by, taken_at, state)
        SELECT document_id, ${RESTORE_LABEL}, ${restorer}, now(), ${sent} FROM documents WHERE document_id = ${documentId}::uuid`),
    );
    await keepNewest(this.#database, { documentId, label: RESTORE_LABEL, keptMax });
  }

  async snapshots(documentId: string, { before, limit }: Page & { readonly before?: number | undefined }): Promise<DocumentSnapshotRecord[]> {
    const earlier = before === undefined ? fragment`true` : fragment`s.snapshot_id < ${before}`;
    const rows = await this.#database.rows(sql<DocumentSnapshotRecord>`
      SELECT ${SNAPSHOT} FROM document_snapshots s WHERE s.document_id = ${documentId}::uuid AND ${earlier}
      ORDER BY s.snapshot_id DESC LIMIT ${limit}`);
    return [...rows];
  }

  async snapshotState(documentId: string, snapshotId: number): Promise<Uint8Array | undefined> {
    const selected = fragment`
      SELECT snapshot_id AS key, state FROM document_snapshots WHERE document_id = ${documentId}::uuid AND snapshot_id = ${snapshotId}`;
    return (await readState(this.#database, selected))?.state;
  }

  async scopeOf(name: string): Promise<unknown> {
    const found = await this.#database.first(sql<{ scope: unknown }>`SELECT scope FROM documents WHERE name = ${name}`);
    return found?.scope ?? undefined;
  }

  async scoped(datasetId: DatasetId, { after, limit }: Page & { readonly after?: string | undefined }): Promise<ScopedDocument[]> {
    const rows = await this.#database.rows(sql<ScopedDocument>`
      SELECT name, scope, updated_at AS "updatedAt" FROM documents
      WHERE dataset_id = ${datasetId} AND scope IS NOT NULL AND name > ${after ?? ''} ORDER BY name LIMIT ${limit}`);
    return [...rows];
  }

  recordPublished(datasetId: DatasetId, published: PublishedEntry, provenance: Provenance): Promise<PublishedEntry> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        const { at } = await transaction.one(sql<{ at: string }>`SELECT now()::timestamptz(3) AS at`);
        await record(transaction, { at }, [{ provenance, datasetId, versionId: null, detail: { ...published }, events: [], output: published }]);
        return published;
      }),
    );
  }

  recordRestored(documentId: string, restored: RestoredSnapshot, provenance: Provenance): Promise<RestoredSnapshot> {
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        const { datasetId } = await lockDocument(transaction, documentId);
        const { at } = await transaction.one(sql<{ at: string }>`SELECT now()::timestamptz(3) AS at`);
        const detail = { documentId, ...restored };
        await record(transaction, { at }, [{ provenance, datasetId, versionId: null, detail, events: [], output: restored }]);
        return restored;
      }),
    );
  }

  async #assertRoom(executor: Executor, documentId: string): Promise<void> {
    const { documentNamedSnapshotsMax: most } = this.#database.limits;
    const { taken } = await executor.one(sql<{ taken: number }>`
      SELECT count(*) AS taken FROM document_snapshots WHERE document_id = ${documentId}::uuid AND name <> ${RESTORE_LABEL}`);
    if (taken >= most)
      throw new CovistaError('conflict', `a document has at most ${most} snapshots that were taken by people`, { documentNamedSnapshotsMax: most });
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

const NOTHING_BOUND = fragment``;

const boundBy = (bindings: readonly ClientBinding[]): ReturnType<typeof fragment> => fragment`, bound AS (
        INSERT INTO document_clients (document_id, client_id, subject, bound_at)
        SELECT o.document_id, b."clientId", b.subject, now()
        FROM owned o, json_to_recordset(${json(bindings)}::json) AS b("clientId" bigint, subject text)
        ON CONFLICT DO NOTHING
      )`;

interface Newest {
  readonly documentId: string;
  readonly label: typeof RESTORE_LABEL | null;
  readonly keptMax: number;
}

/** Of the snapshots that are kept by themselves, some of each kind. */
async function keepNewest(executor: Executor, { documentId, label, keptMax }: Newest): Promise<void> {
  await executor.rows(sql`
    DELETE FROM document_snapshots WHERE snapshot_id IN (
      SELECT snapshot_id FROM document_snapshots WHERE document_id = ${documentId}::uuid AND name IS NOT DISTINCT FROM ${label}::text
      ORDER BY snapshot_id DESC OFFSET ${keptMax})`);
}

async function lockDocument(transaction: Executor, documentId: string): Promise<{ readonly datasetId: DatasetId | null }> {
  const found = await transaction.first(sql<{ datasetId: DatasetId | null }>`
    SELECT dataset_id AS "datasetId" FROM documents WHERE document_id = ${documentId}::uuid FOR UPDATE`);
  if (found === undefined) throw new CovistaError('not_found', 'there is no such document any more', {});
  return found;
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
