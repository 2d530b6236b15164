import type { Revocations } from '../../server/services/access/revocations.ts';
import type { Tickets } from '../../server/services/access/tickets.ts';

/** What an authenticator needs where nothing is revoked and nobody has a ticket. */
export const NO_SESSIONS: {
  readonly revocations: Pick<Revocations, 'against' | 'watch'>;
  readonly tickets: Pick<Tickets, 'redeem'>;
} = {
  revocations: { against: () => undefined, watch: () => () => undefined },
  tickets: { redeem: async () => undefined },
};
