import { CovistaError } from '../protocol/errors.ts';
import type { OperationName } from '../protocol/operations/index.ts';
import type { Call } from './call.ts';
import type { Exchange } from './exchange.ts';

/** What a caller wants to hear of a channel. */
export interface ChannelListener {
  /** A message of the server, whose bytes belong to the listener. */
  readonly onMessage: (bytes: Uint8Array) => void;
  /** The channel is over: in peace, or for a reason; a lost connection ends it too (`unavailable`). Comes once, and last. */
  readonly onClose?: (reason: CovistaError | undefined) => void;
}

/** A channel that the server has opened. */
export interface OpenChannel<Opened> {
  readonly opened: Opened;
  /** Sends a message; on a channel that is over it goes nowhere, since `onClose` has told so. Throws `payload_too_large` for what the server would not take. */
  send(bytes: Uint8Array): void;
  close(): void;
}

interface ChannelCallOptions {
  readonly operation: OperationName;
  readonly input: unknown;
  readonly listener: ChannelListener;
  /** Tells the server that the channel is not wanted any more. */
  readonly cancel: () => void;
}

/** A channel: one answer, then messages both ways on the link that it was opened on. */
export class ChannelCall implements Call {
  readonly operation: OperationName;
  readonly idempotencyKey = null;
  readonly body = undefined;
  readonly movable = false;
  readonly isLasting = true;
  readonly result: Promise<OpenChannel<unknown>>;
  readonly #options: ChannelCallOptions;
  readonly #resolve: (channel: OpenChannel<unknown>) => void;
  readonly #reject: (error: CovistaError) => void;
  #exchange: Exchange | undefined;
  #isLeaving = false;
  #state: 'opening' | 'open' | 'over' = 'opening';

  constructor(options: ChannelCallOptions) {
    this.#options = options;
    this.operation = options.operation;
    const { promise, resolve, reject } = Promise.withResolvers<OpenChannel<unknown>>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  input(): unknown {
    return this.#options.input;
  }

  sent(exchange: Exchange): void {
    this.#exchange = exchange;
  }

  progressed(): void {}

  answered(opened: unknown): void {
    this.#state = 'open';
    this.#resolve({
      opened,
      send: (bytes) => {
        if (this.#state === 'open') this.#exchange?.sendMessage(bytes);
      },
      close: () => {
        this.#isLeaving = true;
        this.#options.cancel();
      },
    });
  }

  /** Delivered behind the answer, so that who awaits the channel has it first; what a listener throws is its own. */
  message(bytes: Uint8Array): void {
    queueMicrotask(() => {
      if (this.#state === 'open') this.#options.listener.onMessage(bytes);
    });
  }

  item(): void {
    this.failed(new CovistaError('protocol_error', `the server answered ${this.operation} with a stream`));
  }

  ended(): void {
    this.#finish(undefined);
  }

  failed(error: CovistaError): void {
    this.#finish(this.#isLeaving ? undefined : error);
  }

  /** A channel that was open is not opened again unasked: what it carried has a state that only its user can restore. */
  interrupted(reason: CovistaError): boolean {
    if (this.#state === 'opening') return true;
    this.#finish(reason);
    return false;
  }

  #finish(reason: CovistaError | undefined): void {
    if (this.#state === 'over') return;
    if (this.#state === 'opening')
      this.#reject(reason ?? new CovistaError('protocol_error', `the server ended ${this.operation} before it was open`));
    else queueMicrotask(() => this.#options.listener.onClose?.(reason));
    this.#state = 'over';
  }
}
