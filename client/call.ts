import type { CovistaError } from '../protocol/errors.ts';
import type { Progress } from '../protocol/frame.ts';
import type { OperationName } from '../protocol/operations/index.ts';
import type { RequestBody } from './body.ts';
import type { Exchange } from './exchange.ts';

/** A request as the dispatcher sees it: what to send, and whom to tell. */
export interface Call {
  readonly operation: OperationName;
  readonly idempotencyKey: string | null;
  readonly body: RequestBody | undefined;
  /** Whether it can go on over another link at any time without a loss. */
  readonly movable: boolean;
  /** Whether it goes on behind its answer, until an end or an error. */
  readonly isLasting: boolean;
  /** Asked at every sending, since a stream that resumes asks for what comes next. */
  input(): unknown;
  sent(exchange: Exchange): void;
  progressed(progress: Progress): void;
  answered(result: unknown): void;
  item(item: unknown, bytes: number): void;
  /** A message of the channel. */
  message(bytes: Uint8Array): void;
  ended(): void;
  failed(error: CovistaError): void;
  /**
   * The exchange came to nothing, for a reason that another connection or another moment does not have. Answers whether
   * the call is to be sent again; if not, it has failed.
   */
  interrupted(reason: CovistaError): boolean;
}
