import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, connect } from '../../client/index.ts';
import { mintToken, type TokenRequest } from '../../server/gateway/mint.ts';
import { type Rest, restClient } from './rest.ts';

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One run of a real server in a process of its own. */
export interface ServerProcess {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** What it has written to standard error so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
}

export interface ProcessServer {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** URL of the embedded PostgreSQL, as long as it runs. */
  databaseUrl(): Promise<string>;
  /** Id of the embedded PostgreSQL; undefined when it has ended properly. */
  databasePid(): Promise<number | undefined>;
  /** Starts the server on its data directory and its port, and waits until it serves. */
  start(): Promise<ServerProcess>;
  /** Starts it and does not wait. */
  launch(): ServerProcess & { readonly ready: Promise<void> };
  client(subject: string, request?: Partial<TokenRequest>): Promise<Client>;
  rest(subject: string): Promise<Rest>;
  token(subject: string, request?: Partial<TokenRequest>): Promise<string>;
  /** Ends what runs, whatever happened, and removes the data directory. */
  dispose(): Promise<void>;
}

export interface ProcessServerOptions {
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** A command that the server's command line is appended to, such as one that sets limits on the process. */
  readonly wrapper?: readonly string[];
  /** Absent: a new one. One that is given belongs to the caller, who removes it. */
  readonly dataDir?: string;
}

const SECRET = 'process-secret-of-sufficient-length-0123456789';
const MAIN = resolve(import.meta.dirname, '../../server/main.ts');
const LOG_CHARS_MAX = 20_000;

export async function prepareProcessServer(options: ProcessServerOptions = {}): Promise<ProcessServer> {
  const dataDir = options.dataDir ?? (await temporaryDirectory());
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const runs: ServerProcess[] = [];
  const clients: Client[] = [];
  const token = (subject: string, request: Partial<TokenRequest> = {}): Promise<string> => mintToken(SECRET, { subject, ...request });
  const launch: ProcessServer['launch'] = () => {
    const run = launchServer({ ...options, dataDir, port });
    runs.push(run);
    return run;
  };
  return {
    url,
    port,
    dataDir,
    databaseUrl: async () => {
      const password = (await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim();
      const lines = (await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n');
      return `postgresql://covista:${password}@127.0.0.1:${lines[3]}/postgres`;
    },
    databasePid: () => databasePid(dataDir),
    launch,
    start: async () => {
      const run = launch();
      await run.ready;
      return run;
    },
    token,
    client: async (subject, request) => {
      const client = connect({ url, token: await token(subject, request), settings: { backoffBaseMs: 20, backoffMaxMs: 200 } });
      clients.push(client);
      return client;
    },
    rest: async (subject) => restClient(url, await token(subject)),
    dispose: async () => {
      for (const client of clients) client.close();
      for (const run of runs) run.kill('SIGKILL');
      await Promise.all(runs.map(({ ended }) => ended));
      if (options.dataDir !== undefined) return;
      const left = await databasePid(dataDir);
      if (left !== undefined && isRunning(left)) await endProcess(left, 'SIGQUIT');
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A directory that another user may pass through, as the embedded PostgreSQL does when the tests run as root. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-process-'));
  await chmod(directory, 0o755);
  return directory;
}

interface Launch extends ProcessServerOptions {
  readonly dataDir: string;
  readonly port: number;
}

function launchServer({ dataDir, port, flags = [], environment = {}, wrapper = [] }: Launch): ServerProcess & { readonly ready: Promise<void> } {
  const server = [
    'serve',
    '--port',
    String(port),
    '--data-dir',
    dataDir,
    '--log-level',
    'warn',
    '--no-log-pretty',
    '--drain-timeout-ms',
    '10000',
    ...flags,
  ];
  const [command = '', ...args] = [...wrapper, process.execPath, MAIN, ...server];
  const environmentKept = { PATH: process.env.PATH, HOME: process.env.HOME };
  const child = spawn(command, args, {
    env: { ...environmentKept, COVISTA_JWT_SECRET: SECRET, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = collectLog(child);
  const ended = once(child, 'exit').then(([code, signal]): Ending => ({ code: code as number | null, signal: signal as NodeJS.Signals | null }));
  return { pid: child.pid ?? 0, ended, log, kill: (signal) => child.kill(signal), ready: untilReady(child, ended, log) };
}

function collectLog(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-LOG_CHARS_MAX);
  });
  return () => text;
}

/** The first line of standard output is the address, and comes when the server serves. */
async function untilReady(child: ChildProcess, ended: Promise<Ending>, log: () => string): Promise<void> {
  if (child.stdout === null) throw new Error('the server has no standard output');
  const line = once(createInterface(child.stdout), 'line').then(() => undefined);
  const ending = await Promise.race([line, ended]);
  if (ending !== undefined) throw new Error(`the server ended (${ending.code ?? ending.signal}) before it served: ${log()}`);
}

async function databasePid(dataDir: string): Promise<number | undefined> {
  const text = await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : Number(text.split('\n')[0]);
}

/** Whether a process has not ended, of whosever user it is. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Ends a process that is not a child of this one, about whose end nobody tells. */
export async function endProcess(pid: number, signal: NodeJS.Signals): Promise<void> {
  process.kill(pid, signal);
  while (isRunning(pid)) await new Promise((next) => setTimeout(next, 20));
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('there is no free port');
  return address.port;
}
