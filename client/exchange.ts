import type { CovistaError } from '../protocol/errors.ts';
import { FRAME, type RequestNumber } from '../protocol/frame.ts';
import { CreditWindow, sendBody } from './body.ts';
import type { Call } from './call.ts';
import type { Link } from './link.ts';
import { withoutUndefined } from './values.ts';

/** What a body frame adds to the bytes that it carries. */
const BODY_FRAME_OVERHEAD_BYTES = 32;

interface ExchangeOptions {
  readonly call: Call;
  readonly link: Link;
  readonly number: RequestNumber;
  /** The source of the body failed: the call cannot go on. */
  readonly bodyFailed: (error: CovistaError) => void;
}

/** One sending of a call on one link. A call that outlives its link gets another exchange on the next one. */
export class Exchange {
  readonly call: Call;
  readonly link: Link;
  readonly number: RequestNumber;
  /** Whether it carries a channel that the server opened. */
  isOpen = false;
  readonly #bodyFailed: (error: CovistaError) => void;
  readonly #window: CreditWindow;
  readonly #pieceBytesMax: number;

  constructor({ call, link, number, bodyFailed }: ExchangeOptions) {
    this.call = call;
    this.link = link;
    this.number = number;
    this.#bodyFailed = bodyFailed;
    this.#window = new CreditWindow(link.welcomed?.bounds.streamCreditBytes ?? 0);
    this.#pieceBytesMax = Math.max(1, (link.welcomed?.bounds.fragmentBytes ?? 0) - BODY_FRAME_OVERHEAD_BYTES);
  }

  /** Sends the request and begins with its body; throws when the request is larger than the server takes. */
  send(): void {
    const { call, link, number } = this;
    const body = call.body;
    link.send([FRAME.request, number, call.operation, withoutUndefined(call.input()), call.idempotencyKey, body !== undefined], number);
    if (body === undefined) return;
    const target = {
      window: this.#window,
      pieceBytesMax: this.#pieceBytesMax,
      send: (bytes: Uint8Array, last: boolean) => this.link.send([FRAME.body, this.number, bytes, last], this.number),
    };
    sendBody(body, target).catch((error: CovistaError) => this.#bodyFailed(error));
  }

  /** The server takes so many bytes more of the body. */
  grant(bytes: number): void {
    this.#window.add(bytes);
  }

  /** The caller has consumed so many bytes of the answer: the server may send as many more. */
  credit(bytes: number): void {
    this.link.send([FRAME.credit, this.number, bytes]);
  }

  /** A message of the channel that the call opened. */
  sendMessage(bytes: Uint8Array): void {
    this.link.send([FRAME.channel, this.number, bytes], this.number);
  }

  cancel(): void {
    this.#window.close();
    this.link.send([FRAME.cancel, this.number]);
  }

  /** Nothing of this exchange matters any more; a body that is still being sent stops. */
  end(): void {
    this.#window.close();
  }
}
