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
type DatasetInput = Parameters<Methods['upload']['createDataset']>[0];
type Committed = Awaited<ReturnType<Methods['upload']['commit']>>;

/** Which dataset the file goes to and how, as `upload.commit` takes it; or the dataset that is made of it, as `upload.createDataset` takes it. */
type Destination = Only<Omit<CommitInput, 'uploadId' | 'sha256'>, DatasetInput> | Only<Omit<DatasetInput, 'uploadId' | 'sha256'>, CommitInput>;

/** One of two inputs: fields that only the other one has are none of it, so that a mixture does not compile. */
type Only<One, Other> = One & { readonly [Field in Exclude<keyof Other, keyof One | 'uploadId' | 'sha256'>]?: undefined };

export type FileOptions = Destination & SendOptions;

/** How the file is sent. */
interface SendOptions {
  /** Size of the file, where the source does not know it; shown as the total of the progress. */
  readonly bytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the bytes that the server has (phase `upload`), then how far the commit is. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /**
   * Told the id of the upload before anything is sent. Who keeps it can resume the upload, also from another program; therefore one
   * that fails is left to the server then, which removes it when it expires. `upload.abort` gives it up.
   */
  readonly onUpload?: ((uploadId: string) => void) | undefined;
  /**
   * An upload of the same file that was begun before and failed: what the server has already is read and hashed, but not sent
   * again. When its commit had landed after all, the answer is that version. It is left to the server when it fails again.
   */
  readonly resume?: string | undefined;
  /** Another SHA-256 than the client's own, such as a faster one. */
  readonly createHash?: (() => GrowingHash) | undefined;
}

interface UploadRequest {
  readonly methods: Methods;
  readonly settings: ClientSettings;
  readonly source: FileSource;
  readonly options: FileOptions;
}

export async function uploadFile(request: UploadRequest): Promise<Committed> {
  const { methods, settings, source, options } = request;
  const { bytes = knownBytes(source), signal, onProgress, onUpload, resume, createHash = createSha256, ...destination } = options;
  const pieces = iterate(source);
  const upload = resume === undefined ? await begin(request, bytes) : await standing(request, resume);
  const { uploadId } = upload;
  onUpload?.(uploadId);
  try {
    const sha256 = await writeChunks(pieces, {
      methods,
      uploadId,
      had: upload.offset,
      chunkBytes: Math.min(settings.uploadChunkBytes, upload.chunkBytesMax),
      hash: createHash(),
      signal,
      written: (done) => onProgress?.({ phase: 'upload', done, total: bytes ?? null, unit: 'bytes' }),
    });
    const idempotencyKey = `upload.commit ${uploadId}`;
    const sent = { signal, onProgress, idempotencyKey };
    if (destination.datasetId !== undefined) return await methods.upload.commit({ ...destination, uploadId, sha256 }, sent);
    return await methods.upload.createDataset({ ...destination, uploadId, sha256 }, sent);
  } catch (error) {
    // The caller needs the first error; an upload that cannot be aborted expires by itself.
    if (resume === undefined && onUpload === undefined) await methods.upload.abort({ uploadId }).catch(() => undefined);
    throw error;
  }
}

/** What is known of an upload before bytes are sent. */
interface Upload {
  readonly uploadId: string;
  /** Bytes that the server has. */
  readonly offset: number;
  readonly chunkBytesMax: number;
}

function begin({ methods, source, options }: UploadRequest, bytes: number | undefined): Promise<Upload> {
  const fileName = options.fileName ?? (source instanceof File ? source.name : undefined);
  return methods.upload.begin({ bytes, fileName }, { signal: options.signal });
}

/** An upload that is not there any more has ended with its commit or expired: the commit tells which, and needs no bytes for that. */
async function standing({ methods, settings, options }: UploadRequest, uploadId: string): Promise<Upload> {
  try {
    return await methods.upload.status({ uploadId }, { signal: options.signal });
  } catch (error) {
    if (!(error instanceof CovistaError) || error.code !== 'not_found') throw error;
    return { uploadId, offset: Number.POSITIVE_INFINITY, chunkBytesMax: settings.uploadChunkBytes };
  }
}

function knownBytes(source: FileSource): number | undefined {
  if (source instanceof Blob) return source.size;
  return source instanceof Uint8Array ? source.length : undefined;
}

interface ChunkTarget {
  readonly methods: Methods;
  readonly uploadId: string;
  /** Bytes that the server had before. */
  readonly had: number;
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
  if (offset < target.had && target.had !== Number.POSITIVE_INFINITY) {
    throw new CovistaError('conflict', `the upload has ${target.had} bytes, and the file only ${offset}: it is another file`, { offset: target.had });
  }
  return hexadecimal(target.hash.digest());
}

/** Writes a chunk; after a lost connection the server may have all or a part of it already, and says how much. */
async function writeChunk(chunk: Uint8Array, offset: number, { methods, uploadId, had, signal, written }: ChunkTarget): Promise<void> {
  const end = offset + chunk.length;
  for (let at = Math.max(offset, had); at < end; ) {
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
