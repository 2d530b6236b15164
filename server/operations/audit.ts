import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function auditHandlers({ stores, limits }: Services): ResourceHandlers<'audit'> {
  return {
    list: async ({ datasetId, limit, cursor }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      return toPage(
        await stores.metadata.audit.list(datasetId, { limit: limit + 1, before }),
        { limit, bytesMax: limits.pageBytesMax },
        ({ sequence }) => sequence,
      );
    },
  };
}
