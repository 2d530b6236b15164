import type { Operations } from '../../protocol/operations/index.ts';
import type { Handler, ResourceHandlers } from './handler.ts';
import type { Services } from './services.ts';

export const whoami: Handler<Operations['session']['whoami']> = (_input, { actor }) => ({
  subject: actor.subject,
  groups: [...actor.groups],
  serverAdmin: actor.serverAdmin,
  expiresAt: actor.expiresAtMs === null ? null : new Date(actor.expiresAtMs).toISOString(),
});

export function sessionHandlers({ revocations, tickets }: Services): ResourceHandlers<'session'> {
  return {
    whoami,
    revoke: ({ tokenId = null, subject = null, issuedBefore = null, expiresAt = null, reason }, { provenance }) =>
      revocations.revoke({ tokenId, subject, issuedBefore, expiresAt, reason }, provenance),
    ticket: (_input, { actor }) => tickets.issue(actor),
  };
}
