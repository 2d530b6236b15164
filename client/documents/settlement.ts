import type { CovistaError } from '../../protocol/errors.ts';

interface Waiter {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (reason: CovistaError) => void;
}

/** What lies between two clocks of a client of Yjs. */
export interface Added {
  readonly clientId: number;
  readonly fromClock: number;
  readonly toClock: number;
}

/** A message to the server: the edits behind `afterEdit` up to `edit`, and what they have added. */
export interface Sending {
  readonly afterEdit: number;
  readonly edit: number;
  readonly added: readonly Added[];
}

/**
 * Which of the local edits are settled. Edits are numbered from 1 as they are made; a message to the server carries all that were made
 * before it and not sent, and the server says how many messages of the channel it has settled. A new channel begins with
 * a message that carries everything the server lacks.
 */
export class Settlement {
  #made = 0;
  #settled = 0;
  /** The messages of this channel that are not settled. */
  #underWay: Sending[] = [];
  #settledMessages = 0;
  #waiters: Waiter[] = [];

  /** Whether there are edits of which it is not known that the server keeps them. */
  get isOpen(): boolean {
    return this.#settled < this.#made;
  }

  edited(): void {
    this.#made += 1;
  }

  /** A message left that adds this; with the last one, everything made so far has left. */
  sent(added: readonly Added[], isLast = true): void {
    const afterEdit = this.#underWay.at(-1)?.edit ?? this.#settled;
    this.#underWay.push({ afterEdit, edit: isLast ? this.#made : afterEdit, added });
  }

  /** The next channel counts from the beginning. Answers what was under way, which may or may not have arrived. */
  interrupted(): Sending[] {
    const sendings = this.#underWay;
    this.#underWay = [];
    this.#settledMessages = 0;
    return sendings;
  }

  /** The server has settled so many messages of the channel. */
  settle(messages: number): void {
    const count = Math.min(messages - this.#settledMessages, this.#underWay.length);
    if (count <= 0) return;
    this.#settledMessages += count;
    this.#settled = this.#underWay.splice(0, count).at(-1)?.edit ?? this.#settled;
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

  /** A message of this channel was refused. */
  refuse(message: number, reason: CovistaError): void {
    const sending = this.#underWay[message - this.#settledMessages - 1];
    if (sending !== undefined) this.gone(sending, reason);
  }

  /** What a message carried is not kept: whoever waits for one of its edits, or for a later one, learns of it. */
  gone({ afterEdit }: Sending, reason: CovistaError): void {
    this.#reject((upTo) => upTo > afterEdit, reason);
  }

  /** All edits are given up, and those that follow count. */
  abandon(reason: CovistaError): void {
    this.#settled = this.#made;
    this.interrupted();
    this.fail(reason);
  }

  /** Nothing more is settled: whoever waits learns of it, and what is open stays so. */
  fail(reason: CovistaError): void {
    this.#reject(() => true, reason);
  }

  #reject(concerns: (upTo: number) => boolean, reason: CovistaError): void {
    const failed = this.#waiters.filter(({ upTo }) => concerns(upTo));
    this.#waiters = this.#waiters.filter(({ upTo }) => !concerns(upTo));
    for (const { reject } of failed) reject(reason);
  }
}
