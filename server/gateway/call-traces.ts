import type { CovistaError } from '../../protocol/errors.ts';
import type { Call } from './call.ts';
import type { Gateway, Outcome } from './dispatch.ts';

/** What is told of one operation that was traced. */
export interface TracedCall {
  readonly operation: string;
  readonly requestId: string;
  readonly datasetId: number | undefined;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly outcome: Outcome['kind'];
  readonly error: CovistaError | undefined;
}

/** A gateway that tells of every call when it is answered: who asked and with what stays in the server. */
export function traced(gateway: Gateway, tell: (call: TracedCall) => void): Gateway {
  const end = (call: Call, startedAtMs: number, outcome: Outcome): Outcome => {
    tell({
      operation: outcome.kind === 'error' && outcome.error.code === 'unknown_operation' ? 'unknown' : call.operation,
      requestId: call.requestId,
      datasetId: call.access?.datasetId,
      startedAtMs,
      endedAtMs: Date.now(),
      outcome: outcome.kind,
      error: outcome.kind === 'error' ? outcome.error : undefined,
    });
    return outcome;
  };
  return {
    ...gateway,
    dispatch: (call) => {
      const startedAtMs = Date.now();
      const outcome = gateway.dispatch(call);
      return outcome instanceof Promise ? outcome.then((settled) => end(call, startedAtMs, settled)) : end(call, startedAtMs, outcome);
    },
  };
}
