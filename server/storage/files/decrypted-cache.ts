import { unlinkSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import { fileFault } from './fault.ts';
import { objectPath } from './object-files.ts';
import { removeFile } from './remove.ts';

export interface DecryptedCacheOptions {
  /** Private to this process, and empty. */
  readonly directory: string;
  readonly limits: Pick<Limits, 'decryptedCacheBytesMax'>;
  /** How many plain bytes an object has. */
  readonly sizeOf: (objectKey: string) => Promise<number>;
  readonly read: (objectKey: string) => AsyncIterable<Uint8Array>;
  /** Where it is counted how often an object lay there already. */
  readonly counts: CacheCounts;
}

interface Entry {
  readonly path: string;
  bytes: number;
  users: number;
  ready: Promise<void>;
  /** Goes when nobody uses it any more. */
  isDoomed: boolean;
}

/**
 * Decrypted objects as files for the query engine. Each lies at one path for as long as somebody holds it; of the others,
 * those that were used longest ago go first. What is held never goes, so that where there is no room, taking more fails.
 */
export class DecryptedCache {
  readonly #options: DecryptedCacheOptions;
  /** Used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #writes = 0;

  constructor(options: DecryptedCacheOptions) {
    this.#options = options;
  }

  pathOf(objectKey: string): string {
    return objectPath(this.#options.directory, objectKey);
  }

  /** The object that lies at a path of the cache; undefined for paths elsewhere. */
  keyAt(path: string): string | undefined {
    const name = relative(this.#options.directory, path);
    return name.startsWith('..') || name === '' ? undefined : name.split(sep).join('/');
  }

  /** Resolves when the object lies at its path; the answer lets go of it. */
  async hold(objectKey: string): Promise<() => void> {
    const known = this.#entries.get(objectKey);
    this.#options.counts.count(known !== undefined);
    const entry = known ?? this.#add(objectKey);
    this.#entries.delete(objectKey);
    this.#entries.set(objectKey, entry);
    entry.users += 1;
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      entry.users -= 1;
      if (entry.users === 0 && entry.isDoomed) this.#drop(objectKey, entry);
      else this.#makeRoom(0);
    };
    try {
      await entry.ready;
      return release;
    } catch (error) {
      entry.isDoomed = true;
      release();
      throw error;
    }
  }

  /** The object is gone. */
  forget(objectKey: string): void {
    const entry = this.#entries.get(objectKey);
    if (entry === undefined) return;
    entry.isDoomed = true;
    if (entry.users === 0) this.#drop(objectKey, entry);
  }

  #add(objectKey: string): Entry {
    const entry: Entry = { path: this.pathOf(objectKey), bytes: 0, users: 0, ready: Promise.resolve(), isDoomed: false };
    entry.ready = this.#fill(objectKey, entry);
    return entry;
  }

  async #fill(objectKey: string, entry: Entry): Promise<void> {
    const bytes = await this.#options.sizeOf(objectKey);
    const { decryptedCacheBytesMax } = this.#options.limits;
    this.#makeRoom(bytes);
    if (this.#bytes + bytes > decryptedCacheBytesMax) {
      throw new CovistaError('storage_full', 'the cache of decrypted files is full of files that are in use', { decryptedCacheBytesMax });
    }
    // Counted before it is written, so that several at once do not exceed the bound together.
    entry.bytes = bytes;
    this.#bytes += bytes;
    await this.#write(entry.path, this.#options.read(objectKey));
  }

  /** Written under another name first: at its path there is always all of it. */
  async #write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    this.#writes += 1;
    const temporary = `${path}.${this.#writes}.part`;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'wx', 0o600);
      try {
        for await (const chunk of chunks) await file.appendFile(chunk);
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await removeFile(temporary);
      throw fileFault(error);
    }
  }

  #makeRoom(bytes: number): void {
    for (const [objectKey, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.#options.limits.decryptedCacheBytesMax) return;
      if (entry.users === 0) this.#drop(objectKey, entry);
    }
  }

  /** At once and not soon: the object may be asked for again before this returns to the caller. */
  #drop(objectKey: string, entry: Entry): void {
    if (this.#entries.get(objectKey) === entry) this.#entries.delete(objectKey);
    this.#bytes -= entry.bytes;
    entry.bytes = 0;
    try {
      unlinkSync(entry.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}
