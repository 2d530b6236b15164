import { CovistaError } from '../../protocol/errors.ts';

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

/** Counts a session of a subject; throws `rate_limited` where it has as many as it may. */
export function enterSession(sessions: Counts, subject: string, sessionsPerSubjectMax: number): void {
  if (sessions.of(subject) >= sessionsPerSubjectMax) {
    throw new CovistaError('rate_limited', `you have ${sessionsPerSubjectMax} sockets open already`, { sessionsPerSubjectMax, retryAfterMs: 1_000 });
  }
  sessions.enter(subject);
}
