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
  /** Uploads whose tables somebody uses. */
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

export function createUploadSources({ uploads, content, staging, limits, counts, used, onGone }: UploadSourcesOptions): UploadSources {
  const removals = new Set<Promise<void>>();
  const discard = (path: string): void => {
    const removal = staging.discard(path).finally(() => removals.delete(removal));
    removals.add(removal);
  };
  const { uploadSourcesMax: sourcesMax } = limits;
  const sources = new LRUCache<UploadId, Source>({
    max: sourcesMax,
    // Tables that read the rows end first. One that failed has left nothing.
    dispose: (source, uploadId) => {
      onGone(uploadId);
      void source.made.then(({ content: { files } }) => files.map(({ path }) => discard(path)).length).catch(() => undefined);
    },
  });

  const ingest = (uploadId: UploadId, subject: string, control: Control): Promise<Made> =>
    uploads.read(uploadId, subject, control.signal, async ({ path, bytes }) => {
      const ingested = await content.ingest({ path, bytes, format: undefined, onto: undefined }, control);
      return { content: contentOf(uploadId, ingested), conversion: ingested.conversion };
    });

  /** How much of an upload is there. One that was given up, became a version or expired lets go of what was made of it. */
  const bytesOf = async (uploadId: UploadId, subject: string): Promise<number> => {
    try {
      return (await uploads.status(uploadId, subject)).offset;
    } catch (fault) {
      // To others it does not exist either, and a failure tells nothing of it.
      const isGone = fault instanceof CovistaError && fault.code === 'not_found' && sources.peek(uploadId)?.subject === subject;
      if (isGone) sources.delete(uploadId);
      throw fault;
    }
  };

  const sweep = async (): Promise<void> => {
    // What cannot be asked now is asked the next time.
    for (const [uploadId, { subject }] of [...sources.entries()]) await bytesOf(uploadId, subject).catch(() => undefined);
  };
  const sweeper = setInterval(() => void sweep(), Math.max(10, Math.min(60_000, limits.tableIdleMs / 4)));
  sweeper.unref();

  /** The one that was not used for the longest time makes room, but for those that are being made and those of tables in use. */
  const makeRoom = (): void => {
    if (sources.size < sourcesMax) return;
    const inUse = used();
    const idle = [...sources.rkeys()].find((uploadId) => sources.peek(uploadId)?.isMade === true && !inUse.has(uploadId));
    if (idle === undefined) {
      throw new CovistaError('rate_limited', `${sourcesMax} uploads are in use as tables already`, {
        uploadSourcesMax: sourcesMax,
        retryAfterMs: 1_000,
      });
    }
    sources.delete(idle);
  };

  const begin = (uploadId: UploadId, subject: string, bytes: number, control: Control): Source => {
    if (!sources.has(uploadId)) makeRoom();
    const source: Source = { subject, bytes, made: ingest(uploadId, subject, control), isMade: false };
    sources.set(uploadId, source);
    source.made.then(
      () => {
        source.isMade = true;
      },
      () => sources.peek(uploadId) === source && sources.delete(uploadId),
    );
    return source;
  };

  const sourceOf = async (uploadId: UploadId, subject: string, control: Control): Promise<Made> => {
    const bytes = await bytesOf(uploadId, subject);
    const found = sources.get(uploadId);
    counts.count(found?.bytes === bytes);
    if (found === undefined || found.bytes !== bytes) return begin(uploadId, subject, bytes, control).made;
    // Whoever began it may have gone away, which is no reason for others.
    return found.made.catch((fault: unknown) => {
      if (control.signal.aborted || !(fault instanceof CovistaError) || fault.code !== 'cancelled') throw fault;
      return sourceOf(uploadId, subject, control);
    });
  };

  return {
    sweep,
    content: async (uploadId, { subject }, control) => (await sourceOf(uploadId, subject, control)).content,
    conversion: async (uploadId, { subject }, control) => (await sourceOf(uploadId, subject, control)).conversion,
    close: async () => {
      clearInterval(sweeper);
      const all = [...sources.values()];
      sources.clear();
      await Promise.allSettled(all.map(({ made }) => made));
      await Promise.all(removals);
    },
  };
}

function contentOf(uploadId: UploadId, { schema, schemaHash, file, conversion }: Ingested): Content {
  if (file === null) {
    throw new CovistaError('unprocessable_data', 'no row of the uploaded file could be read', { uploadId, conversion });
  }
  const columns: Column[] = schema.map((column, index) => ({ ...column, columnId: index + 1 }));
  const { path, rows, sha256 } = file;
  return { schema: columns, schemaHash, rows, files: [{ path, rows, sha256, schemaHash }] };
}
