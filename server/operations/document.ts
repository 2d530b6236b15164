import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export function documentHandlers({ documents, limits }: Services): ResourceHandlers<'document'> {
  return {
    connect: ({ name, receipts }, { actor, access }) => documents.open({ name, receipts, actor, access }),
    saveSnapshot: ({ name, label }, { actor, access, provenance }) => documents.saveSnapshot({ name, actor, access }, label, provenance),
    snapshots: async ({ name, limit, cursor }, { actor, access }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const taken = await documents.snapshots({ name, actor, access }, { limit: limit + 1, before });
      return toPage(taken, { limit, bytesMax: limits.pageBytesMax }, ({ snapshotId }) => snapshotId);
    },
    attribution: async ({ name, limit, cursor }, { actor, access }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const bindings = await documents.attribution({ name, actor, access }, { limit: limit + 1, after });
      return toPage(bindings, { limit, bytesMax: limits.pageBytesMax }, ({ clientId }) => clientId);
    },
  };
}
