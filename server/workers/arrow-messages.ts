import type { FileHandle } from 'node:fs/promises';
import { Message } from 'apache-arrow';
import { CovistaError } from '../../protocol/errors.ts';

const CONTINUATION = 0xffffffff;
const FILE_MAGIC = 'ARROW1';
export const FILE_PREFIX_BYTES = 8;
const METADATA_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Walks the messages of an Arrow IPC file or stream (https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format)
 * by their headers, before any is read, so that none larger than the bound is ever held in memory.
 */
export async function assertBatchesFit(handle: FileHandle, bytesMax: number): Promise<void> {
  const head = Buffer.alloc(FILE_PREFIX_BYTES);
  await handle.read(head, 0, head.length, 0);
  const { size } = await handle.stat();
  let at = head.toString('latin1', 0, FILE_MAGIC.length) === FILE_MAGIC ? FILE_PREFIX_BYTES : 0;
  while (at + 8 <= size) {
    await handle.read(head, 0, 8, at);
    const metadataBytes = head.readInt32LE(4);
    if (head.readUInt32LE(0) !== CONTINUATION || metadataBytes <= 0 || metadataBytes > METADATA_BYTES_MAX) return;
    const metadata = Buffer.alloc(metadataBytes);
    const { bytesRead } = await handle.read(metadata, 0, metadataBytes, at + 8);
    if (bytesRead < metadataBytes) return;
    const bodyBytes = Message.decode(metadata).bodyLength;
    if (bodyBytes > bytesMax) throw tooLarge(at, bodyBytes, bytesMax);
    at += 8 + metadataBytes + bodyBytes;
  }
}

function tooLarge(byte: number, bytes: number, bytesMax: number): CovistaError {
  const message = `the record batch at byte ${byte} has ${bytes} bytes; at most ${bytesMax} can be read, so write smaller batches`;
  return new CovistaError('unprocessable_data', message, { byte, bytes, bytesMax });
}
