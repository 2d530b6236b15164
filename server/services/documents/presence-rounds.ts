import type { Limits } from '../../../protocol/limits.ts';
import type { Presence } from './presence.ts';

export interface Listener {
  readonly queuedBytes: number;
  send(message: Uint8Array): void;
}

export interface PresenceRoundsOptions {
  readonly presence: Presence;
  readonly participants: ReadonlySet<Listener>;
  readonly limits: Pick<
    Limits,
    'awarenessIntervalMs' | 'awarenessFramesPerSecond' | 'awarenessGreetedMax' | 'awarenessRenewalMs' | 'awarenessQueuedBytesMax'
  >;
}

/** However many there are, they see each other move, and leave. */
const INTERVAL_MS_MAX = 1_000;

/**
 * Tells everybody of changed presence, in rounds: the first change after a pause goes at once, in the same turn of the loop, and
 * what changes within the interval goes together at its end. Where many look on while several move, the interval is longer, unless
 * they are sent an edit anyhow. Who is behind hears the latest of it when they have caught up.
 */
export class PresenceRounds {
  readonly #options: PresenceRoundsOptions;
  readonly #missed = new Map<Listener, Set<number>>();
  #changed = new Set<number>();
  /** Those who only said that they are still there, or came to many: nobody waits for that, so that it goes with what changes, or at its time. */
  readonly #renewed = new Set<number>();
  /** Those of them who came: whoever comes after them hears of them in the same round. */
  readonly #arrived = new Set<number>();
  #renewAtMs = Number.POSITIVE_INFINITY;
  /** Who moved in the round before. */
  #moved: ReadonlySet<number> = new Set();
  /** When the last round was, by the clock of the process, and when the next may be. */
  #toldAtMs = Number.NEGATIVE_INFINITY;
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
    if (clientIds.length > 0) this.#tell();
  }

  /** Where many are, nobody waits to see one more: telling all of each who comes back after a restart would cost more than their coming. */
  arrive(clientIds: readonly number[]): void {
    const { participants, limits } = this.#options;
    if (participants.size <= limits.awarenessGreetedMax) {
      this.change(clientIds);
      return;
    }
    for (const clientId of clientIds) this.#arrived.add(clientId);
    this.renew(clientIds);
  }

  /** Of these, who is known to those who were here: who is not is told of to all in the round that is due. */
  known(clientIds: readonly number[]): readonly number[] {
    return this.#arrived.size === 0 ? clientIds : clientIds.filter((clientId) => !this.#arrived.has(clientId));
  }

  renew(clientIds: readonly number[]): void {
    for (const clientId of clientIds) this.#renewed.add(clientId);
    if (clientIds.length === 0) return;
    this.#renewAtMs = Math.min(this.#renewAtMs, performance.now() + this.#options.limits.awarenessRenewalMs);
    this.#tell(this.#renewAtMs);
  }

  /** Everybody is being sent something else: what of presence waits goes in the same write, which then costs next to nothing. */
  ride(): void {
    if (this.#changed.size === 0 || this.#isStopped || this.#isTelling) return;
    if (performance.now() >= this.#toldAtMs + this.#options.limits.awarenessIntervalMs) this.#round();
  }

  leave(listener: Listener): void {
    this.#missed.delete(listener);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#changed.clear();
    this.#renewed.clear();
    this.#arrived.clear();
    this.#missed.clear();
  }

  /** Not before a time, and as soon as it may be. A timer is set only when somebody is to be told, so that a lone change wakes the loop once. */
  #tell(fromMs = 0): void {
    if (this.#isStopped || this.#isTelling) return;
    const dueAtMs = Math.max(fromMs, this.#nextAtMs);
    if (this.#timerAtMs <= dueAtMs) return;
    const nowMs = performance.now();
    if (dueAtMs <= nowMs) this.#round();
    else {
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
    const nowMs = performance.now();
    this.#toldAtMs = nowMs;
    this.#nextAtMs = nowMs + this.#intervalMs(changed, nowMs);
    this.#isTelling = true;
    try {
      this.#tellOf(changed.size > 0 || nowMs >= this.#renewAtMs ? this.#withRenewed(changed) : changed);
    } finally {
      this.#isTelling = false;
    }
    if (this.#changed.size > 0 || this.#missed.size > 0) this.#tell();
    if (this.#renewed.size > 0) this.#tell(this.#renewAtMs);
  }

  #withRenewed(changed: ReadonlySet<number>): ReadonlySet<number> {
    const all = new Set([...changed, ...this.#renewed]);
    this.#renewed.clear();
    this.#arrived.clear();
    this.#renewAtMs = Number.POSITIVE_INFINITY;
    return all;
  }

  /** Somebody who moves alone, as when presenting, is shown as smoothly to many as to few. */
  #intervalMs(changed: ReadonlySet<number>, nowMs: number): number {
    const { awarenessIntervalMs, awarenessFramesPerSecond } = this.#options.limits;
    // Several who move in turn are several too; who moved before a pause is not.
    const before = nowMs <= this.#nextAtMs + awarenessIntervalMs ? this.#moved : [];
    const isAlone = new Set([...changed, ...before]).size <= 1;
    this.#moved = changed;
    if (isAlone) return awarenessIntervalMs;
    return Math.max(awarenessIntervalMs, Math.min(INTERVAL_MS_MAX, (1_000 * this.#options.participants.size) / awarenessFramesPerSecond));
  }

  #tellOf(changed: ReadonlySet<number>): void {
    const { participants, presence, limits } = this.#options;
    const messages = presence.messages(changed);
    for (const listener of participants) {
      if (listener.queuedBytes > limits.awarenessQueuedBytesMax) this.#miss(listener, changed);
      else if (this.#missed.has(listener)) this.#catchUp(listener, changed);
      else for (const message of messages) listener.send(message);
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
    for (const message of this.#options.presence.messages(new Set([...missed, ...changed]))) listener.send(message);
  }
}
