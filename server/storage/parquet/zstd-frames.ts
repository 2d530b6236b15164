import { type FileHandle, open } from 'node:fs/promises';

/** `cut`: the file ends within it. `unknown`: no frame begins here. */
export interface ZstdFrame {
  readonly start: number;
  readonly end: number;
  readonly kind: 'whole' | 'cut' | 'skippable' | 'unknown';
}

/** The frames of a zstd file (RFC 8878, section 3.1.1), told by the headers of frames and blocks. */
export async function* zstdFrames(path: string): AsyncGenerator<ZstdFrame> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    for (let start = 0; start < size; ) {
      const frame = await readFrame(handle, start, size);
      yield frame;
      if (frame.kind === 'unknown') return;
      start = frame.end;
    }
  } finally {
    await handle.close();
  }
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const HEADER_BYTES_MAX = 18;

async function readFrame(handle: FileHandle, start: number, size: number): Promise<ZstdFrame> {
  const head = Buffer.alloc(HEADER_BYTES_MAX);
  const { bytesRead } = await handle.read(head, 0, HEADER_BYTES_MAX, start);
  const cut: ZstdFrame = { start, end: size, kind: 'cut' };
  if (bytesRead < 8) return cut;
  const magic = head.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) return { start, end: Math.min(size, start + 8 + head.readUInt32LE(4)), kind: 'skippable' };
  if (magic !== MAGIC) return { start, end: start, kind: 'unknown' };
  const descriptor = head[4] ?? 0;
  let at = start + 5 + headerFieldBytes(descriptor);
  for (let last = false; !last; ) {
    const read = await handle.read(head, 0, 3, at);
    if (read.bytesRead < 3) return cut;
    const block = head.readUIntLE(0, 3);
    last = (block & 1) === 1;
    // A block of one repeated byte holds that byte only.
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4);
  return end > size ? cut : { start, end, kind: 'whole' };
}

/** Bytes of window descriptor, dictionary id and content size, as the descriptor tells. */
function headerFieldBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
}
