import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { abortError } from '../../shared/abort.ts';
import type { Compression, ConversionError } from '../stores.ts';
import { detectCompression, detectWideEncoding } from './detect.ts';
import { expand } from './expand.ts';
import { type Staging, writeWhole } from './staging.ts';

/** An uploaded file as the readers take it: decompressed, and in UTF-8 if it is text. */
export interface OpenedSource {
  readonly path: string;
  readonly bytes: number;
  /** The first bytes; all of them when the file is no longer than that. */
  readonly head: Buffer;
  readonly compression: Compression;
  /** Set when the compressed stream ends early or is damaged: the file holds what came before. */
  readonly damage: ConversionError | undefined;
  /** Whether positions in the file are positions in what the caller sent, decompressed. */
  readonly sameBytes: boolean;
}

export interface SourceContext {
  readonly staging: Staging;
  readonly limits: Limits;
  readonly signal: AbortSignal;
}

/** Opens a file for `read`, and removes afterwards whatever had to be written for that. */
export async function withSource<T>(
  { path, bytes }: { readonly path: string; readonly bytes: number },
  context: SourceContext,
  read: (source: OpenedSource) => Promise<T>,
): Promise<T> {
  const head = await readHead(path, context.limits.ingestSampleBytes, bytes);
  const compression = detectCompression(head.bytes);
  if (compression === 'none') return withText({ path, ...plain(head), compression, damage: undefined, sameBytes: true }, context, read);
  return context.staging.temporary('expanded', async (expanded) => {
    const damage = await expand(path, compression, expanded, context);
    const expandedHead = await readHead(expanded, context.limits.ingestSampleBytes);
    return withText({ path: expanded, ...plain(expandedHead), compression, damage, sameBytes: true }, context, read);
  });
}

/** Text in UTF-16 is read from a copy in UTF-8, because DuckDB's readers know no other JSON and place errors only there. */
async function withText<T>(source: OpenedSource, context: SourceContext, read: (source: OpenedSource) => Promise<T>): Promise<T> {
  const encoding = detectWideEncoding(source.head);
  if (encoding === undefined) return read(source);
  return context.staging.temporary('transcoded', async (transcoded) => {
    await transcode(source.path, encoding, transcoded, context);
    const head = await readHead(transcoded, context.limits.ingestSampleBytes);
    return read({ ...source, path: transcoded, ...plain(head), sameBytes: false });
  });
}

function plain(head: { bytes: Buffer; total: number }): { head: Buffer; bytes: number } {
  return { head: head.bytes, bytes: head.total };
}

/** The beginning of a file, whose size may be known. */
export async function readHead(path: string, bytesMax: number, knownBytes?: number): Promise<{ bytes: Buffer; total: number }> {
  const handle = await open(path, 'r');
  try {
    const size = knownBytes ?? (await handle.stat()).size;
    const buffer = Buffer.allocUnsafe(Math.min(size, bytesMax));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return { bytes: buffer.subarray(0, filled), total: size };
  } finally {
    await handle.close();
  }
}

/** The end of a file. */
export async function readTail(path: string, bytesMax: number): Promise<Buffer> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.min(size, bytesMax));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Whether the bytes occur in a file, of which a little is held at a time. */
export async function fileContains(path: string, wanted: Buffer, signal: AbortSignal): Promise<boolean> {
  let before = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    if (signal.aborted) throw abortError(signal);
    const searched = Buffer.concat([before, chunk]);
    if (searched.includes(wanted)) return true;
    before = searched.subarray(Math.max(0, searched.length - wanted.length + 1));
  }
  return false;
}

async function transcode(path: string, encoding: 'utf-16le' | 'utf-16be', target: string, { signal }: SourceContext): Promise<void> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const handle = await open(target, 'w', 0o600);
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
      if (signal.aborted) throw abortError(signal);
      await writeWhole(handle, Buffer.from(decoder.decode(chunk, { stream: true })));
      bytes += chunk.length;
    }
    decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new CovistaError('unprocessable_data', `the file is not valid ${encoding.toUpperCase()}, in or after byte ${bytes}`, {
      encoding,
      byte: bytes,
    });
  } finally {
    await handle.close();
  }
}
