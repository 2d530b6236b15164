import { createReadStream } from 'node:fs';
import { link, mkdir, open, opendir, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { assert } from '../../shared/assert.ts';
import type { ObjectStore, Publication } from '../stores.ts';
import { fileFault } from './fault.ts';
import { removeFile } from './remove.ts';

const KEY = /^[a-z0-9][a-z0-9.-]*(\/[a-z0-9][a-z0-9.-]*)*$/;
const READ_BYTES = 64 * 1024;

/** Objects as files below a directory of the local file system. */
export function createLocalObjects(root: string): ObjectStore {
  const localPath = (objectKey: string): string => {
    assert(KEY.test(objectKey) && !objectKey.includes('..'), `object key ${JSON.stringify(objectKey)} is malformed`);
    return join(root, objectKey);
  };
  return {
    localPath,
    publish: (files) => publish(files, root, localPath),
    read: (objectKey, range) => readRange(localPath(objectKey), range),
    delete: async (objectKeys) => {
      for (const objectKey of objectKeys) await removeFile(localPath(objectKey));
      for (const directory of new Set(objectKeys.map((objectKey) => dirname(localPath(objectKey))))) await removeEmpty(directory, root);
    },
    list: (prefix) => list(root, join(root, prefix)),
  };
}

/** Bytes of a file from `start` to `end` exclusive; the whole of it without a range. */
export function readRange(path: string, range?: { readonly start: number; readonly end: number }): AsyncIterable<Uint8Array> {
  const window = range === undefined ? {} : { start: range.start, end: range.end - 1 };
  return createReadStream(path, { ...window, highWaterMark: READ_BYTES });
}

/**
 * Links first, then syncs each directory once: a batch of commits shares the cost of its common parents. A link rather than
 * a rename, because the transaction around it may still fail and the commit be tried again.
 */
async function publish(files: readonly Publication[], root: string, localPath: (objectKey: string) => string): Promise<void> {
  const directories = new Set<string>();
  try {
    for (const directory of new Set(files.map(({ objectKey }) => dirname(localPath(objectKey))))) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      for (let at = directory; at.length >= root.length; at = dirname(at)) directories.add(at);
    }
    await Promise.all(files.map(({ path, objectKey }) => link(path, localPath(objectKey))));
    await Promise.all([...directories].map(syncDirectory));
  } catch (error) {
    throw fileFault(error);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes a directory and its parents below the root as long as they are empty. */
async function removeEmpty(directory: string, root: string): Promise<void> {
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

async function* list(root: string, directory: string): AsyncIterable<{ objectKey: string; ageMs: number }> {
  const entries = await opendir(directory, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (entries === undefined) return;
  for await (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    // The time of the link, not that of the last write: the bytes of an upload may be hours older than their commit.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) yield { objectKey: relative(root, path).split(sep).join('/'), ageMs: Date.now() - found.ctimeMs };
  }
}
