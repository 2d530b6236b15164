import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';
import type { MetadataStore } from '../stores.ts';
import { PostgresAuditStore } from './audit.ts';
import { openDatabase } from './database.ts';
import { PostgresDatasetStore } from './datasets.ts';
import { PostgresDisposalStore } from './disposal.ts';
import { PostgresDocumentStore } from './documents.ts';
import { PostgresEventStore } from './events.ts';
import { PostgresGrantStore } from './grants.ts';
import { PostgresIdempotencyStore } from './idempotency.ts';
import { createJobQueue } from './jobs.ts';
import { PostgresPointerStore } from './pointers.ts';
import { PostgresRetentionStore } from './retention.ts';
import { PostgresSavedTableStore } from './saved-tables.ts';
import { PostgresRunStore } from './schedule-runs.ts';
import { PostgresScheduleStore } from './schedules.ts';
import { PostgresSessionStore } from './sessions.ts';
import { sql } from './sql.ts';
import { PostgresUploadStore } from './uploads.ts';
import { PostgresVersionStore } from './versions.ts';

/** The metadata store on a migrated PostgreSQL database. `unavailable` when the database does not answer. */
export async function openMetadataStore(options: { readonly url: string; readonly limits: Limits; readonly log: Logger }): Promise<MetadataStore> {
  const database = await openDatabase(options);
  return {
    datasets: new PostgresDatasetStore(database),
    versions: new PostgresVersionStore(database),
    pointers: new PostgresPointerStore(database),
    grants: new PostgresGrantStore(database),
    uploads: new PostgresUploadStore(database),
    audit: new PostgresAuditStore(database),
    events: new PostgresEventStore(database),
    documents: new PostgresDocumentStore(database),
    retention: new PostgresRetentionStore(database),
    disposal: new PostgresDisposalStore(database),
    sessions: new PostgresSessionStore(database),
    schedules: new PostgresScheduleStore(database),
    runs: new PostgresRunStore(database),
    jobs: createJobQueue({ url: options.url, concurrency: options.limits.scheduleRunsAtOnceMax, log: options.log }),
    idempotency: new PostgresIdempotencyStore(database),
    savedTables: new PostgresSavedTableStore(database),
    deploymentId: async () => (await database.one(sql<{ id: string }>`SELECT id FROM deployment`)).id,
    ping: async () => {
      await database.rows(sql`SELECT 1`);
    },
    pool: () => database.pool(),
    close: () => database.close(),
  };
}
