import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import type { Control } from '../content-store.ts';

/** A rendered file and who is using it. */
interface Entry {
  readonly path: string;
  readonly rendering: Promise<number>;
  readonly abort: AbortController;
  /** Undefined until it is rendered. */
  bytes: number | undefined;
  users: number;
}

/** Rendered files by key, at most so many bytes of those that nobody reads; the ones used longest ago go first. */
export class ExportCache {
  readonly #directory: string;
  readonly #limits: Limits;
  readonly #counts: CacheCounts;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #renderings = 0;

  constructor(directory: string, limits: Limits, counts: CacheCounts) {
    this.#counts = counts;
    this.#directory = directory;
    this.#limits = limits;
  }

  /** Empties the directory: what an earlier process rendered is not known any more. */
  async open(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** The file of a key, rendered by the first who asks. `release` must be called once. */
  async use(
    key: string,
    control: Control,
    render: (path: string, control: Control) => Promise<void>,
  ): Promise<{ path: string; bytes: number; release: () => void }> {
    this.#counts.count(this.#entries.has(key));
    const entry = this.#entries.get(key) ?? this.#start(key, control, render);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users += 1;
    const release = once(() => this.#release(key, entry));
    try {
      return { path: entry.path, bytes: await untilAborted(entry.rendering, control.signal), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #start(key: string, control: Control, render: (path: string, control: Control) => Promise<void>): Entry {
    // Each rendering has a name of its own: one that was dropped may still be on its way out.
    this.#renderings += 1;
    const path = join(this.#directory, `${key}-${this.#renderings}`);
    const abort = new AbortController();
    const rendering = render(path, { ...control, signal: abort.signal }).then(async () => (await stat(path)).size);
    const entry: Entry = { path, rendering, abort, bytes: undefined, users: 0 };
    rendering.then(
      (bytes) => {
        if (this.#entries.get(key) !== entry) return this.#drop(key, entry);
        entry.bytes = bytes;
        this.#evict();
      },
      () => this.#drop(key, entry),
    );
    return entry;
  }

  #release(key: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (entry.bytes === undefined) {
      // Nobody waits for it any more; its file goes when the rendering has failed.
      entry.abort.abort();
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    } else {
      this.#evict();
    }
  }

  #evict(): void {
    let bytes = [...this.#entries.values()].reduce((sum, entry) => sum + (entry.bytes ?? 0), 0);
    for (const [key, entry] of this.#entries) {
      if (bytes <= this.#limits.exportCacheBytesMax) return;
      if (entry.users > 0) continue;
      bytes -= entry.bytes ?? 0;
      this.#drop(key, entry);
    }
  }

  #drop(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    void rm(entry.path, { force: true });
  }
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw new CovistaError('cancelled', 'the download was cancelled');
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(new CovistaError('cancelled', 'the download was cancelled'));
  signal.addEventListener('abort', onAbort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
