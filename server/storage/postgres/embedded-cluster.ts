import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../shared/log.ts';
import { type DatabaseUser, isReachable } from './embedded-programs.ts';
import { isPostgresOf, startOf } from './process-identity.ts';

/** Where a cluster is, what runs it, and as whom. */
export interface Cluster {
  readonly directory: string;
  readonly programs: string;
  readonly user: DatabaseUser | undefined;
  /** Whether what it writes must outlive a failure of the machine. */
  readonly isDurable: boolean;
  readonly log: Logger;
}

export const ROLE = 'covista';

/**
 * How PostgreSQL is to call the cluster's directory. On Linux it is started inside of it, and calls it by that when its user
 * may not pass through the directories above (a data directory in a closed home).
 */
async function nameOf(directory: string, user: DatabaseUser | undefined): Promise<string> {
  return process.platform === 'linux' && !(await isReachable(directory, user)) ? '/proc/self/cwd' : directory;
}

/** Starts a PostgreSQL program in the cluster, apart from this process's terminal signals and environment, which has secrets. */
export async function spawnProgram(cluster: Cluster, program: string, flags: readonly string[]): Promise<ChildProcess> {
  const { directory, programs, user } = cluster;
  const name = await nameOf(directory, user);
  return spawn(join(programs, 'bin', program), ['-D', name, ...flags], {
    cwd: directory,
    env: { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    ...user,
  });
}

/**
 * The password of the cluster, which is made unless it is there. A cluster gets its name when it is whole, so that an
 * interruption leaves none by halves; its password is on disk before.
 */
export async function ensureCluster(cluster: Cluster, passwordPath: string): Promise<string> {
  const { directory, user, log } = cluster;
  const known = await readOr(passwordPath);
  const isThere = (await readOr(join(directory, 'PG_VERSION'))) !== undefined;
  if (isThere && known === undefined) throw new Error(`the password of the database in ${directory} is gone; it belongs in ${passwordPath}`);
  const password = known?.trim() ?? (await createPassword(passwordPath));
  if (isThere) return password;
  log.info({ directory }, 'creating the embedded PostgreSQL cluster');
  const draft = `${directory}.new`;
  await rm(draft, { recursive: true, force: true });
  await makePrivate(draft, user);
  await initialise({ ...cluster, directory: draft }, password);
  await rename(draft, directory);
  await syncDirectory(dirname(directory));
  return password;
}

async function createPassword(path: string): Promise<string> {
  const password = randomBytes(24).toString('base64url');
  const draft = `${path}.new`;
  await writeFile(draft, password, { mode: 0o600, flush: true });
  await rename(draft, path);
  return password;
}

async function makePrivate(directory: string, user: DatabaseUser | undefined): Promise<void> {
  await mkdir(directory, { mode: 0o700 });
  await chmod(directory, 0o700);
  if (user) await chown(directory, user.uid, user.gid);
}

/** The locale is PostgreSQL's own, so that texts compare the same on every machine, with Unicode's rules for case. */
async function initialise(cluster: Cluster, password: string): Promise<void> {
  const { user } = cluster;
  const secrets = await mkdtemp(join(tmpdir(), 'covista-initdb-'));
  try {
    const passwordFile = join(secrets, 'password');
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (user) for (const path of [passwordFile, secrets]) await chown(path, user.uid, user.gid);
    const flags = [`--username=${ROLE}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
    const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
    const child = await spawnProgram(cluster, 'initdb', [...flags, ...locale, ...syncFlags(cluster)]);
    const output = collect(child);
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`the embedded PostgreSQL cluster could not be created: ${output()}`);
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
}

/** One call that writes down the whole file system is much faster than one for each of a thousand files. */
function syncFlags({ isDurable }: Cluster): string[] {
  if (!isDurable) return ['--no-sync'];
  return process.platform === 'linux' ? ['--sync-method=syncfs'] : [];
}

const OUTPUT_CHARS_MAX = 4_000;

/** The end of what a program writes to its standard error. */
export function collect(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    text = (text + piece).slice(-OUTPUT_CHARS_MAX);
  });
  return () => text.trim();
}

/** What PostgreSQL says of itself in the cluster (https://www.postgresql.org/docs/current/storage-file-layout.html). */
export async function readPostmaster(
  directory: string,
): Promise<{ readonly pid: number; readonly port: number; readonly isReady: boolean } | undefined> {
  const text = await readOr(join(directory, 'postmaster.pid'));
  if (text === undefined) return undefined;
  const lines = text.split('\n');
  return { pid: Number(lines[0]), port: Number(lines[3]), isReady: lines[7]?.trim() === 'ready' };
}

const STOP_POLL_MS = 20;
const STOP_FAST_MS = 60_000;
const STOP_IMMEDIATE_MS = 20_000;

/**
 * Stops the PostgreSQL that a killed server left behind, if it still runs. If it does not, its id may be that of another
 * program by now, or of its own remains that nobody has reaped; PostgreSQL would take both for a running server, so it must not
 * find the id. It notices by other means when parts of a server are still at work.
 */
export async function stopLeftover({ directory, log }: Pick<Cluster, 'directory' | 'log'>): Promise<void> {
  const left = await readPostmaster(directory);
  if (!left) return;
  const { pid } = left;
  const start = await startOf(pid);
  if (start === undefined || !(await isPostgresOf(pid, directory))) {
    log.warn({ pid }, 'an earlier PostgreSQL ended without a word; it recovers now');
    await rm(join(directory, 'postmaster.pid'), { force: true });
    return;
  }
  log.warn({ pid }, 'stopping the PostgreSQL that an earlier server left behind');
  if (await stopProcess({ pid, start }, 'SIGINT', STOP_FAST_MS)) return;
  if (await stopProcess({ pid, start }, 'SIGQUIT', STOP_IMMEDIATE_MS)) return;
  throw new Error(`the PostgreSQL that an earlier server left behind (process ${pid}) does not stop`);
}

/** Polls, because nobody but its parent is told when a process ends. */
async function stopProcess(target: { readonly pid: number; readonly start: string }, signal: NodeJS.Signals, waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  const isGone = async (): Promise<boolean> => (await startOf(target.pid)) !== target.start;
  if (!(await isGone())) process.kill(target.pid, signal);
  while (!(await isGone())) {
    if (performance.now() > deadline) return false;
    await delay(STOP_POLL_MS);
  }
  return true;
}

async function readOr(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
