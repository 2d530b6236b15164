import { PassThrough } from 'node:stream';
import type { StartServer } from '../../server/cli/commands.ts';
import { runCommand } from '../../server/cli/commands.ts';
import type { Terminal } from '../../server/cli/terminal.ts';

export interface CliRun {
  /** The exit status, once the command has ended. */
  readonly status: Promise<number>;
  /** What was written so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** What SIGINT does. */
  interrupt(): void;
  /** Resolves once standard output matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
}

const noServer: StartServer = async () => {
  throw new Error('the test gave no server');
};

/** Runs a command line in this process. */
export function startCli(
  args: readonly string[],
  environment: Record<string, string> = {},
  startServer: StartServer = noServer,
  interactive = false,
): CliRun {
  const written = { out: '', err: '' };
  const controller = new AbortController();
  let notify: () => void = () => undefined;
  const terminal: Terminal = {
    print: (text) => {
      written.out += text;
      notify();
    },
    say: (text) => {
      written.err += text;
    },
    errorStream: new PassThrough(),
    interactive,
    interruption: () => controller.signal,
  };
  const status = runCommand(args, environment, { startServer }, terminal);
  return {
    status,
    out: () => written.out,
    err: () => written.err,
    interrupt: () => controller.abort(),
    printed: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const match = pattern.exec(written.out);
          if (match !== null) resolve(match);
        };
        notify = check;
        check();
        status.then((code) => reject(new Error(`ended with ${code} before it printed ${pattern}: ${written.out}${written.err}`)), reject);
      }),
  };
}

export interface CliResult {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line that ends by itself. */
export async function runCli(args: readonly string[], environment?: Record<string, string>, startServer?: StartServer): Promise<CliResult> {
  const run = startCli(args, environment, startServer);
  const status = await run.status;
  return { status, out: run.out(), err: run.err() };
}
