import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function documentHandlers({ documents, limits }: Services): ResourceHandlers<'document'> {
  return {
    connect: ({ name, receipts }, { actor, access }) => documents.open({ name, receipts, actor, access }),
    attribution: async ({ name, limit, cursor }, { actor, access }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const bindings = await documents.attribution({ name, actor, access }, { limit: limit + 1, after });
      return toPage(bindings, { limit, bytesMax: limits.pageBytesMax }, ({ clientId }) => clientId);
    },
  };
}
