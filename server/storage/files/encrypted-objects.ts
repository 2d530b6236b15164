import { createReadStream } from 'node:fs';
import { type FileHandle, link, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { ObjectStore, Publication } from '../stores.ts';
import { DecryptedCache } from './decrypted-cache.ts';
import { fileFault } from './fault.ts';
import { readRange } from './local-objects.ts';
import { listFiles, makeDirectories, objectPath, removeEmpty, syncDirectories } from './object-files.ts';
import { removeFile } from './remove.ts';
import { plainSize, readFileKey, readSealed, SealBroken, writeSealed } from './sealed.ts';

export interface EncryptedObjectsOptions {
  readonly root: string;
  /** Wraps the key of each object. */
  readonly key: Uint8Array;
  /** Where decrypted objects lie while they are read; private to this process, and empty. */
  readonly cacheDirectory: string;
  readonly limits: Pick<Limits, 'decryptedCacheBytesMax'>;
  /** Of the decrypted objects. */
  readonly counts?: CacheCounts;
}

/** Tells sealed files from those that were stored before encryption was turned on, which are read as they are. */
const SEALED = '.sealed';
const PART = '.part';

/** Objects as encrypted files, each under a key of its own, below a directory of the local file system. */
export function createEncryptedObjects(options: EncryptedObjectsOptions): ObjectStore {
  const { root, key, counts = new CacheCounts() } = options;
  const plainPath = (objectKey: string): string => objectPath(root, objectKey);
  const sealedPath = (objectKey: string): string => `${plainPath(objectKey)}${SEALED}`;

  const sizeOf = async (objectKey: string): Promise<number> => {
    const sealed = await sizeIfThere(sealedPath(objectKey));
    return sealed === undefined ? (await stat(plainPath(objectKey))).size : plainSize(sealed).bytes;
  };

  const read = async function* (objectKey: string, range?: Range): AsyncGenerator<Uint8Array> {
    if (range !== undefined && range.start >= range.end) return;
    const handle = await openIfThere(sealedPath(objectKey));
    if (handle === undefined) yield* readRange(plainPath(objectKey), range);
    else yield* readObject({ handle, key, objectKey, range });
  };

  const cache = new DecryptedCache({ directory: options.cacheDirectory, limits: options.limits, sizeOf, read, counts });
  return {
    localPath: (objectKey) => cache.pathOf(objectKey),
    lease: (paths) => leaseAll(cache, paths),
    publish: (files) => publish(files, { root, key, sealedPath }),
    read,
    delete: async (objectKeys) => {
      for (const objectKey of objectKeys) {
        cache.forget(objectKey);
        await removeFile(sealedPath(objectKey));
        await removeFile(plainPath(objectKey));
      }
      for (const directory of new Set(objectKeys.map((objectKey) => dirname(plainPath(objectKey))))) await removeEmpty(directory, root);
    },
    list: async function* (prefix) {
      for await (const { name, ageMs } of listFiles(root, prefix)) {
        yield { objectKey: name.endsWith(SEALED) ? name.slice(0, -SEALED.length) : name, ageMs };
      }
    },
  };
}

type Range = { readonly start: number; readonly end: number };

async function unlessAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const openIfThere = (path: string): Promise<FileHandle | undefined> => unlessAbsent(open(path, 'r'));
const sizeIfThere = async (path: string): Promise<number | undefined> => (await unlessAbsent(stat(path)))?.size;

interface Opened {
  readonly handle: FileHandle;
  readonly key: Uint8Array;
  readonly objectKey: string;
  readonly range: Range | undefined;
}

async function* readObject({ handle, key, objectKey, range }: Opened): AsyncGenerator<Uint8Array> {
  try {
    yield* readSealed(handle, await readFileKey(handle, key, objectKey), range);
  } catch (error) {
    throw broken(objectKey, error);
  } finally {
    await handle.close();
  }
}

/** A damaged object is a fault of the server, whose log has its name; callers learn nothing of it. */
function broken(objectKey: string, error: unknown): unknown {
  return error instanceof SealBroken ? new Error(`the object ${objectKey} cannot be decrypted`, { cause: error }) : error;
}

async function leaseAll(cache: DecryptedCache, paths: readonly string[]): Promise<() => void> {
  const objectKeys = [...new Set(paths.flatMap((path) => cache.keyAt(path) ?? []))];
  const held: (() => void)[] = [];
  const releaseAll = (): void => {
    for (const release of held.splice(0)) release();
  };
  try {
    for (const objectKey of objectKeys) held.push(await cache.hold(objectKey));
    return releaseAll;
  } catch (error) {
    releaseAll();
    throw error instanceof CovistaError ? error : fileFault(error);
  }
}

interface Target {
  readonly root: string;
  readonly key: Uint8Array;
  readonly sealedPath: (objectKey: string) => string;
}

async function publish(files: readonly Publication[], { root, key, sealedPath }: Target): Promise<void> {
  try {
    const directories = await makeDirectories(
      root,
      files.map(({ objectKey }) => sealedPath(objectKey)),
    );
    for (const { path, objectKey } of files) await publishOne(path, sealedPath(objectKey), { wrappingKey: key, name: objectKey });
    await syncDirectories(directories);
  } catch (error) {
    throw fileFault(error);
  }
}

/** Written under another name first: at the key there is all of it or nothing. */
async function publishOne(source: string, target: string, seal: { readonly wrappingKey: Uint8Array; readonly name: string }): Promise<void> {
  const part = `${target}${PART}`;
  try {
    const file = await open(part, 'w', 0o600);
    try {
      await writeSealed(file, seal, createReadStream(source));
      await file.sync();
    } finally {
      await file.close();
    }
    await link(part, target);
  } finally {
    await removeFile(part);
  }
}
