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
 * Tells everybody of changed presence, in rounds: the first change after a pause goes at once, and what changes within the
 * interval goes together at its end. Who is behind hears the latest of it when they have caught up.
 */
export class PresenceRounds {
  readonly #options: PresenceRoundsOptions;
  readonly #missed = new Map<Listener, Set<number>>();
  #changed = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(options: PresenceRoundsOptions) {
    this.#options = options;
  }

  change(clientIds: readonly number[]): void {
    for (const clientId of clientIds) this.#changed.add(clientId);
    if (clientIds.length > 0 && this.#timer === undefined) this.#immediate ??= setImmediate(() => this.#round());
  }

  leave(listener: Listener): void {
    this.#missed.delete(listener);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#changed.clear();
    this.#missed.clear();
  }

  #round(): void {
    this.#timer = undefined;
    this.#immediate = undefined;
    const changed = this.#changed;
    if (changed.size === 0 && this.#missed.size === 0) return;
    this.#changed = new Set();
    const { participants, presence, limits } = this.#options;
    const message = awarenessMessage(presence.encode(changed));
    for (const listener of participants) {
      if (listener.queuedBytes > limits.awarenessQueuedBytesMax) this.#miss(listener, changed);
      else if (this.#missed.has(listener)) this.#catchUp(listener, changed);
      else if (changed.size > 0) listener.send(message);
    }
    this.#timer = setTimeout(() => this.#round(), limits.awarenessIntervalMs);
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
