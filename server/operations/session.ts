import type { Operations } from '../../protocol/operations/index.ts';
import { decodeCursor, isCount, toPage } from '../shared/cursor.ts';
import type { Handler, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export const whoami: Handler<Operations['session']['whoami']> = (_input, { actor }) => ({
  subject: actor.subject,
  groups: [...actor.groups],
  serverAdmin: actor.serverAdmin,
  expiresAt: actor.expiresAtMs === null ? null : new Date(actor.expiresAtMs).toISOString(),
});

export function sessionHandlers({ revocations, tickets, stores, limits }: Services): ResourceHandlers<'session'> {
  return {
    whoami,
    revoke: ({ tokenId = null, subject = null, issuedBefore = null, expiresAt = null, reason }, { provenance }) =>
      revocations.revoke({ tokenId, subject, issuedBefore, expiresAt, reason }, provenance),
    revocations: async ({ tokenId = null, subject = null, limit, cursor }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, isCount);
      const found = await stores.metadata.sessions.revocations({ tokenId, subject }, { limit: limit + 1, before });
      const { items, ...rest } = toPage(found, { limit, bytesMax: limits.pageBytesMax }, ({ sequence }) => sequence);
      return { items: items.map(({ sequence: _, ...revocation }) => revocation), ...rest };
    },
    lift: ({ tokenId = null, subject = null }, { provenance }) => revocations.lift({ tokenId, subject }, provenance),
    ticket: (_input, { actor }) => tickets.issue(actor),
  };
}
