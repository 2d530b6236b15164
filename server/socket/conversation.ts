import { CovistaError } from '../../protocol/errors.ts';
import type { Channel, ChannelPeer, Opening } from '../shared/channel.ts';

/** How the messages of a channel leave. */
export interface Way {
  /** False: too much waits already, and nothing was sent. */
  send(bytes: Uint8Array): boolean;
  readonly queuedBytes: number;
  /** Gives up what waits, where nobody reads it. */
  drop(): void;
}

/** A channel that is open, from its attachment to its end, of which each side is told once. */
export class Conversation implements ChannelPeer {
  /** Resolves when the channel ended in peace, and rejects with the reason otherwise. */
  readonly over: Promise<void>;
  readonly #way: Way;
  readonly #explain: (fault: unknown) => CovistaError;
  readonly #settle: (reason: CovistaError | undefined) => void;
  #channel: Channel | undefined;
  #isOver = false;

  constructor(way: Way, explain: (fault: unknown) => CovistaError) {
    this.#way = way;
    this.#explain = explain;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.over = promise;
    this.#settle = (reason) => (reason === undefined ? resolve() : reject(reason));
  }

  get queuedBytes(): number {
    return this.#way.queuedBytes;
  }

  /** Brings the near end in; nothing is received before. */
  begin(opening: Opening<unknown>): void {
    try {
      const channel = opening.attach(this);
      if (this.#isOver) channel.closed();
      else this.#channel = channel;
    } catch (fault) {
      this.close(this.#explain(fault));
    }
  }

  send(bytes: Uint8Array): void {
    if (this.#isOver || this.#way.send(bytes)) return;
    this.#way.drop();
    this.close(new CovistaError('slow_consumer', 'the reader of the channel fell too far behind'));
  }

  drop(): void {
    this.#way.drop();
  }

  /** A message of whoever opened the channel. */
  receive(bytes: Uint8Array): void {
    try {
      this.#channel?.receive(bytes);
    } catch (fault) {
      this.close(this.#explain(fault));
    }
  }

  close(reason?: CovistaError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle(reason);
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.closed();
  }
}
