import type { AuditTrail } from '../../server/services/access/audit-trail.ts';
import type { Revocations } from '../../server/services/access/revocations.ts';
import type { Tickets } from '../../server/services/access/tickets.ts';

/** What an authenticator needs where nothing is revoked or audited and nobody has a ticket. */
export const NO_SESSIONS: {
  readonly revocations: Pick<Revocations, 'against' | 'watch'>;
  readonly tickets: Pick<Tickets, 'redeem'>;
  readonly audit: AuditTrail;
} = {
  revocations: { against: () => undefined, watch: () => () => undefined },
  tickets: { redeem: async () => undefined },
  audit: { record: () => undefined, close: async () => undefined },
};
