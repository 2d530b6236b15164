/** The longest delay that a timer takes; longer ones would fire at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** A timer for any delay; returns what stops it. */
export function setLongTimeout(run: () => void, delayMs: number): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    timer = leftMs > DELAY_MS_MAX ? setTimeout(() => wait(leftMs - DELAY_MS_MAX), DELAY_MS_MAX) : setTimeout(run, leftMs);
  };
  wait(Math.max(0, delayMs));
  return () => clearTimeout(timer);
}
