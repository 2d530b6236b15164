import { CovistaError } from '../protocol/errors.ts';
import { concatenate } from '../protocol/fragments.ts';
import type { Progress } from '../protocol/frame.ts';
import { type BodySource, iterate } from './body.ts';
import { createSha256, type GrowingHash, hexadecimal } from './hash.ts';
import type { ClientSettings } from './settings.ts';
import type { Methods } from './types.ts';

/** A file: bytes, a Blob or File, a stream, or pieces of any size. */
export type FileSource = BodySource;

type CommitInput = Parameters<Methods['upload']['commit']>[0];
type Committed = Awaited<ReturnType<Methods['upload']['commit']>>;

/** Where the file goes and how it is committed, as `upload.commit` takes it. */
export interface FileOptions extends Omit<CommitInput, 'uploadId' | 'sha256'> {
  /** Size of the file, where the source does not know it; shown as the total of the progress. */
  readonly bytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes that the server has (phase `upload`), then how far the commit is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Another SHA-256 than the client's own, such as a faster one. */
  readonly createHash?: (() => GrowingHash) | undefined;
}

interface UploadRequest {
  readonly methods: Methods;
  readonly settings: ClientSettings;
  readonly source: FileSource;
  readonly options: FileOptions;
}

export async function uploadFile({ methods, settings, source, options }: UploadRequest): Promise<Committed> {
  const { bytes = knownBytes(source), signal, onProgress, createHash = createSha256, ...commit } = options;
  const fileName = commit.fileName ?? (source instanceof File ? source.name : undefined);
  const upload = await methods.upload.begin({ bytes, fileName }, { signal });
  const { uploadId } = upload;
  try {
    const sha256 = await writeChunks(iterate(source), {
      methods,
      uploadId,
      chunkBytes: Math.min(settings.uploadChunkBytes, upload.chunkBytesMax),
      hash: createHash(),
      signal,
      written: (done) => onProgress?.({ phase: 'upload', done, total: bytes ?? null, unit: 'bytes' }),
    });
    return await methods.upload.commit({ ...commit, uploadId, sha256 }, { signal, onProgress });
  } catch (error) {
    // The caller needs the first error; an upload that cannot be aborted expires by itself.
    await methods.upload.abort({ uploadId }).catch(() => undefined);
    throw error;
  }
}

function knownBytes(source: FileSource): number | undefined {
  if (source instanceof Blob) return source.size;
  return source instanceof Uint8Array ? source.length : undefined;
}

interface ChunkTarget {
  readonly methods: Methods;
  readonly uploadId: string;
  readonly chunkBytes: number;
  readonly hash: GrowingHash;
  readonly signal: AbortSignal | undefined;
  /** Told how many bytes the server has. */
  readonly written: (bytes: number) => void;
}

/** Writes everything and answers with its hash. While the server makes a chunk durable, the next is read and hashed. */
async function writeChunks(pieces: AsyncIterable<Uint8Array>, target: ChunkTarget): Promise<string> {
  let writing = Promise.resolve();
  let offset = 0;
  try {
    for await (const chunk of chunksOf(pieces, target.chunkBytes)) {
      target.hash.update(chunk);
      await writing;
      writing = writeChunk(chunk, offset, target);
      // It is awaited above or below; until then a failure must not count as one that nobody handles.
      writing.catch(() => undefined);
      offset += chunk.length;
    }
  } finally {
    await writing;
  }
  return hexadecimal(target.hash.digest());
}

/** Writes a chunk; after a lost connection the server may have all or a part of it already, and says how much. */
async function writeChunk(chunk: Uint8Array, offset: number, { methods, uploadId, signal, written }: ChunkTarget): Promise<void> {
  const end = offset + chunk.length;
  for (let at = offset; at < end; ) {
    try {
      ({ offset: at } = await methods.upload.write({ uploadId, offset: at }, { body: chunk.subarray(at - offset), signal }));
    } catch (error) {
      if (!(error instanceof CovistaError) || error.code !== 'conflict') throw error;
      const status = await methods.upload.status({ uploadId }, { signal });
      // An upload that stands where this write began would be refused again, and one outside of the chunk is not ours.
      if (status.offset <= at || status.offset > end) throw error;
      at = status.offset;
    }
  }
  written(end);
}

/** The same bytes in chunks of one size; only the last may be smaller. */
async function* chunksOf(pieces: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + chunkBytes - heldBytes);
      held.push(part);
      heldBytes += part.length;
      at += part.length;
      if (heldBytes < chunkBytes) continue;
      yield concatenate(held);
      held = [];
      heldBytes = 0;
    }
  }
  if (heldBytes > 0) yield concatenate(held);
}
