import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import { writeWhole } from './staging.ts';

/** Two of them are what DuckDB takes for a line’s bound by itself. */
const WINDOW_BYTES = 1_000_000;
const PROBE_BYTES = 16 * 1024;
/** Probes hardly read anything, so that one after the other they would mostly wait. */
const PROBES_AT_ONCE = 16;
const LF = 10;
const CR = 13;

/**
 * An upper bound of the length of a file's lines. DuckDB silently drops a line that is longer than its buffer, so a file with
 * such a line is refused. Any line of two windows or more fills one window, so that a line break in each proves the lines short.
 */
export async function csvLineBytes(path: string, bytes: number, limits: Limits, signal: AbortSignal): Promise<number> {
  if (bytes <= WINDOW_BYTES) return bytes;
  const handle = await open(path, 'r');
  try {
    let run = 0;
    let longest = 0;
    for (let start = 0; start < bytes; start += PROBES_AT_ONCE * WINDOW_BYTES) {
      throwIfAborted(signal);
      const starts = Array.from({ length: PROBES_AT_ONCE }, (_unused, index) => start + index * WINDOW_BYTES).filter((at) => at < bytes);
      const breaks = await Promise.all(starts.map((at) => hasBreak(handle, at)));
      for (const [index, found] of breaks.entries()) {
        run = found ? 0 : run + WINDOW_BYTES;
        longest = Math.max(longest, run);
        if (longest > limits.csvLineBytesMax) throw longLine(start + (index + 1) * WINDOW_BYTES - run, limits);
      }
    }
    return Math.min(longest + 2 * WINDOW_BYTES, limits.csvLineBytesMax);
  } finally {
    await handle.close();
  }
}

function longLine(byte: number, limits: Limits): CovistaError {
  const message = `the line after byte ${byte} is longer than ${limits.csvLineBytesMax} bytes`;
  return new CovistaError('unprocessable_data', message, { byte, bytesMax: limits.csvLineBytesMax });
}

/** Most windows have a line break near their beginning, so that little of the file is read. */
async function hasBreak(handle: FileHandle, start: number): Promise<boolean> {
  for (let length = PROBE_BYTES; ; length = WINDOW_BYTES) {
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await handle.read(buffer, 0, length, start);
    const read = buffer.subarray(0, bytesRead);
    if (read.includes(LF) || read.includes(CR) || bytesRead < length) return true;
    if (length === WINDOW_BYTES) return false;
  }
}

/** Cuts off the line at the end of a file that has no line break, because it may be only a part of what it was. */
export async function trimToLastLine(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
    let { size: end } = await handle.stat();
    while (end > 0) {
      const start = Math.max(0, end - WINDOW_BYTES);
      const { bytesRead } = await handle.read(buffer, 0, end - start, start);
      const at = buffer.subarray(0, bytesRead).lastIndexOf(LF);
      end = at < 0 ? start : start + at + 1;
      if (at >= 0) break;
    }
    await handle.truncate(end);
  } finally {
    await handle.close();
  }
}

/** Copies a file with every line break outside of quotes as one LF. */
export async function normalizeNewlines(path: string, target: string, delimiter: string, signal: AbortSignal): Promise<void> {
  const normalizer = new NewlineNormalizer(delimiter.charCodeAt(0));
  const handle = await open(target, 'w', 0o600);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: WINDOW_BYTES })) {
      throwIfAborted(signal);
      await writeWhole(handle, normalizer.next(chunk));
    }
  } finally {
    await handle.close();
  }
}

const QUOTE = 34;

class NewlineNormalizer {
  readonly #delimiter: number;
  #quoted = false;
  /** The byte before, to know where a field begins and which LF belongs to a CR. */
  #previous = LF;

  constructor(delimiter: number) {
    this.#delimiter = delimiter;
  }

  next(chunk: Uint8Array): Uint8Array {
    const output = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (const byte of chunk) {
      if (byte === QUOTE && (this.#quoted || this.#atFieldStart())) this.#quoted = !this.#quoted;
      const paired = byte === LF && this.#previous === CR && !this.#quoted;
      if (!paired) output[length++] = byte === CR && !this.#quoted ? LF : byte;
      this.#previous = byte;
    }
    return output.subarray(0, length);
  }

  /** A quote right after a closing one is an escaped quote, and opens again what that one closed. */
  #atFieldStart(): boolean {
    return this.#previous === LF || this.#previous === CR || this.#previous === this.#delimiter || this.#previous === QUOTE;
  }
}
