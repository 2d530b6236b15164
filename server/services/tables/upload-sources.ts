import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import type { UploadId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { CacheCounts } from '../../shared/cache-counts.ts';
import type { Content, ContentStore, Control, Ingested } from '../../storage/content-store.ts';
import type { Column, Conversion, StagingStore } from '../../storage/stores.ts';
import type { Actor } from '../access/actor.ts';
import type { Uploads } from '../uploads/uploads.ts';

/** Uploaded files as tables are made of them. They are their owner's, and last as long as the upload. */
export interface UploadSources {
  /** The rows of a complete upload; `not_found` to anybody but its owner, `unprocessable_data` where they cannot be read. */
  content(uploadId: UploadId, actor: Actor, control: Control): Promise<Content>;
  /** Which rows of it could not be read. */
  conversion(uploadId: UploadId, actor: Actor, control: Control): Promise<Conversion>;
  /** Lets go of what was made of uploads that are no more. */
  sweep(): Promise<void>;
  /** Removes what was made of uploads. */
  close(): Promise<void>;
}

interface UploadSourcesOptions {
  readonly uploads: Pick<Uploads, 'status' | 'read'>;
  readonly content: Pick<ContentStore, 'ingest'>;
  readonly staging: Pick<StagingStore, 'discard'>;
  readonly limits: Pick<Limits, 'uploadSourcesMax' | 'tableIdleMs'>;
  /** Where it is counted how often what an upload became was there. */
  readonly counts: CacheCounts;
  /** Uploads whose tables somebody uses, or that are being loaded. */
  readonly used: () => ReadonlySet<UploadId>;
  /** Told of uploads whose rows are about to be removed. */
  readonly onGone: (uploadId: UploadId) => void;
}

/** What an upload became, of the bytes that it had then. */
interface Source {
  readonly subject: string;
  readonly bytes: number;
  readonly made: Promise<Made>;
  isMade: boolean;
}

interface Made {
  readonly content: Content;
  readonly conversion: Conversion;
}

export function createUploadSources(options: UploadSourcesOptions): UploadSources {
  const kept = new KeptSources(options);
  const sweeper = setInterval(() => void kept.sweep(), Math.max(10, Math.min(60_000, options.limits.tableIdleMs / 4)));
  sweeper.unref();
  return {
    sweep: () => kept.sweep(),
    content: async (uploadId, { subject }, control) => (await kept.made(uploadId, subject, control)).content,
    conversion: async (uploadId, { subject }, control) => (await kept.made(uploadId, subject, control)).conversion,
    close: async () => {
      clearInterval(sweeper);
      await kept.close();
    },
  };
}

/** What uploads became, by upload; the one that was not used for the longest time makes room. */
class KeptSources {
  readonly #options: UploadSourcesOptions;
  readonly #sources: LRUCache<UploadId, Source>;
  readonly #removals = new Set<Promise<void>>();

  constructor(options: UploadSourcesOptions) {
    this.#options = options;
    this.#sources = new LRUCache<UploadId, Source>({
      max: options.limits.uploadSourcesMax,
      // Tables that read the rows end first. One that failed has left nothing.
      dispose: (source, uploadId) => {
        options.onGone(uploadId);
        void source.made.then(({ content: { files } }) => files.map(({ path }) => this.#discard(path)).length).catch(() => undefined);
      },
    });
  }

  /** What an upload became, of the bytes that it has. */
  async made(uploadId: UploadId, subject: string, control: Control): Promise<Made> {
    const bytes = await this.#bytesOf(uploadId, subject);
    const found = this.#sources.get(uploadId);
    this.#options.counts.count(found?.bytes === bytes);
    if (found === undefined || found.bytes !== bytes) return this.#begin(uploadId, { subject, bytes }, control).made;
    // Whoever began it may have gone away, which is no reason for others.
    return found.made.catch((fault: unknown) => {
      if (control.signal.aborted || !(fault instanceof CovistaError) || fault.code !== 'cancelled') throw fault;
      return this.made(uploadId, subject, control);
    });
  }

  async sweep(): Promise<void> {
    // What cannot be asked now is asked the next time.
    for (const [uploadId, { subject }] of [...this.#sources.entries()]) await this.#bytesOf(uploadId, subject).catch(() => undefined);
  }

  async close(): Promise<void> {
    const all = [...this.#sources.values()];
    this.#sources.clear();
    await Promise.allSettled(all.map(({ made }) => made));
    await Promise.all(this.#removals);
  }

  /** How much of an upload is there. One that was given up, became a version or expired lets go of what was made of it. */
  async #bytesOf(uploadId: UploadId, subject: string): Promise<number> {
    try {
      return (await this.#options.uploads.status(uploadId, subject)).offset;
    } catch (fault) {
      // To others it does not exist either, and a failure tells nothing of it.
      const isGone = fault instanceof CovistaError && fault.code === 'not_found' && this.#sources.peek(uploadId)?.subject === subject;
      if (isGone) this.#sources.delete(uploadId);
      throw fault;
    }
  }

  #begin(uploadId: UploadId, of: Pick<Source, 'subject' | 'bytes'>, control: Control): Source {
    if (!this.#sources.has(uploadId)) this.#makeRoom();
    const source: Source = { ...of, made: this.#ingest(uploadId, of.subject, control), isMade: false };
    this.#sources.set(uploadId, source);
    source.made.then(
      () => {
        source.isMade = true;
      },
      () => this.#sources.peek(uploadId) === source && this.#sources.delete(uploadId),
    );
    return source;
  }

  #ingest(uploadId: UploadId, subject: string, control: Control): Promise<Made> {
    const { uploads, content } = this.#options;
    return uploads.read(uploadId, subject, control.signal, async ({ path, bytes }) => {
      const ingested = await content.ingest({ path, bytes, format: undefined, onto: undefined }, control);
      return { content: contentOf(uploadId, ingested), conversion: ingested.conversion };
    });
  }

  /** But for those that are being made and those of tables in use. */
  #makeRoom(): void {
    const { limits, used } = this.#options;
    const { uploadSourcesMax } = limits;
    if (this.#sources.size < uploadSourcesMax) return;
    const inUse = used();
    const idle = [...this.#sources.rkeys()].find((uploadId) => this.#sources.peek(uploadId)?.isMade === true && !inUse.has(uploadId));
    if (idle === undefined) {
      const message = `${uploadSourcesMax} uploads are in use as tables already`;
      throw new CovistaError('rate_limited', message, { uploadSourcesMax, retryAfterMs: 1_000 });
    }
    this.#sources.delete(idle);
  }

  #discard(path: string): void {
    const removal = this.#options.staging.discard(path).finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }
}

function contentOf(uploadId: UploadId, { schema, schemaHash, file, conversion }: Ingested): Content {
  if (file === null) {
    throw new CovistaError('unprocessable_data', 'no row of the uploaded file could be read', { uploadId, conversion });
  }
  const columns: Column[] = schema.map((column, index) => ({ ...column, columnId: index + 1 }));
  const { path, rows, sha256 } = file;
  return { schema: columns, schemaHash, rows, files: [{ path, rows, sha256, schemaHash }] };
}
