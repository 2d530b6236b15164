import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import type { StagedFile } from '../stores.ts';
import { isOutOfRoom } from './engine-error.ts';

/** Most files of small commits fit into the first read. */
const FIRST_READ_BYTES = 16 * 1024;
const READ_BYTES = 1024 * 1024;

/** The directory of files that are not yet part of anything. */
export class Staging {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** A path that no file has yet. `name` is part of it, for people who look into the directory. */
  path(name: string): string {
    return join(this.#directory, `${randomUUID()}-${name.replace(/[^a-zA-Z0-9.-]/g, '_').slice(0, 80)}`);
  }

  async remove(path: string): Promise<void> {
    await rm(path, { force: true });
  }

  /** Runs work that writes a file at a new path, and removes the file when the work fails. */
  async write<T>(name: string, work: (path: string) => Promise<T>): Promise<T> {
    const path = this.path(name);
    try {
      return await work(path);
    } catch (error) {
      await this.remove(path);
      throw isOutOfRoom(error) ? new CovistaError('storage_full', 'there is no room left to write the file', {}, error) : error;
    }
  }

  /** Runs work with a new path, at which there is no file any more when it is done. */
  async temporary<T>(name: string, work: (path: string) => Promise<T>): Promise<T> {
    return this.write(name, async (path) => {
      const result = await work(path);
      await this.remove(path);
      return result;
    });
  }

  /** Makes a written file durable and hashes it meanwhile, which is cheapest while the page cache still holds it. */
  async seal(path: string, content: { readonly rows: number; readonly schemaHash: string }, signal: AbortSignal): Promise<StagedFile> {
    const handle = await open(path, 'r+');
    try {
      const [hashed] = await Promise.all([hashFile(handle, signal), handle.sync()]);
      return { path, ...content, ...hashed };
    } finally {
      await handle.close();
    }
  }
}

/** Writes all of the bytes where the handle stands. */
export async function writeWhole(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}

async function hashFile(handle: FileHandle, signal: AbortSignal): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  const head = Buffer.allocUnsafe(FIRST_READ_BYTES);
  const { bytesRead } = await handle.read(head, 0, head.length, 0);
  hash.update(head.subarray(0, bytesRead));
  // Reads of local files are short only at the end.
  const bytes = bytesRead < head.length ? bytesRead : await hashRest(handle, hash, bytesRead, signal);
  return { bytes, sha256: hash.digest('hex') };
}

/** Reads one piece while it hashes the one before; answers with where the file ends. */
async function hashRest(handle: FileHandle, hash: Hash, from: number, signal: AbortSignal): Promise<number> {
  let spare = Buffer.allocUnsafe(READ_BYTES);
  let reading = handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, from);
  for (let at = from; ; ) {
    const { bytesRead, buffer } = await reading;
    throwIfAborted(signal);
    at += bytesRead;
    const isLast = bytesRead < READ_BYTES;
    if (!isLast) reading = handle.read(spare, 0, READ_BYTES, at);
    hash.update(buffer.subarray(0, bytesRead));
    if (isLast) return at;
    spare = buffer;
  }
}
