import { randomBytes } from 'node:crypto';
import { mkdir, rm, statfs } from 'node:fs/promises';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import type { Logger } from '../../shared/log.ts';
import type { Content } from '../content-store.ts';
import type { ObjectStore } from '../stores.ts';
import type { Broker } from './broker.ts';
import type { DiffPlan } from './diff-plan.ts';
import { DigestFiles } from './digest-files.ts';
import { makeDigests } from './digest-making.ts';
import { type Digestible, type DigestPlan, digestibleFiles, digestibleFilesOf, planDigests } from './digest-plan.ts';

export interface RowDigestOptions {
  readonly broker: Broker;
  readonly limits: Limits;
  /** Is made when it is needed; nobody else writes to it. */
  readonly directory: string;
  readonly lease: ObjectStore['lease'];
  readonly log: Logger;
  /** Counts the large diffs by key that had digests, and that had to read cells. */
  readonly counts: CacheCounts;
}

/** What digests wait to be made, in data files, and what those that are there take on disk. */
export interface DigestLoad {
  readonly pending: number;
  readonly bytes: number;
}

/** The rows of a plan as digests, which stay until they are released. */
export interface HeldDigests {
  readonly digests: DigestPlan;
  /** They could not be read: nobody gets them again. */
  forget(): void;
  release(): void;
}

/** A secret that nobody can guess; as a text, because what is digested is one. */
const SECRET_BYTES = 16;
/** What a row takes, roughly: its digest, and a number or a short text for each column of the key. */
const ROW_BYTES = { digest: 16, key: 8 };
/** Digests only spare time, so they leave most of the room that is left to what is needed. */
const SHARE_OF_FREE = 0.25;

/**
 * Digests of the rows of large data files, by which the next diff finds what differs without reading cells. They are kept while
 * this process runs, and tell cells apart only because nobody else knows its secret: the engine's own hashes can be made to collide.
 */
export class RowDigests {
  readonly #options: RowDigestOptions;
  readonly #files: DigestFiles;
  readonly #secret = randomBytes(SECRET_BYTES).toString('base64url');
  /** By id, in the order in which they are made; the first is being made. */
  readonly #pending = new Map<string, Digestible>();
  readonly #abort = new AbortController();
  #making: Promise<void> | undefined;

  constructor(options: RowDigestOptions) {
    this.#options = options;
    this.#files = new DigestFiles(options.limits, options.log);
  }

  get load(): DigestLoad {
    return { pending: this.#pending.size, bytes: this.#files.bytes };
  }

  /** Undefined where cells have to be compared. */
  hold(plan: DiffPlan): HeldDigests | undefined {
    const wanted = digestibleFiles(plan);
    const [first] = wanted?.from ?? [];
    if (wanted === undefined || first === undefined) return undefined;
    const ids = [...wanted.from, ...wanted.to].map(({ id }) => id);
    const held = this.#files.hold(ids);
    if (this.#isLarge(plan)) this.#options.counts.count(held !== undefined);
    if (held === undefined) return undefined;
    const files = { from: held.files.slice(0, wanted.from.length), to: held.files.slice(wanted.from.length) };
    return { digests: planDigests(first.recipe, files), forget: () => this.#files.forget(ids), release: held.release };
  }

  /** Has the digests made that a large plan lacked, when there is time and as far as there is room. */
  request(plan: DiffPlan): void {
    const wanted = this.#isLarge(plan) ? digestibleFiles(plan) : undefined;
    if (wanted !== undefined) this.#want([...wanted.from, ...wanted.to]);
  }

  /** Has the digests of large files of a version made before anybody compares it, when there is time and as far as there is room. */
  prepare(content: Content, key: readonly string[]): void {
    this.#want(digestibleFilesOf(content, key).filter(({ source }) => source.content.rows >= this.#options.limits.diffDigestRowsMin));
  }

  #want(all: readonly Digestible[]): void {
    if (this.#abort.signal.aborted) return;
    const { diffDigestBytesMax, diffDigestFilesMax, diffDigestQueueMax } = this.#options.limits;
    const missing = all.filter(({ id }) => !this.#files.has(id) && !this.#pending.has(id));
    // A part of them is of no use.
    if (all.length > diffDigestFilesMax || this.#pending.size + missing.length > diffDigestQueueMax) return;
    if (all.reduce((sum, each) => sum + bytesOf(each), 0) > diffDigestBytesMax) return;
    for (const each of missing) this.#pending.set(each.id, each);
    if (this.#pending.size > 0) this.#making ??= this.#makeAll();
  }

  /** Resolves when nothing waits to be made, and what found no room has gone. */
  async idle(): Promise<void> {
    await this.#making;
    await this.#files.settled();
  }

  /** Stops what is being made and removes all. Nobody reads them any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#making;
    await this.#files.close();
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  /** Without digests, a diff of it takes long. */
  #isLarge({ from, to }: DiffPlan): boolean {
    return from.differing.content.rows + to.differing.content.rows >= this.#options.limits.diffDigestRowsMin;
  }

  async #makeAll(): Promise<void> {
    for (const [id, digestible] of this.#pending) {
      if (!this.#abort.signal.aborted) await this.#make(digestible);
      this.#pending.delete(id);
    }
    this.#making = undefined;
  }

  async #make(digestible: Digestible): Promise<void> {
    const { broker, limits, lease, directory, log } = this.#options;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      if (!(await hasRoom(directory, bytesOf(digestible)))) return log.warn('digests of rows are not made, because little room is left');
      const making = { broker, limits, lease, directory, secret: this.#secret };
      this.#files.keep(digestible.id, await makeDigests(making, digestible, this.#abort.signal));
    } catch (error) {
      // The data of a version may be removed at any time, and the server may stop.
      if (this.#abort.signal.aborted || (error instanceof CovistaError && error.code === 'not_found')) return;
      log.warn({ error }, 'digests of rows could not be made');
    }
  }
}

function bytesOf({ recipe, source }: Digestible): number {
  return source.content.rows * (ROW_BYTES.digest + ROW_BYTES.key * recipe.key.length);
}

async function hasRoom(directory: string, bytes: number): Promise<boolean> {
  const { bavail, bsize } = await statfs(directory);
  return bytes <= bavail * bsize * SHARE_OF_FREE;
}
