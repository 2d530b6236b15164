import { type FileHandle, open } from 'node:fs/promises';

/**
 * Walks the frames and blocks of a zstd file (RFC 8878, section 3.1.1) by their headers, because Node's decompressor ends
 * without an error where a file is cut. Returns whether the last frame is whole.
 */
export async function isWholeZstd(path: string): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    let at = 0;
    while (at < size) {
      const end = await frameEnd(handle, at, size);
      if (end === undefined) return false;
      at = end;
    }
    return true;
  } finally {
    await handle.close();
  }
}

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const HEADER_BYTES_MAX = 18;

async function frameEnd(handle: FileHandle, start: number, size: number): Promise<number | undefined> {
  const head = Buffer.alloc(HEADER_BYTES_MAX);
  const { bytesRead } = await handle.read(head, 0, HEADER_BYTES_MAX, start);
  if (bytesRead < 5) return undefined;
  const magic = head.readUInt32LE(0);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) return within(start + 8 + head.readUInt32LE(4), size);
  // What follows the last frame is not part of the stream, and the decompressor leaves it alone too.
  if (magic !== MAGIC) return size;
  const descriptor = head[4] ?? 0;
  let at: number | undefined = start + 5 + headerFieldBytes(descriptor);
  for (let last = false; !last; ) {
    const read = await handle.read(head, 0, 3, at);
    if (read.bytesRead < 3) return undefined;
    const block = head.readUIntLE(0, 3);
    last = (block & 1) === 1;
    // A block of one repeated byte holds that byte only.
    const bytes = ((block >> 1) & 3) === 1 ? 1 : block >> 3;
    at = within(at + 3 + bytes, size);
    if (at === undefined) return undefined;
  }
  return within(at + ((descriptor & 4) === 0 ? 0 : 4), size);
}

/** Bytes of window descriptor, dictionary id and content size, as the descriptor tells. */
function headerFieldBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes;
}

function within(end: number, size: number): number | undefined {
  return end <= size ? end : undefined;
}
