import { CovistaError } from '../../../protocol/errors.ts';
import type { UploadId } from '../../../protocol/ids.ts';
import type { Provenance, UploadRecord, UploadStore } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { once, record } from './record.ts';
import { fragment, sql } from './sql.ts';

const COLUMNS = fragment`u.upload_id AS "uploadId", u.subject, u.received AS "offset", u.bytes, u.sha256, u.file_name AS "fileName",
  u.created_at AS "createdAt", u.expires_at AS "expiresAt"`;

type NewUpload = Parameters<UploadStore['begin']>[0];

export class PostgresUploadStore implements UploadStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  begin(upload: NewUpload, keepMs: number, openMax: number, provenance: Provenance): Promise<UploadRecord> {
    const { uploadId, subject, bytes, sha256, fileName } = upload;
    return once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        await assertRoom(transaction, subject, openMax);
        const begun = await transaction.one(sql<UploadRecord>`
          INSERT INTO uploads AS u (upload_id, subject, bytes, sha256, file_name, created_at, expires_at)
          SELECT ${uploadId}::uuid, ${subject}, ${bytes}::bigint, ${sha256}, ${fileName}, at, at + ${keepMs} * interval '1 millisecond'
          FROM date_trunc('milliseconds', clock_timestamp()) AS at
          RETURNING ${COLUMNS}`);
        const output = { ...begun, chunkBytesMax: this.#database.limits.uploadChunkBytesMax };
        const entry = { provenance, datasetId: null, versionId: null, detail: { uploadId, bytes, fileName }, events: [], output };
        await record(transaction, { at: begun.createdAt }, [entry]);
        return begun;
      }),
    );
  }

  get(uploadId: UploadId): Promise<UploadRecord | undefined> {
    return this.#database.first(sql<UploadRecord>`SELECT ${COLUMNS} FROM uploads u WHERE u.upload_id = ${uploadId} AND u.expires_at > now()`);
  }

  async advance(uploadId: UploadId, from: number, to: number, keepMs: number): Promise<UploadRecord> {
    const advanced = await this.#database.first(sql<UploadRecord>`
      UPDATE uploads u SET received = ${to}, expires_at = now() + ${keepMs} * interval '1 millisecond'
      WHERE u.upload_id = ${uploadId} AND u.received = ${from} AND u.expires_at > now() RETURNING ${COLUMNS}`);
    if (advanced) return advanced;
    const actual = await this.get(uploadId);
    if (!actual) throw noUpload(uploadId);
    throw new CovistaError('conflict', `the upload is at ${actual.offset}, not at ${from}`, { uploadId, offset: actual.offset });
  }

  async remove(uploadId: UploadId, provenance: Provenance): Promise<void> {
    await once(this.#database, provenance, () =>
      this.#database.transaction(async (transaction) => {
        const removed = await transaction.first(sql<{ at: string }>`
          DELETE FROM uploads WHERE upload_id = ${uploadId} RETURNING date_trunc('milliseconds', clock_timestamp()) AS at`);
        if (!removed) throw noUpload(uploadId);
        const entry = { provenance, datasetId: null, versionId: null, detail: { uploadId }, events: [], output: {} };
        await record(transaction, removed, [entry]);
      }),
    );
  }

  async removeExpired(): Promise<UploadId[]> {
    const rows = await this.#database.rows(sql<{ uploadId: UploadId }>`
      DELETE FROM uploads WHERE expires_at <= now() RETURNING upload_id AS "uploadId"`);
    return rows.map(({ uploadId }) => uploadId);
  }
}

function noUpload(uploadId: UploadId): CovistaError {
  return new CovistaError('not_found', `there is no upload ${uploadId}`, { uploadId });
}

/** Counts under a lock of the subject, so that uploads that begin at once cannot pass the bound together. */
async function assertRoom(transaction: Executor, subject: string, openMax: number): Promise<void> {
  await transaction.rows(sql`SELECT pg_advisory_xact_lock(hashtextextended(${subject}, 0))`);
  const { open } = await transaction.one(
    sql<{ open: number }>`SELECT count(*) AS open FROM uploads WHERE subject = ${subject} AND expires_at > now()`,
  );
  if (open >= openMax) throw new CovistaError('rate_limited', `there are ${open} unfinished uploads already`, { open, openMax });
}
