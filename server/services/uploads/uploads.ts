import { randomUUID } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';
import type { UploadId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { KeyedMutex } from '../../shared/mutex.ts';
import type { OpenedUpload, Provenance, StagedBytes, Stores, UploadRecord } from '../../storage/stores.ts';

export interface Uploads {
  begin(
    announced: { readonly bytes: number | null; readonly sha256: string | null; readonly fileName: string | null },
    provenance: Provenance,
  ): Promise<UploadRecord>;
  /** Appends a body at `offset`, which must be the upload's: `conflict` with the actual one otherwise. */
  write(uploadId: UploadId, offset: number, body: AsyncIterable<Uint8Array>, signal: AbortSignal, provenance: Provenance): Promise<UploadRecord>;
  status(uploadId: UploadId, subject: string): Promise<UploadRecord>;
  abort(uploadId: UploadId, provenance: Provenance): Promise<void>;
  /** Reads the complete upload; nothing is written to it meanwhile, and it stays. */
  read<T>(uploadId: UploadId, subject: string, signal: AbortSignal, work: (staged: StagedBytes) => Promise<T>): Promise<T>;
  /** Runs a commit of the complete upload; nothing is written to it meanwhile. Its bytes go when the commit has landed. */
  consume<T>(
    uploadId: UploadId,
    signal: AbortSignal,
    provenance: Provenance,
    commit: (upload: UploadRecord, staged: StagedBytes) => Promise<T>,
  ): Promise<T>;
}

/** Resumable uploads. Each belongs to its subject and does not exist for anybody else. */
export function createUploads({ stores, limits }: { readonly stores: Stores; readonly limits: Limits }): Uploads {
  const turns = new KeyedMutex<UploadId>();
  const { uploads } = stores.metadata;

  const owned = async (uploadId: UploadId, subject: string): Promise<UploadRecord> => {
    const upload = await uploads.get(uploadId);
    if (upload === undefined || upload.subject !== subject) throw new CovistaError('not_found', `there is no upload ${uploadId}`, { uploadId });
    return upload;
  };

  const write: Uploads['write'] = async (uploadId, offset, body, signal, provenance) => {
    const upload = await owned(uploadId, provenance.actor);
    if (upload.offset !== offset)
      throw new CovistaError('conflict', `the upload has ${upload.offset} bytes, so a write cannot start at ${offset}`, { offset: upload.offset });
    const room = Math.min(limits.uploadChunkBytesMax, (upload.bytes ?? limits.uploadBytesMax) - offset);
    const end = await stores.staging.write(uploadId, offset, body, { bytesMax: room, signal });
    return uploads.advance(uploadId, offset, end, limits.uploadKeepMs);
  };

  return {
    begin: (announced, provenance) => {
      if (announced.bytes !== null && announced.bytes > limits.uploadBytesMax) {
        throw new CovistaError('payload_too_large', `an upload may have at most ${limits.uploadBytesMax} bytes`, { bytesMax: limits.uploadBytesMax });
      }
      const upload = { uploadId: randomUUID() as string as UploadId, subject: provenance.actor, ...announced };
      return uploads.begin(upload, limits.uploadKeepMs, limits.uploadsOpenPerSubjectMax, provenance);
    },
    write: (uploadId, ...rest) => turns.run(uploadId, () => write(uploadId, ...rest)),
    status: owned,
    abort: (uploadId, provenance) =>
      turns.run(uploadId, async () => {
        await owned(uploadId, provenance.actor);
        await uploads.remove(uploadId, provenance);
        await stores.staging.removeUpload(uploadId);
      }),
    read: (uploadId, subject, signal, work) =>
      turns.run(uploadId, async () => {
        const upload = await owned(uploadId, subject);
        const staged = await complete(stores, upload, signal);
        try {
          return await work(staged);
        } finally {
          await staged.release();
        }
      }),
    consume: (uploadId, signal, provenance, commit) =>
      turns.run(uploadId, async () => {
        const upload = await owned(uploadId, provenance.actor);
        const staged = await complete(stores, upload, signal);
        try {
          // The upload must not expire while it is being converted.
          await uploads.advance(uploadId, upload.offset, upload.offset, limits.uploadKeepMs);
          const result = await commit(upload, staged);
          await stores.staging.removeUpload(uploadId);
          return result;
        } finally {
          await staged.release();
        }
      }),
  };
}

/** The bytes of an upload that has all it announced. */
async function complete(stores: Stores, upload: UploadRecord, signal: AbortSignal): Promise<OpenedUpload> {
  if (upload.bytes !== null && upload.offset !== upload.bytes) {
    throw new CovistaError('conflict', `the upload has ${upload.offset} of ${upload.bytes} bytes`, { offset: upload.offset, bytes: upload.bytes });
  }
  if (upload.offset === 0) throw new CovistaError('unprocessable_data', 'the upload is empty', { uploadId: upload.uploadId });
  const staged = await stores.staging.open(upload.uploadId, upload.offset, signal);
  if (upload.sha256 !== null && upload.sha256 !== staged.sha256) {
    await staged.release();
    throw new CovistaError('unprocessable_data', 'the bytes that arrived have another hash than announced', {
      expected: upload.sha256,
      actual: staged.sha256,
    });
  }
  return staged;
}
