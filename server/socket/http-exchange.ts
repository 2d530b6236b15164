import { STATUS_CODES } from 'node:http';
import type { BlockList } from 'node:net';
import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { isDrainExemptPath } from '../gateway/drain-exempt.ts';
import type { HttpBody, HttpFace, HttpRequest, HttpResponse } from '../gateway/http.ts';
import { originOf } from '../shared/addresses.ts';
import type { Logger } from '../shared/log.ts';
import type * as engine from './engine.ts';
import { HttpUpload } from './http-upload.ts';

export interface HttpContext {
  readonly face: HttpFace;
  /** Proxies that are believed whom they forward for. */
  readonly trustedProxies: BlockList;
  readonly limits: Pick<Limits, 'streamCreditBytes' | 'httpBodyIdleMs'>;
  readonly log: Logger;
  /** Called once with every exchange that has ended, one way or the other. */
  readonly onEnd: (exchange: HttpExchange) => void;
}

/**
 * Carries one request from the engine to the HTTP face and its response back. The engine's request is gone when its callback
 * returns, and its response may be gone at any time; both facts stay in here.
 */
export class HttpExchange {
  readonly #response: engine.HttpResponse;
  readonly #context: HttpContext;
  readonly #upload: HttpUpload;
  readonly #onAbort: (() => void)[] = [];
  readonly #onDrain: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  /** Whether maintenance does not wait for it. */
  readonly isExempt: boolean;
  /** The response is complete or lost: the engine's object must not be touched any more. */
  #gone = false;
  #wake: (() => void) | undefined;
  #retry: ((offset: number) => boolean) | undefined;

  constructor(response: engine.HttpResponse, request: engine.HttpRequest, context: HttpContext) {
    this.#response = response;
    this.#context = context;
    this.#upload = new HttpUpload(response, context.limits);
    response.onAborted(() => this.#aborted());
    response.onWritable((offset) => {
      const isDone = this.#retry?.(offset) ?? true;
      if (isDone) this.#wake?.();
      return isDone;
    });
    this.isExempt = isDrainExemptPath(request.getUrl());
    const method = request.getCaseSensitiveMethod().toUpperCase();
    if (method !== 'GET' && method !== 'HEAD') this.#upload.receive();
    else this.#upload.queue.end();
    this.#run(this.#snapshot(method, request));
  }

  #snapshot(method: string, request: engine.HttpRequest): HttpRequest {
    const headers = new Map<string, string>();
    request.forEach((name, value) => {
      const before = headers.get(name);
      headers.set(name, before === undefined ? value : `${before}, ${value}`);
    });
    return {
      method,
      path: request.getUrl(),
      query: request.getQuery(),
      address: originOf(peerOf(this.#response), headers.get('x-forwarded-for') ?? '', this.#context.trustedProxies),
      header: (name) => headers.get(name) ?? '',
      body: this.#upload.queue,
      onAbort: (run) => {
        this.#onAbort.push(run);
        if (this.#gone) run();
      },
      onDrain: (run) => {
        this.#onDrain.push(run);
      },
      onEnd: (run) => {
        this.#onEnd.push(run);
      },
    };
  }

  #run(request: HttpRequest): void {
    this.#context.face
      .handle(request)
      .then((response) => this.#respond(request.method === 'HEAD' ? withoutBody(response) : response))
      .catch((fault: unknown) => {
        this.#context.log.error({ err: fault, path: request.path }, 'a response met a fault');
        this.#cut();
      })
      .finally(() => {
        for (const run of this.#onEnd) run();
        this.#context.onEnd(this);
      });
  }

  /** The server stops: what would go on for good ends now. */
  drain(): void {
    for (const run of this.#onDrain) run();
  }

  #aborted(): void {
    this.#gone = true;
    this.#upload.lose(new CovistaError('cancelled', 'the caller went away'));
    for (const run of this.#onAbort) run();
    this.#wake?.();
  }

  /** Cuts the connection, so that the client notices that the response is not whole. */
  #cut(): void {
    if (!this.#gone) this.#response.close();
  }

  async #respond({ status, headers, body }: HttpResponse): Promise<void> {
    if (this.#gone) {
      await release(body);
      return;
    }
    this.#response.cork(() => {
      this.#response.writeStatus(`${status} ${STATUS_CODES[status] ?? ''}`);
      for (const [name, value] of headers) this.#response.writeHeader(name, value);
      if (body.kind !== 'stream') this.#finish(body);
    });
    if (body.kind === 'stream') await this.#pump(body.chunks, body.bytes);
  }

  #finish(body: Exclude<HttpBody, { kind: 'stream' }>): void {
    this.#leave();
    if (body.kind === 'whole') this.#response.end(body.content);
    else {
      // Given to the engine itself, the length of a body that never comes would keep the connection waiting for it.
      if (body.bytes !== undefined) this.#response.writeHeader('content-length', String(body.bytes));
      this.#response.endWithoutBody();
    }
  }

  /** The response is about to be complete: what is left of the request's body is dropped. */
  #leave(): void {
    this.#upload.leave();
    this.#gone = true;
  }

  async #pump(chunks: AsyncIterable<Uint8Array>, bytes: number | null): Promise<void> {
    if (bytes === 0) {
      await release({ kind: 'stream', chunks, bytes });
      this.#close();
      return;
    }
    try {
      // The client may go away while a chunk is waited for as well as while one is written.
      for await (const chunk of chunks) {
        if (!this.#gone && chunk.length > 0) await (bytes === null ? this.#write(chunk) : this.#tryEnd(chunk, bytes));
        if (this.#gone) return;
      }
      if (this.#gone) return;
    } catch (fault) {
      this.#cut();
      if (!(fault instanceof CovistaError)) throw fault;
      return;
    }
    if (bytes !== null && !this.#gone) throw new RangeError(`a body had fewer than the announced ${bytes} bytes`);
    this.#close();
  }

  /** Ends a response whose body has been written. */
  #close(): void {
    if (!this.#gone) this.#response.cork(() => this.#finish({ kind: 'whole', content: '' }));
  }

  async #write(chunk: Uint8Array): Promise<void> {
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = this.#response.write(chunk);
    });
    if (!isTaken) await this.#writable();
  }

  /** Writes a chunk of a body whose length is known; the engine takes what the socket takes and is offered the rest later. */
  async #tryEnd(chunk: Uint8Array, totalBytes: number): Promise<void> {
    const startOffset = this.#response.getWriteOffset();
    const offer = (offset: number): boolean => {
      const rest = chunk.subarray(offset - startOffset);
      if (rest.length === 0) return true;
      const isLast = startOffset + chunk.length >= totalBytes;
      if (isLast) this.#upload.leave();
      const [ok, isComplete] = this.#response.tryEnd(rest, totalBytes);
      if (isComplete) this.#gone = true;
      return ok || isComplete;
    };
    let isTaken = false;
    this.#response.cork(() => {
      isTaken = offer(startOffset);
    });
    if (isTaken) return;
    this.#retry = offer;
    await this.#writable();
    this.#retry = undefined;
  }

  /** Resolves when the socket takes more, or never will. */
  async #writable(): Promise<void> {
    if (this.#gone) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}

export function peerOf(response: engine.HttpResponse): string {
  return Buffer.from(response.getRemoteAddressAsText()).toString();
}

/** The answer to HEAD: errors have no body either, which the client would take for the next answer. */
function withoutBody(response: HttpResponse): HttpResponse {
  if (response.body.kind !== 'whole') return response;
  return { ...response, body: { kind: 'none', bytes: Buffer.byteLength(response.body.content) } };
}

/** Lets the producer of a body that nobody wants any more clean up. */
async function release(body: HttpBody): Promise<void> {
  if (body.kind === 'stream') await body.chunks[Symbol.asyncIterator]().return?.();
}

/** Turns away a request or a socket that there is no place for now. */
export function refuse(response: engine.HttpResponse): void {
  response.writeStatus('503 Service Unavailable').writeHeader('retry-after', '1').end('the server takes no more connections now');
}
