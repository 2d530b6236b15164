import { CovistaError, type ErrorCode } from '../../../protocol/errors.ts';
import { decodeResponse, encodeRequest } from '../../shared/perspective/codec.ts';
import type { PerspectiveRequest, RequestBody, RequestKind, ResponseBody } from '../../shared/perspective/types.ts';
import { Guard, type GuardOptions } from './guard.ts';

interface Waiting {
  readonly kind: RequestKind;
  resolve(body: unknown): void;
  reject(fault: CovistaError): void;
}

/** Asks a table by promises, through a guard like everybody else. */
export class Asker {
  readonly #guard: Guard;
  readonly #requestsMax: number;
  readonly #waiting = new Map<number, Waiting>();
  #numbers = 0;
  #over: CovistaError | undefined;

  constructor(options: Omit<GuardOptions, 'respond'>) {
    this.#requestsMax = options.limits.sessionRequestsMax;
    this.#guard = new Guard({
      ...options,
      respond: (bytes, code) => this.#answered(bytes, code),
      lost: (reason) => {
        this.#end(reason);
        options.lost(reason);
      },
    });
  }

  /**
   * The answer; rejects with `rate_limited` while too many wait for theirs, and where the guard or the engine refuse with their words and
   * code, which is `invalid_input` where they give none.
   */
  ask<Kind extends RequestKind>(kind: Kind, entityId: string, body: RequestBody<Kind>): Promise<ResponseBody<Kind>> {
    if (this.#over !== undefined) return Promise.reject(this.#over);
    // Before the guard says so, whose answers have no code.
    if (this.#waiting.size >= this.#requestsMax) {
      const message = `${this.#requestsMax} requests for this view already wait for their answer`;
      return Promise.reject(new CovistaError('rate_limited', message, { sessionRequestsMax: this.#requestsMax, retryAfterMs: 1_000 }));
    }
    this.#numbers = (this.#numbers + 1) >>> 0;
    const msgId = this.#numbers;
    const { promise, resolve, reject } = Promise.withResolvers<ResponseBody<Kind>>();
    this.#waiting.set(msgId, { kind, resolve: (answer) => resolve(answer as ResponseBody<Kind>), reject });
    this.#guard.receive(encodeRequest({ msgId, entityId, kind, body } as unknown as PerspectiveRequest));
    return promise;
  }

  close(): void {
    this.#end(new CovistaError('not_found', 'the view has ended'));
    this.#guard.close();
  }

  #answered(bytes: Uint8Array, code: ErrorCode = 'invalid_input'): void {
    const response = decodeResponse(bytes);
    const waiting = this.#waiting.get(response.msgId);
    if (waiting === undefined) return;
    this.#waiting.delete(response.msgId);
    if (response.kind === 'server_error') waiting.reject(new CovistaError(code, response.body.message.trim()));
    else waiting.resolve(response.body);
  }

  #end(reason: CovistaError): void {
    this.#over ??= reason;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(reason);
  }
}
