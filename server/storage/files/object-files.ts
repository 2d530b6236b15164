import { mkdir, opendir, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { assert } from '../../shared/assert.ts';
import { syncDirectory } from './sync.ts';

const KEY = /^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)*$/;

/** Where an object lies below a directory. */
export function objectPath(root: string, objectKey: string): string {
  assert(KEY.test(objectKey) && !objectKey.includes('..'), `object key ${JSON.stringify(objectKey)} is malformed`);
  return join(root, objectKey);
}

/** Makes the directories of some paths; answers with all that have to be synced once the files are there. */
export async function makeDirectories(root: string, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const directories = new Set<string>();
  for (const directory of new Set(paths.map((path) => dirname(path)))) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (let at = directory; at.length >= root.length; at = dirname(at)) directories.add(at);
  }
  return directories;
}

export async function syncDirectories(directories: ReadonlySet<string>): Promise<void> {
  await Promise.all([...directories].map(syncDirectory));
}

/** Removes a directory and its parents below the root as long as they are empty. */
export async function removeEmpty(directory: string, root: string): Promise<void> {
  for (let at = directory; at.length > root.length; at = dirname(at)) {
    try {
      await rmdir(at);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOTEMPTY' || code === 'ENOENT' || code === 'EEXIST') return;
      throw error;
    }
  }
}

/** Files below a prefix by their path below the root, with slashes. */
export async function* listFiles(root: string, prefix: string): AsyncIterable<{ readonly name: string; readonly ageMs: number }> {
  const entries = await opendir(join(root, prefix), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (entries === undefined) return;
  for await (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // The time of the link, not that of the last write: the bytes of an upload may be hours older than their commit.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) yield { name: relative(root, path).split(sep).join('/'), ageMs: Date.now() - found.ctimeMs };
  }
}
