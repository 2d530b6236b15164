/**
 * Larger chunks that are copied go into buffers of this size, which are used again: fresh memory costs more than the copy.
 * They are shared, so that another thread can read them where they are.
 */
const SEGMENT_BYTES = 512 * 1024;
const SMALL_BYTES = 64 * 1024;
const FREE_SEGMENTS_MAX = 16;

const freeSegments: Uint8Array[] = [];
/** Those that queues have given out to readers or hold for them. */
const segmentOf = new WeakMap<Uint8Array, Uint8Array>();

function copyOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= SMALL_BYTES || bytes.length > SEGMENT_BYTES) return bytes.slice();
  const segment = freeSegments.pop() ?? new Uint8Array(new SharedArrayBuffer(SEGMENT_BYTES));
  segment.set(bytes);
  const chunk = segment.subarray(0, bytes.length);
  segmentOf.set(chunk, segment);
  return chunk;
}

function recycle(chunk: Uint8Array): void {
  const segment = segmentOf.get(chunk);
  if (segment !== undefined && freeSegments.length < FREE_SEGMENTS_MAX) freeSegments.push(segment);
}

/**
 * Bytes on their way from a socket to one reader. The producer keeps its own bound: it learns through `onConsumed` how much
 * the reader took and lets no more come than it has room for. A chunk is the reader's until it asks for the next one.
 */
export class ByteQueue implements AsyncIterable<Uint8Array> {
  readonly #onConsumed: (bytes: number) => void;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #ended = false;
  #abandoned = false;
  #fault: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(onConsumed: (bytes: number) => void) {
    this.#onConsumed = onConsumed;
  }

  /** Bytes that the reader has not taken yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get ended(): boolean {
    return this.#ended;
  }

  push(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return;
    if (this.#abandoned) {
      this.#onConsumed(bytes.length);
      return;
    }
    this.#chunks.push(bytes);
    this.#bufferedBytes += bytes.length;
    this.#wake?.();
  }

  /** The same for bytes that the producer takes back when this returns. */
  pushCopy(bytes: Uint8Array): void {
    if (this.#abandoned) this.push(bytes);
    else if (!this.#ended) this.push(copyOf(bytes));
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The reader meets this error after what is there already; nothing follows. */
  fail(fault: Error): void {
    if (this.#ended) return;
    this.#fault = fault;
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      while (true) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          this.#bufferedBytes -= chunk.length;
          this.#onConsumed(chunk.length);
          yield chunk;
          recycle(chunk);
        } else if (this.#ended) {
          if (this.#fault !== undefined) throw this.#fault;
          return;
        } else await this.#more();
      }
    } finally {
      this.abandon();
    }
  }

  /** Nobody reads on: what is there and what comes is dropped. */
  abandon(): void {
    this.#abandoned = true;
    this.#chunks = [];
    const bytes = this.#bufferedBytes;
    this.#bufferedBytes = 0;
    if (bytes > 0) this.#onConsumed(bytes);
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }
}
