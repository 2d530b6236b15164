import { createReadStream } from 'node:fs';
import { CovistaError } from '../../../protocol/errors.ts';
import { throwIfAborted } from '../../shared/abort.ts';

const LF = 10;
const QUOTE = 34;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * Throws `unprocessable_data` when arrays and objects lie deeper within each other than that. DuckDB goes down into each of them
 * by calling itself, and some ten thousand end the whole process. With `lines`, every line begins anew, as one that is broken ends.
 */
export async function assertNesting(path: string, { lines, depthMax }: { lines: boolean; depthMax: number }, signal: AbortSignal): Promise<void> {
  const gauge = new DepthGauge(lines);
  for await (const chunk of createReadStream(path, { highWaterMark: 64 * 1024 })) {
    throwIfAborted(signal);
    if (gauge.deepest(chunk as Buffer) <= depthMax) continue;
    throw new CovistaError('unprocessable_data', `the file has arrays and objects more than ${depthMax} deep within each other`, { depthMax });
  }
}

/** Counts brackets outside of texts, from chunk to chunk. */
class DepthGauge {
  readonly #lines: boolean;
  #depth = 0;
  #inText = false;
  #escaped = false;

  constructor(lines: boolean) {
    this.#lines = lines;
  }

  /** The greatest depth within a chunk; every byte of every file passes here. */
  deepest(chunk: Buffer): number {
    let deepest = 0;
    let depth = this.#depth;
    let inText = this.#inText;
    let escaped = this.#escaped;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] as number;
      if (byte === LF) {
        // No text goes on over a line: one that seems to is broken, and must not hide what follows.
        inText = false;
        escaped = false;
        if (this.#lines) depth = 0;
      } else if (inText) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) inText = false;
      } else if (byte === QUOTE) inText = true;
      else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
        depth += 1;
        if (depth > deepest) deepest = depth;
      } else if ((byte === CLOSE_BRACKET || byte === CLOSE_BRACE) && depth > 0) depth -= 1;
    }
    this.#depth = depth;
    this.#inText = inText;
    this.#escaped = escaped;
    return deepest;
  }
}
