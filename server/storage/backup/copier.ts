import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rename, stat } from 'node:fs/promises';
import { fileFault } from '../files/fault.ts';
import { makeDirectories, objectPath, syncDirectories } from '../files/object-files.ts';
import { removeFile } from '../files/remove.ts';

/** How much is read and hashed at once: by a command, and by a server that has others to answer meanwhile. */
export const READ_BYTES = 1024 * 1024;
export const COPY_READ_BYTES = 256 * 1024;

/**
 * Copies files below a directory, and hashes them; at its name each is whole and on disk. What is copied never changes, so that the system
 * copies it by itself, which takes a fraction of what passing every byte through here took, while it is read once more to be hashed.
 */
export class Copier {
  readonly #root: string;
  /** Which files they have is on disk once they are synced, all at the end, because files share them. */
  readonly #directories = new Set<string>();

  readonly #signal: AbortSignal | undefined;

  constructor(root: string, signal?: AbortSignal) {
    this.#root = root;
    this.#signal = signal;
  }

  async copy(from: string, name: string): Promise<{ bytes: number; sha256: string }> {
    this.#signal?.throwIfAborted();
    const to = objectPath(this.#root, name);
    for (const directory of await makeDirectories(this.#root, [to])) this.#directories.add(directory);
    return writeWhole(to, async (temporary) => {
      // Both have ended before a failure of one is told.
      const [hashed, copied] = await Promise.allSettled([
        hashOf(from, { readBytes: COPY_READ_BYTES, signal: this.#signal }),
        copyDurably(from, temporary),
      ]);
      if (hashed.status === 'rejected') throw hashed.reason;
      if (copied.status === 'rejected') throw copied.reason;
      if (copied.value !== hashed.value.bytes) throw new Error(`${from} changed while it was copied`);
      return hashed.value;
    });
  }

  /** A file that an ended backup copied counts as one of this one's. */
  async adopt(name: string): Promise<void> {
    for (const directory of await makeDirectories(this.#root, [objectPath(this.#root, name)])) this.#directories.add(directory);
  }

  /** Nothing that was copied is lost with the machine any more. */
  sync(): Promise<void> {
    return syncDirectories(this.#directories);
  }
}

/** Answers how many bytes there are. */
async function copyDurably(from: string, to: string): Promise<number> {
  await copyFile(from, to);
  const file = await open(to, 'r+');
  try {
    await file.chmod(0o600);
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/** Whatever writes the temporary file sees to it that it is on disk. */
export async function writeWhole<Result>(path: string, write: (temporary: string) => Promise<Result>): Promise<Result> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    const result = await write(temporary);
    await rename(temporary, path);
    return result;
  } catch (error) {
    throw fileFault(error);
  } finally {
    await removeFile(temporary);
  }
}

/** Undefined when there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

interface Hashing {
  readonly readBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

export async function hashOf(path: string, { readBytes = READ_BYTES, signal }: Hashing = {}): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: readBytes, signal })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** The same of a copy; undefined where the system cannot read it any more, so that it is as good as lost. */
export async function hashOfCopy(path: string, hashing: Hashing = {}): Promise<{ bytes: number; sha256: string } | undefined> {
  try {
    return await hashOf(path, hashing);
  } catch (error) {
    hashing.signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return undefined;
  }
}
