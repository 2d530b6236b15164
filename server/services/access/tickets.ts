import { createHash, randomBytes } from 'node:crypto';
import type { Limits } from '../../../protocol/limits.ts';
import type { Clock } from '../../shared/clock.ts';
import type { SessionStore } from '../../storage/stores.ts';
import type { Actor } from './actor.ts';

/** A secret that stands for a token once and for a short time, so that the token itself need not be where it is seen. */
export interface Tickets {
  /** A ticket of the caller, which never holds longer than the caller's token. */
  issue(actor: Actor): Promise<{ readonly ticket: string; readonly expiresAt: string }>;
  /** The claims of the token that a ticket stands for, once; undefined: it does not hold. */
  redeem(ticket: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}

export interface TicketsOptions {
  readonly store: Pick<SessionStore, 'addTicket' | 'takeTicket'>;
  readonly limits: Pick<Limits, 'ticketKeepMs'>;
  readonly clock: Clock;
}

/** 256 random bits in base64url; without a dot, no ticket is a JWT. */
const TICKET = /^ticket_[A-Za-z0-9_-]{43}$/;

export const isTicket = (token: string): boolean => TICKET.test(token);

export function createTickets({ store, limits, clock }: TicketsOptions): Tickets {
  return {
    issue: async ({ subject, claims, expiresAtMs }) => {
      const ticket = `ticket_${randomBytes(32).toString('base64url')}`;
      const endsAtMs = Math.min(clock.now() + limits.ticketKeepMs, expiresAtMs ?? Number.POSITIVE_INFINITY);
      const expiresAt = new Date(endsAtMs).toISOString();
      await store.addTicket({ hash: hashOf(ticket), subject, claims, expiresAt });
      return { ticket, expiresAt };
    },
    redeem: (ticket) => store.takeTicket(hashOf(ticket)),
  };
}

/** The database does not learn what would let its reader in. */
function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('base64url');
}
