import { CovistaError } from '../../protocol/errors.ts';

/** Why a signal aborted, as an error: the one it carries, or `cancelled`. */
export function abortError(signal: AbortSignal): CovistaError {
  return signal.reason instanceof CovistaError ? signal.reason : new CovistaError('cancelled', 'the work was cancelled');
}

/** What work comes to, unless its reader leaves before; the work goes on for others. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(abortError(signal));
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal);
}
