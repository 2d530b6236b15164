import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../shared/log.ts';
import { lockDirectory } from './directory-lock.ts';
import { type Cluster, collect, ensureCluster, ROLE, readPostmaster, spawnProgram, stopLeftover } from './embedded-cluster.ts';
import { databaseUser, findPrograms } from './embedded-programs.ts';
import { isPostgresOf } from './process-identity.ts';

export interface EmbeddedOptions {
  /** The cluster comes to be in `postgres` below it (mode 0700), its password in `postgres-password` (0600). */
  readonly dataDir: string;
  readonly log: Logger;
  /** Settings of PostgreSQL over those below, for tests that need speed rather than durability. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the programs are copied to when PostgreSQL's user cannot reach them where npm put them. */
  readonly copiesDir?: string;
}

export interface Embedded {
  readonly url: string;
  /** Ends sessions, writes everything down and stops. */
  stop(): Promise<void>;
}

/** Nothing is relaxed of what a commit promises. Errors go back to whoever caused them; the log need not repeat their data. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  max_connections: '60',
  log_error_verbosity: 'terse',
  log_min_error_statement: 'panic',
  ...(process.platform === 'linux' && { recovery_init_sync_method: 'syncfs' }),
};

const STARTS_MAX = 3;
const RESTART_DELAY_MS = 300;
const START_TIMEOUT_MS = 120_000;
const START_POLL_MS = 5;
const STOP_TIMEOUT_MS = 60_000;

/**
 * Starts the PostgreSQL of a data directory, for one server at a time, on a free port of the loopback interface. It is a
 * process of its own session, so that Ctrl-C reaches only the server, which stops it last. If the server is killed, it runs
 * on; the next start stops it first.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  const lock = await lockDirectory(join(dataDir, 'postgres.lock'));
  try {
    const { child, url } = await start({ ...options, dataDir });
    return {
      url,
      stop: async () => {
        await stop(child);
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * The PostgreSQL of a data directory: the one that runs, which goes on running, or else one that is started and that `stop`
 * stops again. For what may be done beside a server.
 */
export async function attachEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const directory = join(options.dataDir, 'postgres');
  const running = await readPostmaster(directory);
  if (running === undefined || !running.isReady || !(await isPostgresOf(running.pid, directory))) return startEmbedded(options);
  const password = (await readFile(join(options.dataDir, 'postgres-password'), 'utf8')).trim();
  return { url: urlOf(password, running.port), stop: async () => undefined };
}

const urlOf = (password: string, port: number): string => `postgresql://${ROLE}:${password}@127.0.0.1:${port}/postgres`;

async function start({ dataDir, log, settings, copiesDir = '/var/lib/covista' }: EmbeddedOptions): Promise<{ child: ChildProcess; url: string }> {
  const directory = join(dataDir, 'postgres');
  const user = await databaseUser(directory, log);
  const isDurable = settings?.fsync !== 'off';
  const cluster: Cluster = { directory, user, isDurable, log, programs: await findPrograms(user, copiesDir, log) };
  const password = await ensureCluster(cluster, join(dataDir, 'postgres-password'));
  await stopLeftover(cluster);
  const flags = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const child = await spawnProgram(cluster, 'postgres', ['-p', String(port), ...flags]);
    const failure = await untilReady(cluster, child);
    if (failure === undefined) return { child, url: urlOf(password, port) };
    // Somebody may have taken the port in between, or the remains of a crash may not have left yet.
    if (attempt === STARTS_MAX) throw new Error(`the embedded PostgreSQL does not start: ${failure}`);
    log.warn({ failure, attempt }, 'the embedded PostgreSQL did not start, trying again');
    await delay(attempt * RESTART_DELAY_MS);
  }
}

function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const probe = createServer();
  probe.once('error', reject).listen(0, '127.0.0.1', () => {
    const address = probe.address();
    probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
  });
  return promise;
}

/** Undefined once it accepts connections; otherwise what it said before it ended. */
async function untilReady(cluster: Cluster, child: ChildProcess): Promise<string | undefined> {
  const { log, directory } = cluster;
  const output = collect(child);
  if (child.stderr) createInterface(child.stderr).on('line', (line) => log.debug({ line }, 'postgres'));
  const ended = once(child, 'close').then(output, (error: Error) => error.message);
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (true) {
    const failure = await Promise.race([ended, delay(START_POLL_MS, undefined)]);
    if (failure !== undefined) return failure;
    const postmaster = await readPostmaster(directory);
    if (postmaster?.pid === child.pid && postmaster?.isReady) break;
    if (performance.now() > deadline) {
      await stop(child);
      return `it was not ready in time: ${output()}`;
    }
  }
  child.once('exit', (code, signal) => {
    if (child.killed) log.info({ code, signal }, 'the embedded PostgreSQL ended');
    else log.error({ code, signal }, 'the embedded PostgreSQL ended by itself; nothing works until the server is started again');
  });
  return undefined;
}

/** SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one, from which it recovers at its next start. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
