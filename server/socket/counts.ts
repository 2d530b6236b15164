import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { CONNECT } from '../gateway/call-audit.ts';
import type { Gateway } from '../gateway/dispatch.ts';

/** How many of something there are for each key; keys of which there are none take no memory. */
export class Counts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  enter(key: string): void {
    this.#counts.set(key, this.of(key) + 1);
  }

  leave(key: string): void {
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

export interface SessionCounts {
  readonly sessions: Counts;
  readonly gateway: Pick<Gateway, 'refused'>;
  readonly limits: Pick<Limits, 'sessionsPerSubjectMax'>;
}

/** Counts a session of a subject; throws `rate_limited` where it has as many as it may. */
export function enterSession({ sessions, gateway, limits }: SessionCounts, who: { readonly subject: string; readonly address: string }): void {
  const { sessionsPerSubjectMax } = limits;
  if (sessions.of(who.subject) >= sessionsPerSubjectMax) {
    const message = `you have ${sessionsPerSubjectMax} sockets open already`;
    const refusal = new CovistaError('rate_limited', message, { sessionsPerSubjectMax, retryAfterMs: 1_000 });
    gateway.refused(refusal, { operation: CONNECT, ...who });
    throw refusal;
  }
  sessions.enter(who.subject);
}
