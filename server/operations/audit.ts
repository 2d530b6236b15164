import type { DatasetId } from '../../protocol/ids.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { AuditFilter, AuditRecord } from '../storage/stores.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

/** Entries that an export reads at once. */
const EXPORT_BATCH = 1_000;

interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export function auditHandlers({ stores, limits }: Services): ResourceHandlers<'audit'> {
  const { audit } = stores.metadata;

  const page = async (datasetId: DatasetId | null, { limit, cursor, ...filter }: AuditFilter & PageRequest) => {
    const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
    const entries = await audit.list(datasetId, { ...filter, limit: limit + 1, before });
    return toPage(entries, { limit, bytesMax: limits.pageBytesMax }, ({ sequence }) => sequence);
  };

  /** What is recorded meanwhile is newer than the first entry, and so in none of the pages behind it. */
  async function* all(datasetId: DatasetId | null, filter: AuditFilter): AsyncGenerator<AuditRecord> {
    for (let before: number | undefined, isOver = false; !isOver; ) {
      const entries: AuditRecord[] = await audit.list(datasetId, { ...filter, limit: EXPORT_BATCH, before });
      yield* entries;
      before = entries.at(-1)?.sequence;
      isOver = entries.length < EXPORT_BATCH;
    }
  }

  return {
    list: ({ datasetId, ...request }) => page(datasetId, request),
    export: ({ datasetId, ...filter }) => all(datasetId, filter),
    listAll: (request) => page(null, request),
    exportAll: (filter) => all(null, filter),
  };
}
