import type { Writable } from 'node:stream';

/** What a command has of the outside world; tests give it another one. */
export interface Terminal {
  /** Standard output: results only, so that it can be piped. */
  print(text: string): void;
  /** Standard error: whatever is said to people. */
  say(text: string): void;
  readonly errorStream: Writable;
  /** Whether people watch standard error. */
  readonly interactive: boolean;
  /** Aborts when the process is asked to end (SIGINT, SIGTERM); a second time ends it at once. */
  interruption(): AbortSignal;
}

export function processTerminal(): Terminal {
  return {
    print: (text) => process.stdout.write(text),
    say: (text) => process.stderr.write(text),
    errorStream: process.stderr,
    interactive: process.stderr.isTTY === true,
    interruption: () => {
      const controller = new AbortController();
      const interrupt = (): void => {
        // Without a listener a signal ends the process, so that a stop that hangs can be cut short.
        process.off('SIGINT', interrupt);
        process.off('SIGTERM', interrupt);
        controller.abort(new Error('the process was asked to end'));
      };
      process.on('SIGINT', interrupt);
      process.on('SIGTERM', interrupt);
      return controller.signal;
    },
  };
}

/** Resolves once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
