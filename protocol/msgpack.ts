import { Packr, Unpackr } from 'msgpackr';
import { CovistaError } from './errors.ts';

/**
 * Standard msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md), without msgpackr's records, so that any
 * language's library can speak it. Decoding is preceded by a scan, because a decoder allocates what a length field claims
 * before it looks at what is there.
 */
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true });
// Bytes are copied out, because the buffer that a frame arrives in belongs to the socket.
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, copyBuffers: true });

/** Small frames are decoded in here: the decoder keeps what it needs of a buffer with the buffer, if it meets it again. */
const scratch = new Uint8Array(4096);

/** Options of `pack` (msgpackr, REUSE_BUFFER_MODE and RESET_BUFFER_MODE): answer with the whole buffer, and start over in it. */
const REUSE_BUFFER = 512;
const RESET_POSITION = 1024;

type PackedBuffer = Uint8Array & { readonly start: number; readonly end: number };

const DEPTH_MAX = 64;

export function pack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Encodes into a buffer that is used again: the bytes are valid until the next call of anything in this module. */
export function packTransient(value: unknown): Uint8Array {
  const buffer = packr.pack(value, REUSE_BUFFER | RESET_POSITION) as Uint8Array as PackedBuffer;
  return buffer.subarray(buffer.start, buffer.end);
}

/** Decodes one value; throws `protocol_error` when the bytes are not exactly one well-formed value of bounded depth. */
export function unpack(bytes: Uint8Array): unknown {
  assertWellFormed(bytes);
  try {
    if (bytes.length > scratch.length) return unpackr.unpack(bytes);
    scratch.set(bytes);
    return unpackr.unpack(scratch, bytes.length);
  } catch (cause) {
    throw new CovistaError('protocol_error', 'the frame is not valid msgpack', {}, cause);
  }
}

/** Sizes by first byte: bytes that follow it, or -1 where a length field decides. */
const FIXED_SIZES = buildFixedSizes();

function buildFixedSizes(): Int8Array {
  const sizes = new Int8Array(256).fill(0);
  const table: readonly (readonly [number, number])[] = [
    [0xca, 4],
    [0xcb, 8],
    [0xcc, 1],
    [0xcd, 2],
    [0xce, 4],
    [0xcf, 8],
    [0xd0, 1],
    [0xd1, 2],
    [0xd2, 4],
    [0xd3, 8],
  ];
  for (const [byte, size] of table) sizes[byte] = size;
  // 0xc1 is unused by the format; 0xc7 to 0xc9 and 0xd4 to 0xd8 are extensions, which no frame uses.
  for (const byte of [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]) sizes[byte] = -2;
  for (const byte of [0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf]) sizes[byte] = -1;
  return sizes;
}

function malformed(reason: string): CovistaError {
  return new CovistaError('protocol_error', `the frame is not valid msgpack: ${reason}`);
}

/** How many values each open level still needs; reused, because a scan runs for every frame. */
const missing = new Int32Array(DEPTH_MAX);

/** Walks the value without building it: every length fits into what is left, nesting is bounded, nothing trails. */
function assertWellFormed(bytes: Uint8Array): void {
  const end = bytes.length;
  let at = 0;
  let depth = 0;
  missing[0] = 1;
  while (depth >= 0) {
    if (missing[depth] === 0) {
      depth -= 1;
      continue;
    }
    (missing[depth] as number) -= 1;
    if (at >= end) throw malformed('it ends early');
    measure(bytes, at);
    at += step.size;
    if (step.children > end - at) throw malformed('a length exceeds the frame');
    if (step.children === 0) continue;
    depth += 1;
    if (depth === DEPTH_MAX) throw malformed('it is nested too deeply');
    missing[depth] = step.children;
  }
  if (at !== end) throw malformed('bytes follow the value');
}

const step = { size: 0, children: 0 };

/** Writes into `step` the size in bytes of the head at `at` (with the content of scalars and texts) and how many values are nested in it. */
function measure(bytes: Uint8Array, at: number): void {
  const first = bytes[at] as number;
  step.children = 0;
  if (first <= 0x7f || first >= 0xe0) step.size = 1;
  else if (first <= 0x8f) nest(1, (first & 0x0f) * 2);
  else if (first <= 0x9f) nest(1, first & 0x0f);
  else if (first <= 0xbf) step.size = 1 + (first & 0x1f);
  else measureLong(bytes, at, first);
}

function nest(size: number, children: number): void {
  step.size = size;
  step.children = children;
}

function measureLong(bytes: Uint8Array, at: number, first: number): void {
  const fixed = FIXED_SIZES[first] as number;
  if (fixed === -2) throw malformed('it has an extension or an unused type');
  if (fixed >= 0) step.size = 1 + fixed;
  else if (first === 0xdc) nest(3, readLength(bytes, at, 2));
  else if (first === 0xdd) nest(5, readLength(bytes, at, 4));
  else if (first === 0xde) nest(3, readLength(bytes, at, 2) * 2);
  else if (first === 0xdf) nest(5, readLength(bytes, at, 4) * 2);
  else {
    const width = first === 0xc4 || first === 0xd9 ? 1 : first === 0xc5 || first === 0xda ? 2 : 4;
    step.size = 1 + width + readLength(bytes, at, width);
  }
}

function readLength(bytes: Uint8Array, at: number, width: number): number {
  if (at + width >= bytes.length) throw malformed('it ends early');
  let length = 0;
  for (let index = 1; index <= width; index += 1) length = length * 256 + (bytes[at + index] as number);
  return length;
}
