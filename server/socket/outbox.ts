import { CovistaError } from '../../protocol/errors.ts';
import { encodeFrameTransient, FRAME, type Frame } from '../../protocol/frame.ts';
import type { Limits } from '../../protocol/limits.ts';
import { sharedChannelFrame } from './shared-frames.ts';

/**
 * What becomes of a frame when the reader is slow. `respond`: it waits, and closes the connection when too much waits.
 * `stream`: the sender has waited for `room` and adds to nothing but its own lane. `advisory`: it is dropped.
 */
export type SendPolicy = 'respond' | 'stream' | 'advisory';

/** The part of a WebSocket that sending needs. */
export interface SendSocket {
  /** 1: sent; 0: buffered; 2: dropped. */
  send(bytes: Uint8Array, isBinary: boolean): number;
  getBufferedAmount(): number;
  cork(run: () => void): unknown;
}

interface Lane {
  readonly number: number;
  readonly frames: Uint8Array[];
  /** Whether it is a channel's, which has a bound of its own. */
  readonly isChannel: boolean;
  queuedBytes: number;
  /** How much of the first frame has left as fragments. */
  sentBytes: number;
}

interface Waiter {
  readonly lane: number;
  readonly resolve: () => void;
}

type OutboxLimits = Pick<Limits, 'fragmentBytes' | 'outboxBytesMax' | 'channelOutboxBytesMax' | 'socketBufferBytesMax'>;

/** Outboxes that have something to send at the end of this turn: one microtask for all, since what goes to many costs one each otherwise. */
let scheduled: (() => void)[] = [];

function flushScheduled(): void {
  const due = scheduled;
  scheduled = [];
  for (const flush of due) {
    try {
      flush();
    } catch (fault) {
      // It comes out by itself, as it would from a microtask of its own, and keeps nobody else from what is theirs.
      queueMicrotask(() => {
        throw fault;
      });
    }
  }
}

/**
 * The bounded way out of one connection. While the socket takes bytes, frames leave at once. What has to wait takes turns:
 * up to `fragmentBytes` of small frames, then one fragment of the next lane, so that a large answer never blocks the others.
 */
export class Outbox {
  readonly #socket: SendSocket;
  readonly #limits: OutboxLimits;
  readonly #onOverflow: () => void;
  readonly #small: Uint8Array[] = [];
  readonly #lanes = new Map<number, Lane>();
  #waiters: Waiter[] = [];
  #queuedBytes = 0;
  /** How many of them are of channels. */
  #channelBytes = 0;
  #blocked = false;
  #closed = false;
  /** Whether the engine is delivering messages: then it gathers what is sent itself; otherwise a microtask does. */
  isGathered = false;
  #scheduled = false;

  constructor(options: { readonly socket: SendSocket; readonly limits: OutboxLimits; readonly onOverflow: () => void }) {
    this.#socket = options.socket;
    this.#limits = options.limits;
    this.#onOverflow = options.onOverflow;
  }

  /** Bytes that wait here; those that the socket holds come on top (`socketBufferBytesMax` and one frame at most). */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Sends a frame of a request (its lane) or of the connection (null); throws `payload_too_large` where it is to be queued and
   * could never be, which is then an error of the request and not of the connection.
   */
  send(frame: Frame, lane: number | null, policy: SendPolicy): void {
    if (this.#closed || (policy === 'advisory' && this.#queuedBytes > 0)) return;
    const bytes = encodeFrameTransient(frame);
    if (this.#mayPass(bytes)) this.#transmit(bytes);
    else this.#enqueue(new Uint8Array(bytes), lane, policy);
  }

  /** Sends an encoded frame, whose bytes belong to the outbox from now on. */
  sendEncoded(bytes: Uint8Array, lane: number | null, policy: SendPolicy): void {
    if (this.#closed) return;
    if (this.#mayPass(bytes)) this.#transmit(bytes);
    else this.#enqueue(bytes, lane, policy);
  }

  /**
   * Sends a message of a channel behind those that wait in its lane. Answers false, and sends nothing, where too much waits there
   * already or in all channels together.
   */
  sendOnChannel(message: Uint8Array, number: number): boolean {
    const shared = sharedChannelFrame(number, message);
    return this.#sendInLane(shared ?? encodeFrameTransient([FRAME.channel, number, message]), number, shared !== undefined);
  }

  /** The same for the answer with which a channel begins. */
  openChannel(opened: unknown, number: number): boolean {
    return this.#sendInLane(encodeFrameTransient([FRAME.response, number, opened]), number, false);
  }

  /** Bytes that wait in a lane. */
  laneBytes(number: number): number {
    return this.#lanes.get(number)?.queuedBytes ?? 0;
  }

  /** Gives up what waits in a lane, except a frame of which a part has left. */
  dropLane(number: number): void {
    const lane = this.#lanes.get(number);
    if (lane === undefined) return;
    const kept = lane.sentBytes > 0 ? (lane.frames[0]?.length ?? 0) - lane.sentBytes : 0;
    this.#count(lane, kept - lane.queuedBytes);
    lane.frames.length = lane.sentBytes > 0 ? 1 : 0;
    if (kept === 0) this.#lanes.delete(number);
  }

  /** Resolves when the lane has nothing waiting and the outbox is at most half full; undefined: that is so already. */
  room(lane: number): Promise<void> | undefined {
    if (this.#hasRoom(lane)) return undefined;
    return new Promise((resolve) => {
      this.#waiters.push({ lane, resolve });
    });
  }

  /** The socket took what it held back. */
  drained(): void {
    this.#blocked = this.#socket.getBufferedAmount() >= this.#limits.socketBufferBytesMax;
    this.#flush();
  }

  /** Sends what waits regardless of turns' pauses, as far as the socket takes it; for the last words of a connection. */
  flushNow(): void {
    this.#flush();
  }

  /** Nothing leaves any more; whoever waits for room goes on and finds the connection closed. */
  close(): void {
    this.#closed = true;
    this.#discard();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  #hasRoom(lane: number): boolean {
    return this.#closed || (!this.#lanes.has(lane) && this.#queuedBytes <= this.#limits.outboxBytesMax / 2);
  }

  /** Bytes that do not last are copied where they have to wait. */
  #sendInLane(bytes: Uint8Array, number: number, isLasting: boolean): boolean {
    if (this.#closed) return true;
    if (this.#mayPass(bytes)) this.#transmit(bytes);
    else if (this.laneBytes(number) > this.#limits.channelOutboxBytesMax || this.#channelBytes > this.#limits.outboxBytesMax) return false;
    else this.#enqueueInLane(isLasting ? bytes : new Uint8Array(bytes), number, true);
    return true;
  }

  /** Whether a frame may leave at once: nothing waits before it, and the engine gathers. */
  #mayPass(bytes: Uint8Array): boolean {
    return this.isGathered && this.#queuedBytes === 0 && !this.#blocked && bytes.length <= this.#limits.fragmentBytes;
  }

  #enqueue(bytes: Uint8Array, number: number | null, policy: SendPolicy): void {
    const { outboxBytesMax: bytesMax } = this.#limits;
    if (policy === 'respond' && bytes.length > bytesMax) {
      throw new CovistaError('payload_too_large', `the answer has ${bytes.length} bytes; ask for less at once`, { bytesMax });
    }
    const isSmall = policy !== 'stream' && bytes.length <= this.#limits.fragmentBytes;
    if (number === null || (isSmall && !this.#lanes.has(number))) {
      this.#queuedBytes += bytes.length;
      this.#small.push(bytes);
      this.#schedule();
    } else this.#enqueueInLane(bytes, number, false);
    if (policy === 'respond' && this.#queuedBytes - this.#channelBytes > bytesMax) this.#overflow();
  }

  #enqueueInLane(bytes: Uint8Array, number: number, isChannel: boolean): void {
    const lane = this.#lanes.get(number) ?? { number, frames: [], isChannel, queuedBytes: 0, sentBytes: 0 };
    this.#lanes.set(number, lane);
    lane.frames.push(bytes);
    this.#count(lane, bytes.length);
    this.#schedule();
  }

  #count(lane: Lane, bytes: number): void {
    lane.queuedBytes += bytes;
    this.#queuedBytes += bytes;
    if (lane.isChannel) this.#channelBytes += bytes;
  }

  /** What waits is dropped first, so that the last words of the connection overflow nothing. */
  #overflow(): void {
    this.#discard();
    this.#onOverflow();
  }

  #discard(): void {
    this.#small.length = 0;
    this.#lanes.clear();
    this.#queuedBytes = 0;
    this.#channelBytes = 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#blocked) return;
    this.#scheduled = true;
    if (scheduled.push(this.#flushScheduled) === 1) queueMicrotask(flushScheduled);
  }

  readonly #flushScheduled = (): void => {
    this.#scheduled = false;
    if (!this.#closed) this.#socket.cork(() => this.#flush());
  };

  #flush(): void {
    while (!this.#blocked && !this.#closed && this.#queuedBytes > 0) {
      this.#flushSmall();
      if (!this.#blocked) this.#flushOneFragment();
    }
    this.#wakeWaiters();
  }

  #flushSmall(): void {
    let sentBytes = 0;
    let count = 0;
    while (count < this.#small.length && !this.#blocked && sentBytes < this.#limits.fragmentBytes) {
      const bytes = this.#small[count++] as Uint8Array;
      sentBytes += bytes.length;
      this.#transmit(bytes);
    }
    if (count === this.#small.length) this.#small.length = 0;
    else if (count > 0) this.#small.splice(0, count);
    this.#queuedBytes -= sentBytes;
  }

  #flushOneFragment(): void {
    const [lane] = this.#lanes.values();
    if (lane === undefined) return;
    const frame = lane.frames[0] as Uint8Array;
    const { fragmentBytes } = this.#limits;
    const end = Math.min(lane.sentBytes + fragmentBytes, frame.length);
    if (frame.length <= fragmentBytes) this.#transmit(frame);
    else this.#transmit(encodeFrameTransient([FRAME.fragment, lane.number, frame.subarray(lane.sentBytes, end), end < frame.length]));
    this.#count(lane, lane.sentBytes - end);
    lane.sentBytes = end;
    if (end === frame.length) {
      lane.frames.shift();
      lane.sentBytes = 0;
    }
    // The lane goes to the end of the row.
    this.#lanes.delete(lane.number);
    if (lane.frames.length > 0) this.#lanes.set(lane.number, lane);
  }

  #transmit(bytes: Uint8Array): void {
    const status = this.#socket.send(bytes, true);
    if (status !== 1) this.#blocked = this.#socket.getBufferedAmount() >= this.#limits.socketBufferBytesMax;
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiting) {
      if (this.#hasRoom(waiter.lane)) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }
}
