import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LimitName, resolveLimits } from '../../protocol/limits.ts';
import { createEncryptedObjects } from '../../server/storage/files/encrypted-objects.ts';
import { createEncryptedStaging } from '../../server/storage/files/encrypted-staging.ts';
import { createLocalObjects } from '../../server/storage/files/local-objects.ts';
import { createStaging } from '../../server/storage/files/staging.ts';
import type { ObjectStore, StagingStore } from '../../server/storage/stores.ts';

export type Protection = 'plain' | 'encrypted';

/** Stores of files with directories of their own. */
export interface TestFiles {
  readonly directory: string;
  readonly root: string;
  readonly cacheDirectory: string;
  readonly key: Uint8Array;
  readonly objects: ObjectStore;
  readonly staging: StagingStore;
  /** The stores as a server that starts anew has them; the cache is empty then. */
  reopen(key?: Uint8Array): Promise<TestFiles>;
  remove(): Promise<void>;
}

export async function openTestFiles(protection: Protection, limits: Partial<Record<LimitName, number>> = {}): Promise<TestFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-test-files-'));
  return openIn(directory, { protection, limits, key: randomBytes(32) });
}

interface Opening {
  readonly protection: Protection;
  readonly limits: Partial<Record<LimitName, number>>;
  readonly key: Uint8Array;
}

async function openIn(directory: string, opening: Opening): Promise<TestFiles> {
  const { protection, limits, key } = opening;
  const root = join(directory, 'objects');
  const cacheDirectory = join(directory, 'decrypted');
  const directories = { staging: join(directory, 'staging'), uploads: join(directory, 'uploads') };
  await rm(cacheDirectory, { recursive: true, force: true });
  for (const path of [root, cacheDirectory, ...Object.values(directories)]) await mkdir(path, { recursive: true });
  const isPlain = protection === 'plain';
  return {
    directory,
    root,
    cacheDirectory,
    key,
    objects: isPlain ? createLocalObjects(root) : createEncryptedObjects({ root, key, cacheDirectory, limits: resolveLimits(limits) }),
    staging: isPlain ? createStaging(directories) : await createEncryptedStaging(directories, key),
    reopen: (other = key) => openIn(directory, { protection, limits, key: other }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** Whether any file below a directory holds the bytes. */
export async function isFoundBelow(directory: string, wanted: Uint8Array | string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (await readFile(path)).includes(Buffer.from(wanted))) found.push(path);
  }
  return found;
}
