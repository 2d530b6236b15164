import { rm } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import type { Limits } from '../../../protocol/limits.ts';
import type { Logger } from '../../shared/log.ts';

/** The digests of some rows of a data file, which follow those of the part before. */
export interface DigestPart {
  readonly path: string;
  readonly rows: number;
}

/** The digests of the rows of one data file, in their order. */
export interface DigestFile {
  readonly parts: readonly DigestPart[];
  readonly bytes: number;
}

interface Kept {
  readonly file: DigestFile;
  users: number;
  isEvicted: boolean;
}

/** Digests on disk by what they are of, within bounds; those that somebody reads stay until nobody does. */
export class DigestFiles {
  readonly #kept: LRUCache<string, Kept>;
  readonly #removals = new Set<Promise<void>>();
  readonly #log: Logger;

  constructor({ diffDigestBytesMax, diffDigestFilesMax }: Limits, log: Logger) {
    this.#log = log;
    this.#kept = new LRUCache({
      // To the cache 0 would mean any number.
      max: Math.max(1, diffDigestFilesMax),
      maxSize: Math.max(1, diffDigestBytesMax),
      sizeCalculation: ({ file }) => Math.max(1, file.bytes),
      dispose: (kept) => this.#evict(kept),
    });
  }

  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  has(id: string): boolean {
    return this.#kept.has(id);
  }

  /** The digests of all these, which stay until they are released, or undefined. */
  hold(ids: readonly string[]): { readonly files: readonly DigestFile[]; release(): void } | undefined {
    if (!ids.every((id) => this.#kept.has(id))) return undefined;
    const held = ids.flatMap((id) => this.#kept.get(id) ?? []);
    for (const kept of held) kept.users += 1;
    return { files: held.map(({ file }) => file), release: () => this.#release(held) };
  }

  keep(id: string, file: DigestFile): void {
    const kept: Kept = { file, users: 0, isEvicted: false };
    this.#kept.set(id, kept);
    if (!this.#kept.has(id)) this.#evict(kept);
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.#kept.delete(id);
  }

  /** Removes all. Nobody reads them any more. */
  async close(): Promise<void> {
    this.#kept.clear();
    await this.settled();
  }

  /** Resolves when what goes has gone. */
  async settled(): Promise<void> {
    await Promise.all(this.#removals);
  }

  #release(held: readonly Kept[]): void {
    for (const kept of held) {
      kept.users -= 1;
      if (kept.isEvicted && kept.users === 0) this.#remove(kept.file.parts);
    }
  }

  #evict(kept: Kept): void {
    if (kept.isEvicted) return;
    kept.isEvicted = true;
    if (kept.users === 0) this.#remove(kept.file.parts);
  }

  #remove(parts: readonly DigestPart[]): void {
    for (const { path } of parts) {
      const removal = rm(path, { force: true })
        .catch((error: unknown) => this.#log.warn({ error, path }, 'digests of rows could not be removed'))
        .finally(() => this.#removals.delete(removal));
      this.#removals.add(removal);
    }
  }
}
