import type { ResourceHandlers } from './handler.ts';

export const sessionHandlers: ResourceHandlers<'session'> = {
  whoami: (_input, { actor }) => ({
    subject: actor.subject,
    groups: [...actor.groups],
    serverAdmin: actor.serverAdmin,
    expiresAt: actor.expiresAtMs === null ? null : new Date(actor.expiresAtMs).toISOString(),
  }),
};
