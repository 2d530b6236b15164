import { randomUUID } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { UploadId } from '../../../protocol/ids.ts';
import { assert } from '../../shared/assert.ts';
import type { StagingStore } from '../stores.ts';
import { fileFault } from './fault.ts';
import { removeFile } from './remove.ts';
import { plainSize, readFileKey, readSealed, writeSealed } from './sealed.ts';
import { bounded, createStaging, UPLOAD_ID, type WorkDirectories, type WriteOptions } from './staging.ts';
import { syncDirectory } from './sync.ts';

/** Shorter segments are joined with what comes next, so that many small writes do not become many files. */
const SEGMENT_BYTES_MIN = 1024 * 1024;
const SEGMENT = /^\d+$/;

/** The bytes of one write or of several small ones, encrypted, in a file that is named by where they begin. */
interface Segment {
  readonly start: number;
  readonly bytes: number;
}

/** Where a segment goes. */
interface Place {
  readonly uploadId: UploadId;
  readonly start: number;
  readonly directory: string;
}

/** The name of the directory of an upload that is being sealed. */
const SEALING = '.sealing';

/**
 * Staged files as they are, in the private staging area, because the query engine reads them; uploads encrypted, because
 * they may lie for a day. An upload is a directory of segments, each of which appears whole or not at all.
 */
export async function createEncryptedStaging(directories: Pick<WorkDirectories, 'staging' | 'uploads'>, key: Uint8Array): Promise<StagingStore> {
  const plain = createStaging(directories);
  const uploads = new SealedUploads(directories.uploads, key);
  await uploads.adoptPlain();
  return {
    ...plain,
    write: (uploadId, offset, body, options) => uploads.write(uploadId, offset, body, options),
    open: async (uploadId, bytes, signal) => {
      const staged = await plain.stage(uploads.read(uploadId, bytes), { bytesMax: bytes, signal });
      return { ...staged, release: () => plain.discard(staged.path) };
    },
    removeUpload: (uploadId) => uploads.remove(uploadId),
  };
}

class SealedUploads {
  readonly #directory: string;
  readonly #key: Uint8Array;

  constructor(directory: string, key: Uint8Array) {
    this.#directory = directory;
    this.#key = key;
  }

  async write(uploadId: UploadId, offset: number, body: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<number> {
    try {
      await mkdir(this.#pathOf(uploadId), { recursive: true, mode: 0o700 });
      const segments = await this.#segments(uploadId);
      const before = segments.findLast(({ start }) => start < offset);
      const kept = before === undefined ? 0 : offset - before.start;
      assert(kept <= (before?.bytes ?? 0), `the upload ${uploadId} has the bytes before ${offset}`);
      const isJoined = before !== undefined && (kept < before.bytes || kept < SEGMENT_BYTES_MIN);
      const start = isJoined ? before.start : offset;
      const parts = isJoined ? [this.#readSegment(uploadId, start, kept), bounded(body, options)] : [bounded(body, options)];
      const bytes = await this.#put({ uploadId, start, directory: this.#pathOf(uploadId) }, concatenated(parts));
      for (const segment of segments)
        if (segment.start >= offset && segment.start !== start) await removeFile(this.#segmentPath(uploadId, segment.start));
      return start + bytes;
    } catch (error) {
      throw fileFault(error);
    }
  }

  /** The first bytes of an upload, which it has. */
  async *read(uploadId: UploadId, bytes: number): AsyncGenerator<Uint8Array> {
    let position = 0;
    for (const { start, bytes: length } of await this.#segments(uploadId)) {
      if (position >= bytes) return;
      assert(start === position, `the upload ${uploadId} has no gap at ${position}`);
      const wanted = Math.min(length, bytes - position);
      yield* this.#readSegment(uploadId, start, wanted);
      position += wanted;
    }
    assert(position === bytes, `the upload ${uploadId} has ${bytes} bytes`);
  }

  async remove(uploadId: UploadId): Promise<void> {
    await rm(this.#pathOf(uploadId), { recursive: true, force: true });
  }

  /** Seals uploads that were begun before encryption was turned on; what a killed server left half done is done anew, or ended. */
  async adoptPlain(): Promise<void> {
    for (const { name } of (await this.#entries()).filter((entry) => entry.isFile() && UPLOAD_ID.test(entry.name))) {
      const sealing = `${this.#pathOf(name as UploadId)}${SEALING}`;
      await rm(sealing, { recursive: true, force: true });
      await mkdir(sealing, { mode: 0o700 });
      await this.#put({ uploadId: name as UploadId, start: 0, directory: sealing }, createReadStream(this.#pathOf(name as UploadId)));
      await removeFile(this.#pathOf(name as UploadId));
    }
    for (const { name } of (await this.#entries()).filter((entry) => entry.name.endsWith(SEALING))) {
      await rename(join(this.#directory, name), join(this.#directory, name.slice(0, -SEALING.length)));
    }
  }

  #entries(): Promise<Dirent[]> {
    return readdir(this.#directory, { withFileTypes: true });
  }

  #pathOf(uploadId: UploadId): string {
    assert(UPLOAD_ID.test(uploadId), 'an upload id is malformed');
    return join(this.#directory, uploadId);
  }

  readonly #segmentPath = (uploadId: UploadId, start: number): string => join(this.#pathOf(uploadId), String(start));
  readonly #nameOf = (uploadId: UploadId, start: number): string => `upload ${uploadId} ${start}`;

  async #segments(uploadId: UploadId): Promise<Segment[]> {
    const names = (await readdir(this.#pathOf(uploadId))).filter((name) => SEGMENT.test(name));
    const segments = names.map(async (name) => ({
      start: Number(name),
      bytes: plainSize((await stat(join(this.#pathOf(uploadId), name))).size).bytes,
    }));
    return (await Promise.all(segments)).sort((one, other) => one.start - other.start);
  }

  async *#readSegment(uploadId: UploadId, start: number, bytes: number): AsyncGenerator<Uint8Array> {
    const handle = await open(this.#segmentPath(uploadId, start), 'r');
    try {
      yield* readSealed(handle, await readFileKey(handle, this.#key, this.#nameOf(uploadId, start)), { start: 0, end: bytes });
    } finally {
      await handle.close();
    }
  }

  /** Writes a segment durably; answers with its bytes. A failure leaves what was there. */
  async #put({ uploadId, start, directory }: Place, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    const part = join(directory, `${randomUUID()}.part`);
    const handle = await open(part, 'wx', 0o600);
    try {
      const bytes = await writeSealed(handle, { wrappingKey: this.#key, name: this.#nameOf(uploadId, start) }, chunks);
      await handle.datasync();
      await rename(part, join(directory, String(start)));
      await syncDirectory(directory);
      return bytes;
    } catch (error) {
      await removeFile(part);
      throw error;
    } finally {
      await handle.close();
    }
  }
}

async function* concatenated(parts: readonly AsyncIterable<Uint8Array>[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part;
}
