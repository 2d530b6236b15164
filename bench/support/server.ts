import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client, connect } from '../../client/index.ts';
import { assertGoesOn, endedWithRun, newDirectory, removeDirectory, wereAllTold } from './remains.ts';
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
  const end = (): Promise<void> => endOf(child);
  const ended = endedWithRun(end);
  const url = await firstLine(child);
  const pid = (): number => child.pid as number;
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
      ended();
      removeDirectory(dataDir);
    },
  };
}

const environmentOf = (settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...process.env,
  COVISTA_LOG_LEVEL: 'warn',
  COVISTA_JWT_SECRET: 'bench'.repeat(10),
  ...settings,
});

function serve(environment: NodeJS.ProcessEnv, dataDir: string, port: number): ChildProcess {
  assertGoesOn();
  return spawnWatched([MAIN, 'serve', '--port', String(port), '--data-dir', dataDir], environment);
}

/** How long a server may take for its end that has heard of Ctrl-C by itself. */
const TOLD_MS = 30_000;

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  // A second signal would end it before its database.
  if (wereAllTold()) await Promise.race([exit, delay(TOLD_MS)]);
  child.kill('SIGTERM');
  await exit;
}

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

/** Removes what was copied. */
export async function forgetDataDir(): Promise<void> {
  const directory = await made;
  made = undefined;
  if (directory !== undefined) removeDirectory(directory);
}

async function makeDataDir(): Promise<string> {
  const directory = newDirectory();
  const child = serve(environmentOf({}), directory, 0);
  const ended = endedWithRun(() => endOf(child));
  await firstLine(child);
  await endOf(child);
  ended();
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
