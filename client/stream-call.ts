import { CovistaError } from '../protocol/errors.ts';
import type { Progress } from '../protocol/frame.ts';
import type { OperationName } from '../protocol/operations/index.ts';
import type { Call } from './call.ts';
import type { Exchange } from './exchange.ts';

interface StreamCallOptions {
  readonly operation: OperationName;
  readonly input: unknown;
  readonly onProgress: ((progress: Progress) => void) | undefined;
  /** The input that continues behind an item; absent where a stream cannot be continued. */
  readonly resumeInput: ((lastItem: unknown) => unknown) | undefined;
  /** Tells the server that nobody wants the rest. */
  readonly cancel: () => void;
}

interface Arrival {
  readonly item: unknown;
  readonly bytes: number;
}

/** Credit is given back in portions of this share of the window, so that not every item costs a frame. */
const CREDIT_SHARE = 4;

/** A stream: items as an async iterator, which the server fills no faster than they are consumed. */
export class StreamCall implements Call, AsyncIterator<unknown> {
  readonly operation: OperationName;
  readonly idempotencyKey = null;
  readonly body = undefined;
  readonly isLasting = false;
  readonly #options: StreamCallOptions;
  #input: unknown;
  #exchange: Exchange | undefined;
  #arrivals: Arrival[] = [];
  #outcome: { readonly error: CovistaError | undefined } | undefined;
  #reader: { resolve(result: IteratorResult<unknown>): void; reject(error: CovistaError): void } | undefined;
  /** Bytes that the reader has, and those of them that the server was not told of. */
  #readingBytes = 0;
  #owedBytes = 0;
  #delivered = false;

  constructor(options: StreamCallOptions) {
    this.#options = options;
    this.operation = options.operation;
    this.#input = options.input;
  }

  get movable(): boolean {
    return this.#options.resumeInput !== undefined;
  }

  input(): unknown {
    return this.#input;
  }

  sent(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#owedBytes = 0;
    this.#readingBytes = 0;
  }

  progressed(progress: Progress): void {
    const report = this.#options.onProgress;
    if (report !== undefined) queueMicrotask(() => report(progress));
  }

  answered(): void {
    this.failed(new CovistaError('protocol_error', `the server answered ${this.operation} without a stream`));
  }

  item(item: unknown, bytes: number): void {
    if (this.#outcome !== undefined) return;
    this.#arrivals.push({ item, bytes });
    this.#deliver();
  }

  message(): void {
    this.answered();
  }

  ended(): void {
    this.#finish(undefined);
  }

  failed(error: CovistaError): void {
    this.#finish(error);
  }

  /** What has arrived and was not read is asked for again where that is possible, so that nothing comes twice. */
  interrupted(reason: CovistaError): boolean {
    if (this.#delivered && this.#options.resumeInput === undefined) {
      const message = `the connection was lost in the midst of ${this.operation}, which cannot be continued`;
      this.failed(new CovistaError('unavailable', message, { ...reason.details, interrupted: true, operation: this.operation }, reason));
      return false;
    }
    this.#arrivals = [];
    return true;
  }

  next(): Promise<IteratorResult<unknown>> {
    this.#giveCredit();
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<unknown>>();
    if (this.#reader !== undefined) {
      reject(new TypeError(`${this.operation}: the stream is already being read; await one next() before another`));
      return promise;
    }
    this.#reader = { resolve, reject };
    this.#deliver();
    return promise;
  }

  async return(): Promise<IteratorResult<unknown>> {
    const isOver = this.#outcome !== undefined;
    this.#arrivals = [];
    // The reader's own end comes before the cancellation, which would reach a waiting next() as an error.
    this.#finish(undefined);
    if (!isOver) this.#options.cancel();
    return { done: true, value: undefined };
  }

  #finish(error: CovistaError | undefined): void {
    this.#outcome ??= { error };
    this.#deliver();
  }

  #deliver(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    const arrival = this.#arrivals.shift();
    if (arrival !== undefined) {
      this.#reader = undefined;
      this.#keepPlace(arrival);
      reader.resolve({ done: false, value: arrival.item });
    } else if (this.#outcome !== undefined) {
      this.#reader = undefined;
      const { error } = this.#outcome;
      this.#outcome = { error: undefined };
      if (error === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(error);
    }
  }

  #keepPlace({ item, bytes }: Arrival): void {
    this.#delivered = true;
    this.#readingBytes = bytes;
    if (this.#options.resumeInput !== undefined) this.#input = this.#options.resumeInput(item);
  }

  /** Asking for the next item says that the one before is consumed. */
  #giveCredit(): void {
    this.#owedBytes += this.#readingBytes;
    this.#readingBytes = 0;
    const windowBytes = this.#exchange?.link.welcomed?.bounds.streamCreditBytes ?? 0;
    if (this.#outcome !== undefined || this.#owedBytes * CREDIT_SHARE < windowBytes || this.#owedBytes === 0) return;
    this.#exchange?.credit(this.#owedBytes);
    this.#owedBytes = 0;
  }
}
