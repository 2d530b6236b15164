import type { Actor } from '../services/access/actor.ts';
import { present } from '../shared/assert.ts';
import { decodeCursor, isCount, isText, toPage } from '../shared/cursor.ts';
import type { ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

const ON_DATASET = 'what the caller may do on the dataset that the permission names';

export function documentHandlers({ documents, limits }: Services): ResourceHandlers<'document'> {
  return {
    connect: ({ name, receipts }, context) => {
      const { actor, access, connection } = context;
      const whenRenewed = (listener: (actor: Actor) => void): void => context.whenRenewed(listener);
      return documents.open({ name, receipts, actor, access, connection, whenRenewed });
    },
    saveSnapshot: ({ name, label }, { actor, access, provenance, signal }) =>
      documents.saveSnapshot({ name, actor, access }, label, provenance, signal),
    snapshots: async ({ name, limit, cursor }, { actor, access }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const taken = await documents.snapshots({ name, actor, access }, { limit: limit + 1, before });
      return toPage(taken, { limit, bytesMax: limits.pageBytesMax }, ({ snapshotId }) => snapshotId);
    },
    scopes: async ({ limit, cursor }, { access }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isText);
      const scopes = await documents.scopes(present(access, ON_DATASET), { limit: limit + 1, after });
      return toPage(scopes, { limit, bytesMax: limits.pageBytesMax }, ({ scopeId }) => scopeId);
    },
    publish: ({ scopeId, map, id }, { access, provenance, signal }) =>
      documents.publish(present(access, ON_DATASET), { scopeId, map, id }, provenance, signal),
    withdraw: ({ scopeId, map, id }, { access, provenance }) => documents.withdraw(present(access, ON_DATASET), { scopeId, map, id }, provenance),
    readSnapshot: async ({ name, snapshotId, map, limit, cursor }, { actor, access, signal }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isText);
      const entries = await documents.readSnapshot({ name, actor, access }, { snapshotId, map, limit: limit + 1, after }, signal);
      return toPage(entries, { limit, bytesMax: limits.pageBytesMax }, ({ id }) => id);
    },
    restoreSnapshot: ({ name, snapshotId }, { actor, access, provenance, signal }) =>
      documents.restoreSnapshot({ name, actor, access }, snapshotId, provenance, signal),
    attribution: async ({ name, limit, cursor }, { actor, access }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const bindings = await documents.attribution({ name, actor, access }, { limit: limit + 1, after });
      return toPage(bindings, { limit, bytesMax: limits.pageBytesMax }, ({ clientId }) => clientId);
    },
  };
}
