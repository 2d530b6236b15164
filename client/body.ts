import { CovistaError } from '../protocol/errors.ts';

/** Bytes that accompany a request. Bytes and a Blob can be sent again; a stream or an iterable can be read only once. */
export type BodySource = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** A source that is opened once for every time that it is sent. */
export class RequestBody {
  readonly #source: BodySource;
  #opened = false;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get repeatable(): boolean {
    return !this.#opened || this.#source instanceof Uint8Array || this.#source instanceof Blob;
  }

  open(): AsyncIterator<Uint8Array> {
    this.#opened = true;
    return iterate(this.#source)[Symbol.asyncIterator]();
  }
}

/** The bytes of any source, in the pieces in which it has them. */
export function iterate(source: BodySource): AsyncIterable<Uint8Array> {
  if (source instanceof Uint8Array) return once(source);
  if (source instanceof Blob) return readStream(source.stream());
  if (source instanceof ReadableStream) return readStream(source);
  if (typeof source === 'object' && source !== null && Symbol.asyncIterator in source) return source;
  throw new CovistaError(
    'invalid_input',
    'a file is bytes, a Blob or File, a stream or pieces of bytes; a path is opened first, such as with `fs.openAsBlob`',
  );
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Not every browser can iterate a stream, but all have readers. */
async function* readStream(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      finished = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!finished) await reader.cancel();
  }
}

/** Bytes that may still be sent; one sender waits here until the reader allows more. */
export class CreditWindow {
  #bytes: number;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#wake?.();
  }

  /** Lets the sender go without anything. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** How many of the wanted bytes may be sent now; waits for at least one, and gives 0 once the window is closed. */
  async take(wanted: number): Promise<number> {
    while (this.#bytes <= 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#closed) return 0;
    const taken = Math.min(wanted, this.#bytes);
    this.#bytes -= taken;
    return taken;
  }
}

interface BodyTarget {
  readonly window: CreditWindow;
  readonly pieceBytesMax: number;
  send(bytes: Uint8Array, last: boolean): void;
}

/**
 * Sends a body to its end, or until the window closes; whatever happens, the source is released. Rejects with `cancelled`
 * when the source fails.
 */
export async function sendBody(body: RequestBody, target: BodyTarget): Promise<void> {
  const source = body.open();
  let finished = false;
  try {
    for (;;) {
      const { done, value } = await source.next();
      if (done === true) break;
      if (!(await sendPieces(value, target))) return;
    }
    finished = true;
    target.send(new Uint8Array(), true);
  } catch (cause) {
    finished = true;
    throw new CovistaError('cancelled', 'the source of the request body failed', {}, cause);
  } finally {
    if (!finished) await source.return?.();
  }
}

async function sendPieces(bytes: Uint8Array, target: BodyTarget): Promise<boolean> {
  for (let at = 0; at < bytes.length; ) {
    const taken = await target.window.take(Math.min(bytes.length - at, target.pieceBytesMax));
    if (taken === 0) return false;
    target.send(bytes.subarray(at, at + taken), false);
    at += taken;
  }
  return true;
}
