import type { Output } from '../protocol/define.ts';
import { CovistaError } from '../protocol/errors.ts';
import { concatenate } from '../protocol/fragments.ts';
import type { Operations } from '../protocol/operations/index.ts';
import type { fileHead } from '../protocol/operations/version.ts';
import type { CallOptions, Methods } from './types.ts';

export type VersionFile = Parameters<Methods['version']['download']>[0];
export type FetchOptions = Pick<CallOptions, 'signal' | 'onProgress'>;
export type FileHead = Output<{ readonly output: typeof fileHead }>;
type Item = Output<Operations['version']['download']>;

export interface FetchedVersion {
  /** What is known before the first byte: name, type, size, ETag. */
  readonly head: FileHead;
  /** The bytes, once; the server sends no faster than they are read. */
  readonly bytes: AsyncIterableIterator<Uint8Array>;
  /** All bytes at once. */
  toBytes(): Promise<Uint8Array>;
  /** Ends a download of which the bytes are not wanted. */
  cancel(): Promise<void>;
}

/** Begins a download and resolves with its head. */
export async function fetchVersion(methods: Methods, file: VersionFile, options: FetchOptions = {}): Promise<FetchedVersion> {
  const begin: Begin = async (range) => {
    const items = methods.version.download({ ...file, range }, options)[Symbol.asyncIterator]();
    const first = await items.next();
    if (first.done === true || first.value instanceof Uint8Array) throw new CovistaError('protocol_error', 'a download began without its head');
    return { head: first.value, items };
  };
  const download = new Download(begin, await begin(file.range));
  return {
    head: download.head,
    bytes: download,
    toBytes: async () => {
      const pieces: Uint8Array[] = [];
      for await (const piece of download) pieces.push(piece);
      return concatenate(pieces);
    },
    cancel: async () => {
      await download.return();
    },
  };
}

interface Part {
  readonly head: FileHead;
  readonly items: AsyncIterator<Item>;
}

type Begin = (range: VersionFile['range']) => Promise<Part>;

/** The bytes of a file in one or, where connections are lost, several parts. */
class Download implements AsyncIterableIterator<Uint8Array> {
  readonly head: FileHead;
  readonly #begin: Begin;
  #items: AsyncIterator<Item>;
  #receivedBytes = 0;

  constructor(begin: Begin, { head, items }: Part) {
    this.head = head;
    this.#begin = begin;
    this.#items = items;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      return this.#accept(await this.#items.next());
    } catch (error) {
      if (!this.#continuable(error)) throw error;
      await this.#continue();
      return this.next();
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    await this.#items.return?.();
    return { done: true, value: undefined };
  }

  #accept({ done, value }: IteratorResult<Item>): IteratorResult<Uint8Array> {
    if (done === true) return this.#ended();
    if (!(value instanceof Uint8Array)) throw new CovistaError('protocol_error', 'a download has a second head');
    this.#receivedBytes += value.length;
    return { done: false, value };
  }

  #ended(): IteratorResult<Uint8Array> {
    const { bytes } = this.head;
    if (bytes === null || bytes === this.#receivedBytes) return { done: true, value: undefined };
    throw new CovistaError('unavailable', `the download ended after ${this.#receivedBytes} of ${bytes} bytes`);
  }

  /** Plain bytes can be asked for from any place; encoded ones only from the first. */
  #continuable(error: unknown): boolean {
    return error instanceof CovistaError && error.details.interrupted === true && this.head.bytes !== null;
  }

  async #continue(): Promise<void> {
    const first = this.head.rangeStart ?? 0;
    const start = first + this.#receivedBytes;
    const end = first + (this.head.bytes ?? 0) - 1;
    // All bytes had come and only the end was lost.
    if (start > end) {
      this.#items = { next: async () => ({ done: true, value: undefined }) };
      return;
    }
    const { head, items } = await this.#begin({ start, end });
    this.#items = items;
    if (head.etag !== this.head.etag) {
      await this.return();
      throw new CovistaError('conflict', 'the file is not the one of which the first part was received', { etag: this.head.etag, actual: head.etag });
    }
  }
}
