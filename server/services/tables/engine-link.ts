import type { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { encodeRequest } from '../../shared/perspective/codec.ts';
import { type ResponseHeader, readHeader } from '../../shared/perspective/header.ts';
import type { PerspectiveRequest } from '../../shared/perspective/types.ts';
import type { EngineSession, EngineTable } from './engine.ts';
import { ALLOWED } from './guard-rules.ts';
import { RequestFault } from './request-fault.ts';

/** Takes the answer to one request, not decoded yet. */
export type OnAnswer = (header: ResponseHeader, bytes: Uint8Array) => void;

interface EngineLinkOptions {
  readonly table: EngineTable;
  readonly limits: Pick<Limits, 'sessionRequestsMax'>;
  readonly holder: string;
  lost(reason: CovistaError): void;
  /** Is told how long making a view or reading a window took, also where it failed. */
  computed(seconds: number): void;
}

/** A session's way to its engine: requests go out under numbers of the link's own, and nothing comes back but their answers. */
export class EngineLink {
  readonly #session: EngineSession;
  readonly #waiting = new Map<number, OnAnswer>();
  readonly #requestsMax: number;
  readonly #computed: (seconds: number) => void;
  #numbers = 0;
  #isClosed = false;

  constructor({ table, limits, holder, lost, computed }: EngineLinkOptions) {
    this.#computed = computed;
    this.#requestsMax = limits.sessionRequestsMax;
    this.#session = table.connect({
      holder,
      respond: (bytes) => this.#answered(bytes),
      lost: (reason) => {
        if (!this.#isClosed) lost(reason);
      },
    });
  }

  /** Throws RequestFault when too many requests wait already, or the engine cannot take this one. */
  send(request: PerspectiveRequest, onAnswer: OnAnswer): void {
    if (this.#waiting.size >= this.#requestsMax)
      throw new RequestFault(`${this.#requestsMax} requests of this session already wait for their answer`);
    this.#numbers = (this.#numbers + 1) >>> 0;
    const msgId = this.#numbers;
    this.#waiting.set(msgId, isComputation(request) ? this.#timed(onAnswer) : onAnswer);
    try {
      this.#session.handle(encodeRequest({ ...request, msgId }));
    } catch {
      // Whatever went wrong is the engine's to log; the session only needs to know that nothing comes of it.
      this.#waiting.delete(msgId);
      throw new RequestFault('the engine failed at this request');
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting.clear();
    this.#session.close();
  }

  #timed(onAnswer: OnAnswer): OnAnswer {
    const startedAtMs = performance.now();
    return (header, bytes) => {
      this.#computed((performance.now() - startedAtMs) / 1_000);
      onAnswer(header, bytes);
    };
  }

  #answered(bytes: Uint8Array): void {
    const header = readHeader(bytes);
    const onAnswer = header && this.#waiting.get(header.msgId);
    if (header === undefined || onAnswer === undefined) return;
    this.#waiting.delete(header.msgId);
    onAnswer(header, bytes);
  }
}

/** Paths of columns are kept within the view as a window is, but are none. */
function isComputation({ kind }: PerspectiveRequest): boolean {
  const way = ALLOWED.get(kind)?.way;
  return way === 'view' || (way === 'window' && kind !== 'view_column_paths');
}
