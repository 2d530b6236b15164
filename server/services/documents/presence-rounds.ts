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
  readonly limits: Pick<Limits, 'awarenessIntervalMs' | 'awarenessFramesPerSecond' | 'awarenessRenewalMs' | 'awarenessQueuedBytesMax'>;
}

/**
 * Tells everybody of changed presence, in rounds: the first change after a pause goes at once, in the same turn of the loop, and
 * what changes within the interval goes together at its end. Where many look on while several move, the interval is longer. Who is
 * behind hears the latest of it when they have caught up.
 */
export class PresenceRounds {
  readonly #options: PresenceRoundsOptions;
  readonly #missed = new Map<Listener, Set<number>>();
  #changed = new Set<number>();
  /** Those who only said that they are still there: nobody waits for that. */
  readonly #renewed = new Set<number>();
  /** When the next round may be, by the clock of the process. */
  #nextAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  /** Whether a round is going on: whom it loses is told of in the next one. */
  #isTelling = false;
  #isStopped = false;

  constructor(options: PresenceRoundsOptions) {
    this.#options = options;
  }

  change(clientIds: readonly number[]): void {
    for (const clientId of clientIds) this.#changed.add(clientId);
    if (clientIds.length > 0) this.#tell(0);
  }

  renew(clientIds: readonly number[]): void {
    for (const clientId of clientIds) this.#renewed.add(clientId);
    if (clientIds.length > 0) this.#tell(this.#options.limits.awarenessRenewalMs);
  }

  leave(listener: Listener): void {
    this.#missed.delete(listener);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#changed.clear();
    this.#renewed.clear();
    this.#missed.clear();
  }

  /** When it has waited so long, and as soon as it may be. A timer is set only when somebody is to be told, so that a lone change wakes the loop once. */
  #tell(waitMs: number): void {
    if (this.#isStopped || this.#isTelling) return;
    const nowMs = performance.now();
    const dueAtMs = Math.max(nowMs + waitMs, this.#nextAtMs);
    if (dueAtMs <= nowMs) this.#round();
    else if (dueAtMs < this.#timerAtMs) {
      clearTimeout(this.#timer);
      this.#timerAtMs = dueAtMs;
      this.#timer = setTimeout(() => this.#round(), Math.ceil(dueAtMs - nowMs));
    }
  }

  #round(): void {
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const changed = this.#changed;
    this.#changed = new Set();
    this.#nextAtMs = performance.now() + this.#intervalMs(changed.size);
    for (const clientId of this.#renewed) changed.add(clientId);
    this.#renewed.clear();
    this.#isTelling = true;
    try {
      this.#tellOf(changed);
    } finally {
      this.#isTelling = false;
    }
    if (this.#changed.size > 0 || this.#missed.size > 0) this.#tell(0);
    else if (this.#renewed.size > 0) this.#tell(this.#options.limits.awarenessRenewalMs);
  }

  /** Somebody who moves alone, as when presenting, is shown as smoothly to many as to few. */
  #intervalMs(moved: number): number {
    const { awarenessIntervalMs, awarenessFramesPerSecond } = this.#options.limits;
    if (moved <= 1) return awarenessIntervalMs;
    return Math.max(awarenessIntervalMs, (1_000 * this.#options.participants.size) / awarenessFramesPerSecond);
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
