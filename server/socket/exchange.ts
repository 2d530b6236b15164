import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Actor } from '../gateway/authenticate.ts';
import type { Call } from '../gateway/call.ts';
import type { Gateway, Outcome } from '../gateway/dispatch.ts';
import { ByteQueue } from '../shared/byte-queue.ts';
import type { Opening } from '../shared/channel.ts';
import { Conversation } from './conversation.ts';
import type { Outbox } from './outbox.ts';

export interface ExchangeOptions {
  readonly number: number;
  readonly call: Call;
  readonly gateway: Gateway;
  readonly outbox: Outbox;
  readonly limits: Pick<Limits, 'streamCreditBytes'>;
  /** A channel was opened or is over; answers why there is no room for one more. */
  readonly onChannel: (change: 1 | -1) => CovistaError | undefined;
}

/** One request of a connection that takes time, to its last frame: exactly one response, error or end; of a channel, its response and then an error or end. */
export class Exchange {
  readonly #options: ExchangeOptions;
  #body: ByteQueue | undefined;
  #conversation: Conversation | undefined;
  /** Whether the client has sent all of it; a body that the server gave up may still be sent for a while. */
  #isBodyComplete = false;
  /** Body bytes that the client may still send. */
  #bodyCreditBytes: number;
  /** Body bytes that the handler took and that the client was not told of. */
  #bodyOwedBytes = 0;
  /** Item bytes that the server may still send. */
  #itemCreditBytes: number;
  #wake: (() => void) | undefined;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#bodyCreditBytes = options.limits.streamCreditBytes;
    this.#itemCreditBytes = options.limits.streamCreditBytes;
    const { call, number, outbox } = options;
    call.onProgress = (progress) => outbox.send([FRAME.progress, number, progress], number, 'advisory');
    call.onCancel = (reason) => {
      this.#body?.fail(reason);
      this.#conversation?.close(reason);
      this.#wake?.();
    };
  }

  /** Lets the handler read what the client is about to send. */
  openBody(): void {
    this.#body = new ByteQueue((bytes) => this.#consumed(bytes));
    this.#options.call.body = this.#body;
  }

  /** Sends what became of the call; resolves when the last frame is on its way. */
  async answer(outcome: Outcome | Promise<Outcome>): Promise<void> {
    const { outbox, number, gateway, call } = this.#options;
    try {
      const settled = await outcome;
      if (settled.kind === 'error') throw settled.error;
      if (settled.kind === 'stream') await this.#pump(settled.items);
      else if (settled.kind === 'channel') await this.#converse(settled);
      else outbox.send([FRAME.response, number, settled.value], number, 'respond');
    } catch (fault) {
      const error = fault instanceof CovistaError ? fault : gateway.explain(call, fault);
      outbox.send([FRAME.error, number, errorBody(error), call.requestId], number, 'respond');
    } finally {
      this.#body?.abandon();
    }
  }

  /** The server stops: what would go on for good ends now, everything else may finish. */
  drain(reason: CovistaError): void {
    if (this.#options.call.isEndless || this.#conversation !== undefined) this.cancel(reason);
  }

  cancel(reason: CovistaError): void {
    this.#options.call.cancel(reason);
  }

  /** The session has another token, which counts for channels that are open. */
  renew(actor: Actor): void {
    this.#options.call.renew(actor);
  }

  /** The client may be sent so many bytes of items more. */
  grant(bytes: number): void {
    this.#itemCreditBytes += bytes;
    this.#wake?.();
  }

  /** A piece of the body arrived; throws `protocol_error` when there is no body or no credit for it. */
  receiveBody(bytes: Uint8Array, last: boolean): void {
    const { number } = this.#options;
    if (this.#body === undefined || this.#isBodyComplete) throw new CovistaError('protocol_error', `request ${number} takes no more body`);
    this.#bodyCreditBytes -= bytes.length;
    if (this.#bodyCreditBytes < 0) throw new CovistaError('protocol_error', `the body of request ${number} exceeds its credit`);
    this.#isBodyComplete = last;
    this.#body.push(bytes);
    if (last) this.#body.end();
  }

  /** A message of the client for the channel; one that has not begun or is over takes none. */
  receiveMessage(bytes: Uint8Array): void {
    this.#conversation?.receive(bytes.slice());
  }

  async #converse(opening: Opening<unknown>): Promise<void> {
    const { call, number, outbox, gateway, onChannel } = this.#options;
    const refusal = call.cancelledBy ?? onChannel(1);
    if (refusal !== undefined) {
      opening.abandon();
      throw refusal;
    }
    const way = {
      send: (bytes: Uint8Array) => outbox.sendOnChannel(bytes, number),
      get queuedBytes() {
        return outbox.laneBytes(number);
      },
      drop: () => outbox.dropLane(number),
    };
    this.#conversation = new Conversation(way, (fault) => gateway.explain(call, fault));
    outbox.openChannel(opening.opened, number);
    this.#conversation.begin(opening);
    try {
      await this.#conversation.over;
      outbox.send([FRAME.end, number], number, 'respond');
    } finally {
      onChannel(-1);
    }
  }

  async #pump(items: AsyncIterable<unknown>): Promise<void> {
    const { outbox, number } = this.#options;
    for await (const item of items) {
      const bytes = encodeFrame([FRAME.item, number, item]);
      await this.#clearance();
      this.#itemCreditBytes -= bytes.length;
      outbox.sendEncoded(bytes, number, 'stream');
    }
    outbox.send([FRAME.end, number], number, 'respond');
  }

  /** Waits for credit, then for room in the outbox; throws the reason when the call is cancelled meanwhile. */
  async #clearance(): Promise<void> {
    const { call, outbox, number } = this.#options;
    while (true) {
      if (call.cancelledBy !== undefined) throw call.cancelledBy;
      const room = this.#itemCreditBytes <= 0 ? this.#credited() : outbox.room(number);
      if (room === undefined) return;
      await room;
    }
  }

  #credited(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Credit goes back in portions, so that small reads do not cost a frame each. */
  #consumed(bytes: number): void {
    const { outbox, number, limits } = this.#options;
    this.#bodyOwedBytes += bytes;
    if (this.#bodyOwedBytes < limits.streamCreditBytes / 4 || this.#body?.ended === true) return;
    outbox.send([FRAME.credit, number, this.#bodyOwedBytes], number, 'respond');
    this.#bodyCreditBytes += this.#bodyOwedBytes;
    this.#bodyOwedBytes = 0;
  }
}
