import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, connect } from '../../client/index.ts';
import { collect, type LoopDelay, loopDelay, memoryOf, resetPeak, spawnWatched } from './watched.ts';

/** A Covista server in a process of its own, on a data directory that goes with it. */
export interface BenchServer {
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** A client of the SDK, for a person of this name. */
  client(subject: string): Promise<Client>;
  token(subject: string): string;
  /** Resident memory now, and the most since the last call of `resetPeak`, in bytes, of the server without its database. */
  memory(): { readonly now: number; readonly peak: number };
  resetPeak(): void;
  /** Lets it collect the garbage of its main thread. */
  collect(): Promise<void>;
  /** How late its main thread was since the last time that this was asked. */
  loopDelay(): Promise<LoopDelay>;
  /** The environment of a program that makes tokens for this server. */
  readonly environment: NodeJS.ProcessEnv;
  /** Stops it and starts it anew on its port; resolves when it serves. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'server/main.ts');

/** By secret and subject: servers of one secret take each other's. */
const tokens = new Map<string, string>();

/** On a data directory that is given, or a new one. What is to restart needs a port: one that the system chose is kept by it for a while. */
export async function startBenchServer(settings: Readonly<Record<string, string>> = {}, givenDir?: string, port = 0): Promise<BenchServer> {
  const environment = environmentOf(settings);
  const dataDir = givenDir ?? (await newDataDir(settings));
  const start = (): ChildProcess => serve(environment, dataDir, port);
  let child = start();
  const url = await firstLine(child);
  const pid = (): number => child.pid as number;
  const end = (): Promise<void> => endOf(child);
  const token = (subject: string): string => {
    const key = `${environment.COVISTA_JWT_SECRET} ${subject}`;
    const minted = tokens.get(key) ?? mint(subject, environment);
    tokens.set(key, minted);
    return minted;
  };
  return {
    url,
    dataDir,
    get pid() {
      return pid();
    },
    environment,
    token,
    client: async (subject) => connect({ url, token: token(subject) }),
    memory: () => memoryOf(pid()),
    resetPeak: () => resetPeak(pid()),
    collect: () => collect(child),
    loopDelay: () => loopDelay(child),
    restart: async () => {
      await end();
      child = start();
      await firstLine(child);
    },
    stop: async () => {
      await end();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

const environmentOf = (settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...process.env,
  COVISTA_LOG_LEVEL: 'warn',
  COVISTA_JWT_SECRET: 'bench'.repeat(10),
  ...settings,
});

const serve = (environment: NodeJS.ProcessEnv, dataDir: string, port: number): ChildProcess =>
  spawnWatched([MAIN, 'serve', '--port', String(port), '--data-dir', dataDir], environment);

async function endOf(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
}

const newDirectory = (): string => mkdtempSync(join(tmpdir(), 'covista-bench-'));

/** What a server makes of an empty directory, made once in a run. */
let made: Promise<string> | undefined;

/** As of a server that was never asked anything: a copy, since making a database takes longer than some scenarios. */
async function newDataDir(settings: Readonly<Record<string, string>>): Promise<string> {
  const directory = newDirectory();
  if (settings.COVISTA_DATABASE_URL !== undefined) return directory;
  made ??= makeDataDir();
  try {
    execFileSync('cp', ['-a', `${await made}/.`, directory]);
  } catch (fault) {
    // The next one is to try anew.
    made = undefined;
    throw fault;
  }
  return directory;
}

/** Removes what was copied; a signal leaves no time for it. */
export async function forgetDataDir(): Promise<void> {
  const directory = await made;
  made = undefined;
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
}

async function makeDataDir(): Promise<string> {
  const directory = newDirectory();
  const child = serve(environmentOf({}), directory, 0);
  await firstLine(child);
  await endOf(child);
  return directory;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the server has no standard output');
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /https?:\/\/\S+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error('the server ended before it was ready');
}

function mint(subject: string, environment: NodeJS.ProcessEnv): string {
  return execFileSync(process.execPath, [MAIN, 'token', '--sub', subject], { env: environment, encoding: 'utf8' }).trim();
}
