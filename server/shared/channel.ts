import type { CovistaError } from '../../protocol/errors.ts';

/** The way to whoever opened a channel. */
export interface ChannelPeer {
  /** Hands bytes over. Where `channelOutboxBytesMax` wait for a slow reader already, the channel is closed instead (`slow_consumer`). */
  send(bytes: Uint8Array): void;
  /** Bytes that wait for a slow reader; what may be lost is not sent while there are many. */
  readonly queuedBytes: number;
  /** Gives up what waits, where nobody reads it, but for a message of which a part has left; what comes behind it makes no sense any more. */
  drop(): void;
  /** Ends the channel, in peace or for a reason that whoever opened it is told. */
  close(reason?: CovistaError): void;
}

/** The near end of a channel: a two-way pipe of messages. */
export interface Channel {
  /** A message came, whose bytes belong to the receiver. What it throws closes the channel. */
  receive(bytes: Uint8Array): void;
  /** The channel is over, whoever closed it; comes exactly once, and nothing comes after it. */
  closed(): void;
}

/** What a handler of an operation of kind `channel` answers. Exactly one of `attach` and `abandon` is called. */
export interface Opening<Opened> {
  /** The answer to the request that opens it. */
  readonly opened: Opened;
  attach(peer: ChannelPeer): Channel;
  /** Nobody is there any more. */
  abandon(): void;
}
