/** Every job of which `covista_job_lag_seconds` tells; those with a condition are told where it holds. */
export const JOBS: Readonly<Record<string, 'always' | 'with a directory of backups' | 'with a webhook of alerts'>> = {
  alert_webhook: 'with a webhook of alerts',
  alerts: 'always',
  audit: 'always',
  backups: 'with a directory of backups',
  disposal: 'always',
  document_compaction: 'always',
  document_leases: 'always',
  file_readers: 'always',
  housekeeping: 'always',
  retention: 'always',
  revocations: 'always',
  saved_tables: 'always',
  schedules: 'always',
};

/** Where the server does something again and again: for which jobs, or why it is none. */
export const REPEATING: Readonly<Record<string, readonly (keyof typeof JOBS)[] | string>> = {
  'server/services/alerts/alerts.ts': ['alerts'],
  'server/services/documents/documents.ts': ['document_leases'],
  'server/services/maintenance/housekeeping.ts': ['housekeeping', 'retention', 'disposal'],
  'server/services/maintenance/maintenance.ts': ['saved_tables'],
  'server/services/retention/disposal.ts': ['file_readers'],
  'server/services/schedules/runner.ts': ['schedules'],
  'server/services/schedules/webhook.ts': 'ends with a delivery',
  'server/services/tables/table-pool.ts': 'looks through memory, as late as the event loop is',
  'server/services/tables/upload-sources.ts': 'lets go of what would be let go of with the next use',
  'server/services/tables/views.ts': 'looks through memory, as late as the event loop is',
  'server/socket/http-upload.ts': 'ends with a request',
  'server/storage/parquet/session.ts': 'ends with a query',
  'server/storage/postgres/backup-reader.ts': 'ends with a backup',
};
