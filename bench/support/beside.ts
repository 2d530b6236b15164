import { setTimeout as delay } from 'node:timers/promises';

/** Waits beside work that goes on; rejects as soon as the work does, and is not cut short where it is done. */
export async function pauseBeside(work: Promise<unknown>, milliseconds: number): Promise<void> {
  const end = new AbortController();
  const failure = work.then(() => new Promise<never>(() => undefined));
  try {
    await Promise.race([failure, delay(Math.max(0, milliseconds), undefined, { signal: end.signal })]);
  } finally {
    end.abort();
  }
}
