import type { CovistaError } from '../../protocol/errors.ts';

interface Waiter {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (reason: CovistaError) => void;
}

/**
 * Which of the local edits are settled. Edits are numbered from 1 as they are made; a message to the server carries all that were made
 * before it and not sent, and the server says how many messages of the channel it has settled. A new channel begins with
 * a message that carries everything the server lacks.
 */
export class Settlement {
  #made = 0;
  #settled = 0;
  /** For every message of this channel that is not settled, the last edit that it carries. */
  #underWay: number[] = [];
  #settledMessages = 0;
  #waiters: Waiter[] = [];

  /** Whether there are edits of which it is not known that the server keeps them. */
  get isOpen(): boolean {
    return this.#settled < this.#made;
  }

  edited(): void {
    this.#made += 1;
  }

  /** A message left that carries everything made so far. */
  sent(): void {
    this.#underWay.push(this.#made);
  }

  /** What was under way may or may not have arrived; the next channel counts from the beginning. */
  interrupted(): void {
    this.#underWay = [];
    this.#settledMessages = 0;
  }

  /** The server has settled so many messages of the channel. */
  settle(messages: number): void {
    const count = Math.min(messages - this.#settledMessages, this.#underWay.length);
    if (count <= 0) return;
    this.#settledMessages += count;
    this.#settled = this.#underWay[count - 1] ?? this.#settled;
    this.#underWay.splice(0, count);
    const done = this.#waiters.filter(({ upTo }) => upTo <= this.#settled);
    this.#waiters = this.#waiters.filter(({ upTo }) => upTo > this.#settled);
    for (const { resolve } of done) resolve();
  }

  /** Resolves when every edit made so far is settled; rejects when one of them is refused. */
  whenSettled(): Promise<void> {
    if (!this.isOpen) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiters.push({ upTo: this.#made, resolve, reject });
    return promise;
  }

  /** A message was refused: whoever waits for an edit that it carries, or for a later one, learns of it. */
  refuse(message: number, reason: CovistaError): void {
    const index = message - this.#settledMessages - 1;
    const before = index <= 0 ? this.#settled : (this.#underWay[index - 1] ?? this.#settled);
    this.#reject((upTo) => upTo > before, reason);
  }

  /** All edits are given up. */
  abandon(reason: CovistaError): void {
    this.#settled = this.#made;
    this.interrupted();
    this.#reject(() => true, reason);
  }

  #reject(concerns: (upTo: number) => boolean, reason: CovistaError): void {
    const failed = this.#waiters.filter(({ upTo }) => concerns(upTo));
    this.#waiters = this.#waiters.filter(({ upTo }) => !concerns(upTo));
    for (const { reject } of failed) reject(reason);
  }
}
