import { rm } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import type { Limits } from '../../../protocol/limits.ts';
import { abortError, throwIfAborted } from '../../shared/abort.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import type { Logger } from '../../shared/log.ts';
import type { Control, OnProgress } from '../content-store.ts';
import type { ComputedDiff } from './diff-compute.ts';

interface Kept {
  readonly computed: ComputedDiff;
  users: number;
  isEvicted: boolean;
}

interface Waiter {
  readonly onProgress: OnProgress | undefined;
}

interface Running {
  readonly id: string;
  readonly result: Promise<Kept>;
  readonly abort: AbortController;
  readonly waiters: Set<Waiter>;
  /** Set at the moment when the result is there; from then on each waiter counts as a user of it. */
  kept: Kept | undefined;
}

type Compute = (control: Required<Control>) => Promise<ComputedDiff>;

/** Computed diffs by plan. Equal requests share one computation, which stops when the last that waits for it has gone. */
export class DiffResults {
  readonly #kept: LRUCache<string, Kept>;
  readonly #running = new Map<string, Running>();
  readonly #removals = new Set<Promise<void>>();
  readonly #log: Logger;
  readonly #counts: CacheCounts;

  constructor({ limits, log, counts }: { readonly limits: Limits; readonly log: Logger; readonly counts: CacheCounts }) {
    this.#log = log;
    this.#counts = counts;
    this.#kept = new LRUCache({
      max: limits.diffResultsMax,
      maxSize: limits.diffResultBytesMax,
      sizeCalculation: ({ computed }) => Math.max(1, computed.bytes),
      dispose: (kept) => this.#evict(kept),
    });
  }

  /** Works with a result, whose file stays until the work has ended. */
  async use<T>(id: string, control: Control, work: (computed: ComputedDiff) => Promise<T>, compute: Compute): Promise<T> {
    throwIfAborted(control.signal);
    this.#counts.count(this.#kept.has(id) || this.#running.has(id));
    const kept = this.#take(id) ?? (await this.#wait(this.#running.get(id) ?? this.#start(id, compute), control));
    try {
      return await work(kept.computed);
    } finally {
      this.#release(kept);
    }
  }

  /** Stops what is being computed and removes every result. */
  async close(): Promise<void> {
    const running = [...this.#running.values()];
    for (const { abort } of running) abort.abort();
    await Promise.allSettled(running.map(({ result }) => result));
    this.#kept.clear();
    await Promise.all(this.#removals);
  }

  #take(id: string): Kept | undefined {
    const kept = this.#kept.get(id);
    if (kept !== undefined) kept.users += 1;
    return kept;
  }

  #release(kept: Kept): void {
    kept.users -= 1;
    if (kept.isEvicted && kept.users === 0) this.#remove(kept);
  }

  #start(id: string, compute: Compute): Running {
    const abort = new AbortController();
    const waiters = new Set<Waiter>();
    const onProgress: OnProgress = (progress) => {
      for (const waiter of waiters) waiter.onProgress?.(progress);
    };
    const settle = async (): Promise<Kept> => {
      try {
        const kept: Kept = { computed: await compute({ signal: abort.signal, onProgress }), users: waiters.size, isEvicted: false };
        running.kept = kept;
        this.#keep(id, kept);
        return kept;
      } finally {
        this.#forget(running);
      }
    };
    const running: Running = { id, result: Promise.resolve().then(settle), abort, waiters, kept: undefined };
    this.#running.set(id, running);
    return running;
  }

  #wait(running: Running, { signal, onProgress }: Control): Promise<Kept> {
    const waiter: Waiter = { onProgress };
    running.waiters.add(waiter);
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(running, waiter);
        reject(abortError(signal));
      };
      signal.addEventListener('abort', leave, { once: true });
      const forget = (): void => signal.removeEventListener('abort', leave);
      running.result.then(
        (kept) => {
          forget();
          resolve(kept);
        },
        (error: unknown) => {
          forget();
          reject(error);
        },
      );
    });
  }

  #leave(running: Running, waiter: Waiter): void {
    running.waiters.delete(waiter);
    if (running.kept !== undefined) this.#release(running.kept);
    else if (running.waiters.size === 0) {
      this.#forget(running);
      running.abort.abort();
    }
  }

  #forget(running: Running): void {
    if (this.#running.get(running.id) === running) this.#running.delete(running.id);
  }

  #keep(id: string, kept: Kept): void {
    this.#kept.set(id, kept);
    // One that is larger than all may be together serves those who wait for it and goes.
    if (!this.#kept.has(id)) this.#evict(kept);
  }

  #evict(kept: Kept): void {
    kept.isEvicted = true;
    if (kept.users === 0) this.#remove(kept);
  }

  #remove({ computed: { path } }: Kept): void {
    if (path === null) return;
    const removal = rm(path, { force: true })
      .catch((error: unknown) => this.#log.warn({ error, path }, 'a diff result could not be removed'))
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}
