import type { Limits } from '../../../protocol/limits.ts';
import { awarenessMessage } from './messages.ts';
import type { Presence } from './presence.ts';

export interface Listener {
  readonly queuedBytes: number;
  send(message: Uint8Array): void;
}

export interface PresenceRoundsOptions {
  readonly presence: Presence;
  readonly participants: ReadonlySet<Listener>;
  readonly limits: Pick<Limits, 'awarenessIntervalMs' | 'awarenessQueuedBytesMax'>;
}

/**
 * Tells everybody of changed presence, in rounds: the first change after a pause goes at once, in the same turn of the loop, and
 * what changes within the interval goes together at its end. Who is behind hears the latest of it when they have caught up.
 */
export class PresenceRounds {
  readonly #options: PresenceRoundsOptions;
  readonly #missed = new Map<Listener, Set<number>>();
  #changed = new Set<number>();
  /** When the next round may be, by the clock of the process. */
  #nextAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Whether a round is going on: whom it loses is told of in the next one. */
  #isTelling = false;
  #isStopped = false;

  constructor(options: PresenceRoundsOptions) {
    this.#options = options;
  }

  change(clientIds: readonly number[]): void {
    for (const clientId of clientIds) this.#changed.add(clientId);
    if (clientIds.length > 0) this.#tell();
  }

  leave(listener: Listener): void {
    this.#missed.delete(listener);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#changed.clear();
    this.#missed.clear();
  }

  /** As soon as it may be. A timer is set only when somebody is to be told, so that a lone change wakes the loop once. */
  #tell(): void {
    if (this.#isStopped || this.#isTelling || this.#timer !== undefined) return;
    const waitMs = this.#nextAtMs - performance.now();
    if (waitMs <= 0) this.#round();
    else this.#timer = setTimeout(() => this.#round(), Math.ceil(waitMs));
  }

  #round(): void {
    this.#timer = undefined;
    this.#nextAtMs = performance.now() + this.#options.limits.awarenessIntervalMs;
    const changed = this.#changed;
    this.#changed = new Set();
    this.#isTelling = true;
    try {
      this.#tellOf(changed);
    } finally {
      this.#isTelling = false;
    }
    if (this.#changed.size > 0 || this.#missed.size > 0) this.#tell();
  }

  #tellOf(changed: ReadonlySet<number>): void {
    const { participants, presence, limits } = this.#options;
    const message = awarenessMessage(presence.encode(changed));
    for (const listener of participants) {
      if (listener.queuedBytes > limits.awarenessQueuedBytesMax) this.#miss(listener, changed);
      else if (this.#missed.has(listener)) this.#catchUp(listener, changed);
      else if (changed.size > 0) listener.send(message);
    }
  }

  #miss(listener: Listener, changed: ReadonlySet<number>): void {
    const missed = this.#missed.get(listener) ?? new Set();
    for (const clientId of changed) missed.add(clientId);
    this.#missed.set(listener, missed);
  }

  #catchUp(listener: Listener, changed: ReadonlySet<number>): void {
    const missed = this.#missed.get(listener) ?? new Set();
    this.#missed.delete(listener);
    listener.send(awarenessMessage(this.#options.presence.encode(new Set([...missed, ...changed]))));
  }
}
