import { createReadStream } from 'node:fs';
import { link } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import type { ObjectStore, Publication } from '../stores.ts';
import { fileFault } from './fault.ts';
import { listFiles, makeDirectories, objectPath, removeEmpty, syncDirectories } from './object-files.ts';
import { removeFile } from './remove.ts';

const READ_BYTES = 64 * 1024;

/** Objects as files below a directory of the local file system. `readBytes` come at once; more of them are read faster, and kept in memory for each reader. */
export function createLocalObjects(root: string, readBytes = READ_BYTES): ObjectStore {
  const localPath = (objectKey: string): string => objectPath(root, objectKey);
  return {
    localPath,
    // They lie where they are read for as long as they exist.
    lease: async () => () => undefined,
    publish: (files) => publish(files, root, localPath),
    read: (objectKey, range) => readRange(localPath(objectKey), range, readBytes),
    delete: async (objectKeys) => {
      for (const objectKey of objectKeys) await removeFile(localPath(objectKey));
      for (const directory of new Set(objectKeys.map((objectKey) => dirname(localPath(objectKey))))) await removeEmpty(directory, root);
    },
    list: async function* (prefix) {
      for await (const { name, ageMs } of listFiles(root, prefix)) yield { objectKey: name, ageMs };
    },
  };
}

/** Bytes of a file from `start` to `end` exclusive; the whole of it without a range. */
export function readRange(path: string, range?: { readonly start: number; readonly end: number }, readBytes = READ_BYTES): AsyncIterable<Uint8Array> {
  if (range !== undefined && range.start >= range.end) return Readable.from([]);
  const window = range === undefined ? {} : { start: range.start, end: range.end - 1 };
  return createReadStream(path, { ...window, highWaterMark: readBytes });
}

/**
 * Links first, then syncs each directory once: a batch of commits shares the cost of its common parents. A link rather than
 * a rename, because the transaction around it may still fail and the commit be tried again.
 */
async function publish(files: readonly Publication[], root: string, localPath: (objectKey: string) => string): Promise<void> {
  try {
    const directories = await makeDirectories(
      root,
      files.map(({ objectKey }) => localPath(objectKey)),
    );
    await Promise.all(files.map(({ path, objectKey }) => link(path, localPath(objectKey))));
    await syncDirectories(directories);
  } catch (error) {
    throw fileFault(error);
  }
}
