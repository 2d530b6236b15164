import { CovistaError } from '../../../protocol/errors.ts';
import { abortError } from '../../shared/abort.ts';

/** Ends a piece of work early: the caller aborted, or its time is over. */
export class Interruption {
  readonly #signal: AbortSignal;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #callbacks = new Set<() => void>();
  readonly #controller = new AbortController();
  #reason: CovistaError | undefined;

  /** Without a time, the work may take as long as it does. */
  constructor(signal: AbortSignal, timeoutMs?: number) {
    this.#signal = signal;
    if (timeoutMs !== undefined) {
      this.#timer = setTimeout(() => this.#interrupt(new CovistaError('timeout', `the work took longer than ${timeoutMs} ms`)), timeoutMs);
      this.#timer.unref();
    }
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get reason(): CovistaError | undefined {
    return this.#reason;
  }

  /** Aborts with the reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  throwIfInterrupted(): void {
    if (this.#reason !== undefined) throw this.#reason;
  }

  /** Calls back once when the work is interrupted, at once if it already is; returns how to take that back. */
  onInterrupt(callback: () => void): () => void {
    if (this.#reason !== undefined) callback();
    else this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#callbacks.clear();
  }

  readonly #onAbort = (): void => {
    this.#interrupt(abortError(this.#signal));
  };

  #interrupt(reason: CovistaError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    for (const callback of this.#callbacks) callback();
    this.#callbacks.clear();
    this.#controller.abort(reason);
  }
}
