import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '../../shared/log.ts';
import { removeFile } from './remove.ts';
import { SealBroken, seal, unseal } from './sealed.ts';
import { syncDirectory } from './sync.ts';

const FILE = 'store-key.json';
const KEY_BYTES = 32;
const CONTEXT = 'covista store key';

/** The key under which the keys of files are wrapped, itself wrapped by a master key. */
interface StoredKey {
  /** Which master key wraps it. */
  readonly masterKeyId: string;
  readonly wrapped: string;
}

/** Names a master key without telling anything of it. */
export const masterKeyId = (key: Uint8Array): string => createHash('sha256').update('covista master key id').update(key).digest('hex').slice(0, 16);

/**
 * The key of a data directory, given the operator's master keys, the current one first; undefined when nothing is encrypted in it and nothing is to be. Where a previous master key
 * wraps it, it is wrapped by the current one from now on: that rotates the master key, and no object is written again.
 * Throws an Error that says which key is missing.
 */
export async function openStoreKey(dataDir: string, masterKeys: readonly Uint8Array[], log: Logger): Promise<Uint8Array | undefined> {
  const [current] = masterKeys;
  const path = join(dataDir, FILE);
  const stored = (await readStored(path)) ?? (current === undefined ? undefined : await createStored(path, current));
  if (stored === undefined) return undefined;
  const id = stored.masterKeyId;
  if (current === undefined) throw new Error(`${dataDir} is encrypted with the master key ${id}; set COVISTA_MASTER_KEY`);
  const master = masterKeys.find((key) => masterKeyId(key) === id);
  if (master === undefined) {
    const given = masterKeyId(current);
    throw new Error(
      `${dataDir} is encrypted with the master key ${id}, and COVISTA_MASTER_KEY is ${given}; to rotate, give the old key in COVISTA_MASTER_KEY_PREVIOUS`,
    );
  }
  const key = unwrap(stored, master, path);
  if (master !== current) {
    await replaceStored(path, wrap(key, current));
    log.info({ from: id, to: masterKeyId(current) }, 'the master key was rotated');
  }
  return key;
}

const wrap = (key: Uint8Array, master: Uint8Array): StoredKey => ({
  masterKeyId: masterKeyId(master),
  wrapped: seal(master, CONTEXT, key).toString('base64'),
});

function unwrap({ wrapped }: StoredKey, master: Uint8Array, path: string): Uint8Array {
  try {
    return unseal(master, CONTEXT, Buffer.from(wrapped, 'base64'));
  } catch (cause) {
    if (cause instanceof SealBroken)
      throw new Error(`${path} is damaged; restore it from a backup, or nothing that is encrypted can be read`, { cause });
    throw cause;
  }
}

async function readStored(path: string): Promise<StoredKey | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as StoredKey;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof SyntaxError) throw new Error(`${path} is damaged; restore it from a backup`, { cause: error });
    throw error;
  }
}

/** Of several servers that create it at once, one does, and the others take what it made. */
async function createStored(path: string, master: Uint8Array): Promise<StoredKey | undefined> {
  const temporary = await writeTemporary(path, wrap(randomBytes(KEY_BYTES), master));
  try {
    await link(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await removeFile(temporary);
  }
  return readStored(path);
}

async function replaceStored(path: string, stored: StoredKey): Promise<void> {
  await rename(await writeTemporary(path, stored), path);
  await syncDirectory(dirname(path));
}

async function writeTemporary(path: string, stored: StoredKey): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(stored)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}
