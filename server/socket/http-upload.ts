import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { ByteQueue } from '../shared/byte-queue.ts';
import type * as engine from './engine.ts';

/** How often a body that is under way is looked after, at least. The engine gives up a socket whose timeout is not renewed in 10 s. */
const WATCH_MS = 4_000;

/** The body of one request, taken from the engine at the pace of its reader. */
export class HttpUpload {
  readonly queue: ByteQueue;
  readonly #response: engine.HttpResponse;
  readonly #limits: Pick<Limits, 'streamCreditBytes' | 'httpBodyIdleMs'>;
  #isPaused = false;
  #isPauseDue = false;
  /** Nothing more is asked of the engine: the body is complete, or the response is. */
  #isOver = false;
  #heardAtMs = 0;
  #watch: NodeJS.Timeout | undefined;

  constructor(response: engine.HttpResponse, limits: Pick<Limits, 'streamCreditBytes' | 'httpBodyIdleMs'>) {
    this.#response = response;
    this.#limits = limits;
    this.queue = new ByteQueue(() => this.#consumed());
  }

  /** Begins to take the body; must be called while the engine's request callback runs. */
  receive(): void {
    this.#response.onData((chunk, isLast) => this.#arrived(chunk, isLast));
  }

  /** The response is about to be complete: the rest of the body is dropped as it comes. */
  leave(): void {
    this.queue.abandon();
    if (this.#isOver) return;
    this.#over();
    if (this.#isPaused) this.#response.resume();
  }

  /** The client is gone. */
  lose(reason: CovistaError): void {
    this.#over();
    this.queue.fail(reason);
  }

  #over(): void {
    this.#isOver = true;
    clearInterval(this.#watch);
  }

  #arrived(chunk: ArrayBuffer, isLast: boolean): void {
    this.queue.pushCopy(new Uint8Array(chunk));
    this.#heardAtMs = performance.now();
    if (isLast) {
      this.queue.end();
      this.#over();
    } else if (!this.#isOver) {
      this.#watch ??= setInterval(() => this.#lookAfter(), Math.min(WATCH_MS, this.#limits.httpBodyIdleMs));
      this.#pauseSoon();
    }
  }

  /**
   * Pausing waits until the engine has handed over all that it read: a body that ends in there must never be paused, since
   * resuming arms a timeout that only more data would disarm.
   */
  #pauseSoon(): void {
    if (this.#isPauseDue || this.#isPaused || this.queue.bufferedBytes < this.#limits.streamCreditBytes) return;
    this.#isPauseDue = true;
    setImmediate(() => {
      this.#isPauseDue = false;
      if (this.#isOver || this.queue.bufferedBytes < this.#limits.streamCreditBytes) return;
      this.#isPaused = true;
      this.#response.pause();
    });
  }

  #consumed(): void {
    if (!this.#isPaused || this.#isOver || this.queue.bufferedBytes > this.#limits.streamCreditBytes / 2) return;
    this.#isPaused = false;
    this.#heardAtMs = performance.now();
    this.#response.resume();
  }

  #lookAfter(): void {
    if (this.#isPaused) return;
    const { httpBodyIdleMs } = this.#limits;
    if (performance.now() - this.#heardAtMs > httpBodyIdleMs) {
      this.#over();
      this.queue.fail(new CovistaError('timeout', `the request body stalled for ${httpBodyIdleMs} ms`));
      return;
    }
    // Renews the engine's own timeout, which is shorter than ours.
    this.#response.pause();
    this.#response.resume();
  }
}
