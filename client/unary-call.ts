import { CovistaError } from '../protocol/errors.ts';
import type { Progress } from '../protocol/frame.ts';
import type { OperationName } from '../protocol/operations/index.ts';
import type { RequestBody } from './body.ts';
import type { Call } from './call.ts';

interface UnaryCallOptions {
  readonly operation: OperationName;
  readonly input: unknown;
  readonly idempotencyKey: string | null;
  readonly body: RequestBody | undefined;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/** A query or command: one answer, as a promise. */
export class UnaryCall implements Call {
  readonly operation: OperationName;
  readonly idempotencyKey: string | null;
  readonly body: RequestBody | undefined;
  readonly movable = false;
  readonly isLasting = false;
  readonly result: Promise<unknown>;
  readonly #input: unknown;
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #resolve: (result: unknown) => void;
  readonly #reject: (error: CovistaError) => void;

  constructor(options: UnaryCallOptions) {
    this.operation = options.operation;
    this.idempotencyKey = options.idempotencyKey;
    this.body = options.body;
    this.#input = options.input;
    this.#onProgress = options.onProgress;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.result = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  input(): unknown {
    return this.#input;
  }

  sent(): void {}

  /** What the caller's function throws is the caller's: it must not end the connection. */
  progressed(progress: Progress): void {
    const report = this.#onProgress;
    if (report !== undefined) queueMicrotask(() => report(progress));
  }

  answered(result: unknown): void {
    this.#resolve(result);
  }

  item(): void {
    this.failed(new CovistaError('protocol_error', `the server answered ${this.operation} with a stream`));
  }

  message(): void {
    this.item();
  }

  ended(): void {
    this.item();
  }

  failed(error: CovistaError): void {
    this.#reject(error);
  }

  interrupted(reason: CovistaError): boolean {
    if (this.body === undefined || this.body.repeatable) return true;
    this.failed(
      new CovistaError(
        'unavailable',
        `the connection was lost during ${this.operation}, and its body cannot be sent again because it was a stream; ` +
          'it is not known whether the server carried it out. Bytes or a Blob can be sent again, and upload.file resumes',
        { ...reason.details, interrupted: true, operation: this.operation },
        reason,
      ),
    );
    return false;
  }
}
