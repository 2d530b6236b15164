import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { encodeFrame, FRAME, type Request } from '../../protocol/frame.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Actor } from '../gateway/authenticate.ts';
import { Call } from '../gateway/call.ts';
import type { Gateway, Outcome } from '../gateway/dispatch.ts';
import { ByteQueue } from '../shared/byte-queue.ts';
import type { Outbox } from './outbox.ts';

export interface ExchangeOptions {
  readonly request: Request;
  readonly actor: Actor;
  readonly address: string;
  readonly gateway: Gateway;
  readonly outbox: Outbox;
  readonly limits: Pick<Limits, 'streamCreditBytes'>;
}

/** One request of a connection, from its first frame to its last: exactly one response, error or end. */
export class Exchange {
  readonly #number: number;
  readonly #options: ExchangeOptions;
  readonly #call: Call;
  readonly #body: ByteQueue | undefined;
  /** Body bytes that the client may still send. */
  #bodyCreditBytes: number;
  /** Body bytes that the handler took and that the client was not told of. */
  #bodyOwedBytes = 0;
  /** Item bytes that the server may still send. */
  #itemCreditBytes: number;
  #wake: (() => void) | undefined;

  constructor(options: ExchangeOptions) {
    const [, number, operation, input, idempotencyKey, hasBody] = options.request;
    this.#number = number;
    this.#options = options;
    this.#bodyCreditBytes = options.limits.streamCreditBytes;
    this.#itemCreditBytes = options.limits.streamCreditBytes;
    this.#body = hasBody ? new ByteQueue((bytes) => this.#consumed(bytes)) : undefined;
    this.#call = new Call({
      operation,
      input,
      actor: options.actor,
      address: options.address,
      idempotencyKey,
      body: this.#body,
      onProgress: (progress) => options.outbox.send([FRAME.progress, number, progress], number, 'advisory'),
    });
  }

  /** Undefined when everything was answered at once. */
  run(): Promise<void> | undefined {
    const outcome = this.#options.gateway.dispatch(this.#call);
    if (outcome instanceof Promise) return outcome.then((settled) => this.#answer(settled));
    return this.#answer(outcome);
  }

  cancel(reason: CovistaError): void {
    this.#call.cancel(reason);
    this.#body?.fail(reason);
    this.#wake?.();
  }

  /** The client may be sent so many bytes of items more. */
  grant(bytes: number): void {
    this.#itemCreditBytes += bytes;
    this.#wake?.();
  }

  /** A piece of the body arrived; throws `protocol_error` when there is no body or no credit for it. */
  receiveBody(bytes: Uint8Array, last: boolean): void {
    if (this.#body === undefined || this.#body.ended) throw new CovistaError('protocol_error', `request ${this.#number} takes no more body`);
    this.#bodyCreditBytes -= bytes.length;
    if (this.#bodyCreditBytes < 0) throw new CovistaError('protocol_error', `the body of request ${this.#number} exceeds its credit`);
    this.#body.push(bytes);
    if (last) this.#body.end();
  }

  #answer(outcome: Outcome): Promise<void> | undefined {
    if (outcome.kind === 'stream') return this.#pump(outcome.items);
    if (outcome.kind === 'error') this.#refuse(outcome.error);
    else this.#respond(outcome.value);
    this.#body?.abandon();
    return undefined;
  }

  #respond(value: unknown): void {
    this.#options.outbox.send([FRAME.response, this.#number, value], this.#number, 'respond');
  }

  #refuse(error: CovistaError): void {
    this.#options.outbox.send([FRAME.error, this.#number, errorBody(error), this.#call.requestId], this.#number, 'respond');
  }

  async #pump(items: AsyncIterable<unknown>): Promise<void> {
    try {
      for await (const item of items) {
        const bytes = encodeFrame([FRAME.item, this.#number, item]);
        await this.#clearance();
        this.#itemCreditBytes -= bytes.length;
        this.#options.outbox.sendEncoded(bytes, this.#number, 'stream');
      }
      this.#options.outbox.send([FRAME.end, this.#number], this.#number, 'respond');
    } catch (fault) {
      this.#refuse(fault instanceof CovistaError ? fault : new CovistaError('internal', 'an item could not be sent', {}, fault));
    } finally {
      this.#body?.abandon();
    }
  }

  /** Waits for credit, then for room in the outbox; throws the reason when the call is cancelled meanwhile. */
  async #clearance(): Promise<void> {
    while (true) {
      if (this.#call.cancelledBy !== undefined) throw this.#call.cancelledBy;
      if (this.#itemCreditBytes <= 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
        continue;
      }
      const room = this.#options.outbox.room(this.#number);
      if (room === undefined) return;
      await room;
    }
  }

  /** Credit goes back in portions, so that small reads do not cost a frame each. */
  #consumed(bytes: number): void {
    this.#bodyOwedBytes += bytes;
    if (this.#bodyOwedBytes < this.#options.limits.streamCreditBytes / 4 || this.#body?.ended === true) return;
    this.#options.outbox.send([FRAME.credit, this.#number, this.#bodyOwedBytes], this.#number, 'respond');
    this.#bodyCreditBytes += this.#bodyOwedBytes;
    this.#bodyOwedBytes = 0;
  }
}
