import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import type { UploadId } from '../../../protocol/ids.ts';
import { assert } from '../../shared/assert.ts';
import { Sha256Thread } from '../../workers/sha256.client.ts';
import type { StagedBytes, StagingStore } from '../stores.ts';
import { BodyHash } from './body-hash.ts';
import { fileFault } from './fault.ts';
import { removeFile } from './remove.ts';

/** Uploads whose hash is kept up to date in memory; the others are read again when they are committed. */
const RUNNING_HASHES_MAX = 1_000;
export const UPLOAD_ID = /^[0-9a-f-]{36}$/;

export interface WriteOptions {
  readonly bytesMax: number;
  readonly signal: AbortSignal;
}

/** A hash over the first `bytes` bytes of an upload. */
interface RunningHash {
  readonly hash: Hash;
  readonly bytes: number;
}

/** Directories of the data directory that hold what is under way. */
export interface WorkDirectories {
  /** Holds those of the others that end with the process. */
  readonly own: string;
  readonly staging: string;
  readonly uploads: string;
  readonly spill: string;
  readonly exports: string;
  /** Where decrypted objects lie while they are read. */
  readonly decrypted: string;
}

/** The data directory itself lets the database's user through; what holds data lets nobody else in. */
const PRIVATE = 0o700;

/** Leftovers of other processes on a shared data directory are removed when they are this old. */
const LEFTOVER_MS = 24 * 60 * 60 * 1_000;

/**
 * Makes the directories of this process and removes those that ended processes left. Unless the data directory is `shared`,
 * this process is the only one, so all others have ended.
 */
export async function prepareStaging(dataDir: string, { shared }: { readonly shared: boolean }): Promise<WorkDirectories> {
  const work = join(dataDir, 'work');
  await mkdir(work, { recursive: true, mode: PRIVATE });
  for (const name of await readdir(work)) {
    const path = join(work, name);
    const ageMs = Date.now() - (await stat(path)).mtimeMs;
    if (!shared || ageMs > LEFTOVER_MS) await rm(path, { recursive: true, force: true });
  }
  const own = join(work, randomUUID());
  const within = (name: string): string => join(own, name);
  const directories = {
    own,
    staging: within('staging'),
    spill: within('spill'),
    exports: within('exports'),
    decrypted: within('decrypted'),
    uploads: join(dataDir, 'uploads'),
  };
  for (const directory of Object.values(directories)) await mkdir(directory, { recursive: true, mode: PRIVATE });
  return directories;
}

/** Staged files in one directory, uploads in another, both on the file system of the objects, so that publishing is a link. */
export function createStaging(directories: Pick<WorkDirectories, 'staging' | 'uploads'>): StagingStore {
  const hashes = new LRUCache<UploadId, RunningHash>({ max: RUNNING_HASHES_MAX });
  const hashing = new Sha256Thread();
  const uploadPath = (uploadId: UploadId): string => {
    assert(UPLOAD_ID.test(uploadId), 'an upload id is malformed');
    return join(directories.uploads, uploadId);
  };
  return {
    stage: (body, options) => stage(join(directories.staging, `body-${randomUUID()}`), body, { ...options, hash: new BodyHash(hashing) }),
    discard: removeFile,
    write: (uploadId, offset, body, options) => writeUpload({ path: uploadPath(uploadId), uploadId, offset, hashes }, body, options),
    open: async (uploadId, bytes, signal) => {
      const path = uploadPath(uploadId);
      const running = hashes.get(uploadId);
      const sha256 = running?.bytes === bytes ? running.hash.copy().digest('hex') : await hashFile(path, bytes, signal);
      return { path, bytes, sha256, durable: Promise.resolve(), release: async () => undefined };
    },
    removeUpload: async (uploadId) => {
      hashes.delete(uploadId);
      await removeFile(uploadPath(uploadId));
    },
    markAlive: () => utimes(dirname(directories.staging), new Date(), new Date()),
    listUploads: () => listUploads(directories.uploads),
  };
}

async function stage(path: string, body: AsyncIterable<Uint8Array>, { hash, ...options }: WriteOptions & { hash: BodyHash }): Promise<StagedBytes> {
  const handle = await open(path, 'wx');
  try {
    const bytes = await pour(handle, 0, body, { ...options, hash });
    return { path, bytes, sha256: await hash.digest(), durable: syncAndClose(handle) };
  } catch (error) {
    hash.abandon();
    await handle.close();
    await removeFile(path);
    throw fileFault(error);
  }
}

async function syncAndClose(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } catch (error) {
    throw fileFault(error);
  } finally {
    await handle.close();
  }
}

interface Upload {
  readonly path: string;
  readonly uploadId: UploadId;
  readonly offset: number;
  readonly hashes: LRUCache<UploadId, RunningHash>;
}

async function writeUpload(upload: Upload, body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<number> {
  const { path, uploadId, offset, hashes } = upload;
  const before = hashes.get(uploadId);
  const hash = offset === 0 ? createHash('sha256') : before?.bytes === offset ? before.hash.copy() : undefined;
  const handle = await open(path, offset === 0 ? 'w' : 'r+');
  try {
    await handle.truncate(offset);
    const end = await pour(handle, offset, body, { ...options, hash });
    await handle.datasync();
    if (hash !== undefined) hashes.set(uploadId, { hash, bytes: end });
    return end;
  } catch (error) {
    throw fileFault(error);
  } finally {
    await handle.close();
  }
}

/** The chunks of a body, as long as they are wanted and within the bound. */
export async function* bounded(body: AsyncIterable<Uint8Array>, { bytesMax, signal }: WriteOptions): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body) {
    if (signal.aborted) throw new CovistaError('cancelled', 'the upload was cancelled');
    bytes += chunk.length;
    if (bytes > bytesMax) throw new CovistaError('payload_too_large', `the body has more than ${bytesMax} bytes`, { bytesMax });
    yield chunk;
  }
  if (signal.aborted) throw new CovistaError('cancelled', 'the upload was cancelled');
}

/** Writes chunks one behind the other from `at` on; answers with the position behind the last. */
async function pour(
  handle: FileHandle,
  at: number,
  body: AsyncIterable<Uint8Array>,
  options: WriteOptions & { readonly hash: { update(bytes: Uint8Array): unknown } | undefined },
): Promise<number> {
  let end = at;
  for await (const chunk of bounded(body, options)) {
    // Hashed while another thread writes.
    await Promise.all([writeAll(handle, chunk, end), options.hash?.update(chunk)]);
    end += chunk.length;
  }
  return end;
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < chunk.length) {
    const { bytesWritten } = await handle.write(chunk, written, chunk.length - written, position + written);
    written += bytesWritten;
  }
}

async function hashFile(path: string, bytes: number, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  if (bytes > 0) {
    for await (const chunk of createReadStream(path, { end: bytes - 1, highWaterMark: 1024 * 1024, signal })) hash.update(chunk as Buffer);
  }
  return hash.digest('hex');
}

async function* listUploads(directory: string): AsyncIterable<{ uploadId: UploadId; ageMs: number }> {
  for (const name of await readdir(directory)) {
    if (!UPLOAD_ID.test(name)) continue;
    const found = await stat(join(directory, name)).catch(() => undefined);
    if (found !== undefined) yield { uploadId: name as UploadId, ageMs: Date.now() - found.mtimeMs };
  }
}
