/**
 * Decodes LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md), the compression
 * of Arrow's buffers. Checksums are not verified: they guard transport, which the hash of the upload does already.
 */
export function decodeLz4Frame(frame: Uint8Array, bytesMax: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (frame.length < 7 || view.getUint32(0, true) !== MAGIC) throw new RangeError('the buffer is not an LZ4 frame');
  const flags = view.getUint8(4);
  const output = new Output(bytesMax);
  let at = 7 + (flags & HAS_CONTENT_SIZE ? 8 : 0) + (flags & HAS_DICTIONARY ? 4 : 0);
  for (;;) {
    const header = view.getUint32(at, true);
    at += 4;
    if (header === 0) return output.bytes();
    const length = header & 0x7fffffff;
    if (at + length > frame.length) throw new RangeError('the LZ4 frame ends early');
    const block = frame.subarray(at, at + length);
    if (header >>> 31 === 1) output.append(block, 0, length);
    else decodeBlock(block, output);
    at += length + (flags & HAS_BLOCK_CHECKSUMS ? 4 : 0);
  }
}

const MAGIC = 0x184d2204;
const HAS_DICTIONARY = 1;
const HAS_CONTENT_SIZE = 8;
const HAS_BLOCK_CHECKSUMS = 16;
const MATCH_BYTES_MIN = 4;

function decodeBlock(block: Uint8Array, output: Output): void {
  let at = 0;
  /** A length goes on in further bytes while they are 255. */
  const extended = (start: number): number => {
    let length = start;
    if (start !== 15) return length;
    for (let more = 255; more === 255; ) {
      more = block[at++] ?? 0;
      length += more;
    }
    return length;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = extended(token >> 4);
    if (at + literals > block.length) throw new RangeError('an LZ4 block ends early');
    output.append(block, at, literals);
    at += literals;
    // The last sequence has no match.
    if (at >= block.length) return;
    const distance = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    output.repeat(distance, extended(token & 15) + MATCH_BYTES_MIN);
  }
}

/** Bytes that grow, up to a bound. */
class Output {
  readonly #bytesMax: number;
  #buffer = new Uint8Array(64 * 1024);
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  append(source: Uint8Array, start: number, length: number): void {
    this.#reserve(length);
    this.#buffer.set(source.subarray(start, start + length), this.#length);
    this.#length += length;
  }

  /** Copies what lies `distance` back; the copy may run into itself. */
  repeat(distance: number, length: number): void {
    if (distance === 0 || distance > this.#length) throw new RangeError('an LZ4 match lies before the data');
    this.#reserve(length);
    const from = this.#length - distance;
    if (distance >= length) this.#buffer.copyWithin(this.#length, from, from + length);
    else for (let index = 0; index < length; index += 1) this.#buffer[this.#length + index] = this.#buffer[from + index] ?? 0;
    this.#length += length;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(length: number): void {
    const needed = this.#length + length;
    if (needed > this.#bytesMax) throw new RangeError(`an LZ4 frame holds more than ${this.#bytesMax} bytes`);
    if (needed <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(needed, this.#buffer.length * 2)));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}
