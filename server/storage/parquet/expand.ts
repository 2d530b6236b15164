import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable, Transform } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { abortError } from '../../shared/abort.ts';
import type { ConversionError } from '../stores.ts';
import { zstdFrames } from './zstd-frames.ts';

/** Where and how a compressed stream stops being one. */
interface Break {
  readonly early: boolean;
  readonly at: number;
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Decompresses into a file; a stream that breaks off leaves what could be read, and the error says where it broke. */
export async function expand(
  path: string,
  compression: 'gzip' | 'zstd',
  target: string,
  context: { readonly limits: Limits; readonly signal: AbortSignal },
): Promise<ConversionError | undefined> {
  const handle = await open(target, 'w', 0o600);
  try {
    const expansion = new Expansion(handle, context.limits, context.signal);
    const broken = compression === 'gzip' ? await expandGzip(path, expansion) : await expandZstd(path, expansion);
    return broken === undefined ? undefined : damageOf(compression, broken);
  } finally {
    await handle.close();
  }
}

function damageOf(compression: 'gzip' | 'zstd', { early, at }: Break): ConversionError {
  const where = early ? `ends early at byte ${at}` : `is damaged at or before byte ${at}`;
  return { line: null, column: null, byte: at, reason: `the ${compression} stream ${where} of the compressed file; what follows is missing` };
}

async function expandGzip(path: string, expansion: Expansion): Promise<Break | undefined> {
  const whole = { start: 0, end: Number.POSITIVE_INFINITY };
  const broken = await expansion.pump(path, whole, createGunzip());
  if (broken === undefined) return undefined;
  // A decompressor that fails keeps back what it had ready; one that is told to flush hands it out.
  await expansion.restart();
  await expansion.pump(path, whole, createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }));
  return broken;
}

/** Node's decompressor stops after a frame, and does not mind one that is cut, so that frames are found here. */
async function expandZstd(path: string, expansion: Expansion): Promise<Break | undefined> {
  for await (const { start, end, kind } of zstdFrames(path)) {
    if (kind === 'skippable') continue;
    if (kind === 'unknown') return { early: false, at: start };
    const broken = await expansion.pump(path, { start, end }, createZstdDecompress());
    if (broken !== undefined) return broken;
    if (kind === 'cut') return { early: true, at: end };
  }
  return undefined;
}

/** What was decompressed so far, within its bound. */
class Expansion {
  readonly #handle: FileHandle;
  readonly #bytesMax: number;
  readonly #signal: AbortSignal;
  #bytes = 0;

  constructor(handle: FileHandle, limits: Limits, signal: AbortSignal) {
    this.#handle = handle;
    this.#bytesMax = limits.uploadExpandedBytesMax;
    this.#signal = signal;
  }

  async restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#bytes = 0;
  }

  async pump(path: string, { start, end }: Range, decompress: Transform): Promise<Break | undefined> {
    const input = createReadStream(path, { start, end: end - 1, highWaterMark: 256 * 1024 });
    let failure: Error | undefined;
    input.once('error', (error) => decompress.destroy(error));
    decompress.once('error', (error) => {
      failure = error;
    });
    try {
      await this.#writeAll(input.pipe(decompress));
      return undefined;
    } catch (error) {
      if (error !== failure || !isDecompressionError(error)) throw error;
      return { early: error.code === 'Z_BUF_ERROR', at: start + input.bytesRead };
    } finally {
      input.destroy();
      decompress.destroy();
    }
  }

  async #writeAll(stream: Readable): Promise<void> {
    for await (const chunk of stream) {
      if (this.#signal.aborted) throw abortError(this.#signal);
      if (this.#bytes + chunk.length > this.#bytesMax) throw tooLarge(this.#bytesMax);
      for (let at = 0; at < chunk.length; ) at += (await this.#handle.write(chunk, at, chunk.length - at, this.#bytes + at)).bytesWritten;
      this.#bytes += chunk.length;
    }
  }
}

function tooLarge(bytesMax: number): CovistaError {
  return new CovistaError('payload_too_large', `the file expands to more than ${bytesMax} bytes`, { bytesMax });
}

function isDecompressionError(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^(?:Z_|ZSTD_)/.test(error.code);
}
