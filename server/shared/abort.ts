import { CovistaError } from '../../protocol/errors.ts';

/** Why a signal aborted, as an error: the one it carries, or `cancelled`. */
export function abortError(signal: AbortSignal): CovistaError {
  return signal.reason instanceof CovistaError ? signal.reason : new CovistaError('cancelled', 'the work was cancelled');
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal);
}
