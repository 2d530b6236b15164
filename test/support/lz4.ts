const MATCH_BYTES_MIN = 4;
/** A block ends with so many literals at least, and its last match begins before the last twelve bytes. */
const LAST_LITERALS = 12;

/** An LZ4 frame with one block; finds repetitions of the four bytes before the current ones only. */
export function lz4Frame(data: Uint8Array): Uint8Array {
  const block = compressBlock(data);
  const frame = Buffer.alloc(7 + 4 + block.length + 4);
  frame.writeUInt32LE(0x184d2204, 0);
  // Version 1, independent blocks; blocks of up to 4 MiB; the header's checksum, which is that of exactly these two bytes.
  frame.set([0x60, 0x70, 0x73], 4);
  frame.writeUInt32LE(block.length, 7);
  frame.set(block, 11);
  return frame;
}

function compressBlock(data: Uint8Array): Uint8Array {
  const output: number[] = [];
  const seen = new Map<number, number>();
  let literalStart = 0;
  let at = 0;
  const four = (index: number): number => new DataView(data.buffer, data.byteOffset).getUint32(index, true);
  while (at < data.length - LAST_LITERALS) {
    const candidate = seen.get(four(at));
    seen.set(four(at), at);
    if (candidate === undefined || at - candidate > 0xffff) {
      at += 1;
      continue;
    }
    let length = MATCH_BYTES_MIN;
    while (at + length < data.length - LAST_LITERALS && data[candidate + length] === data[at + length]) length += 1;
    sequence(output, data.subarray(literalStart, at), at - candidate, length - MATCH_BYTES_MIN);
    at += length;
    literalStart = at;
  }
  sequence(output, data.subarray(literalStart), 0, 0);
  return Uint8Array.from(output);
}

function sequence(output: number[], literals: Uint8Array, distance: number, matchLength: number): void {
  const isLast = distance === 0;
  output.push((Math.min(literals.length, 15) << 4) | (isLast ? 0 : Math.min(matchLength, 15)));
  pushLength(output, literals.length);
  output.push(...literals);
  if (isLast) return;
  output.push(distance & 0xff, distance >> 8);
  pushLength(output, matchLength);
}

function pushLength(output: number[], length: number): void {
  if (length < 15) return;
  let rest = length - 15;
  for (; rest >= 255; rest -= 255) output.push(255);
  output.push(rest);
}
