import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Limits } from '../../../protocol/limits.ts';
import { throwIfAborted } from '../../shared/abort.ts';
import type { ConversionError } from '../stores.ts';

/** The largest object that is read; DuckDB's buffers hold two of them. */
export const JSON_OBJECT_BYTES_MAX = 32 * 1024 * 1024;

export interface Salvage {
  readonly path: string;
  /** Gets the well-formed objects, one a line. */
  readonly target: string;
  /** `lines`: a value on each line. `array`: values that follow each other with commas or nothing between them. */
  readonly layout: 'array' | 'lines';
  readonly limits: Limits;
  readonly signal: AbortSignal;
}

export interface Salvaged {
  readonly objects: number;
  /** Values that are not well-formed objects, of which `errors` lists the first. */
  readonly count: number;
  readonly errors: ConversionError[];
}

/** Copies the objects of a JSON file that are well formed. Small steps, so that the event loop is never held up. */
export async function salvageJson({ path, target, layout, limits, signal }: Salvage): Promise<Salvaged> {
  const scanner = new ValueScanner(layout);
  const result = { objects: 0, count: 0, errors: [] as ConversionError[] };
  const handle = await open(target, 'w', 0o600);
  const take = async (values: readonly ScannedValue[]): Promise<void> => {
    const lines: string[] = [];
    for (const value of values) {
      const { object, reason } = readObject(value);
      if (object !== undefined) lines.push(object);
      else if (++result.count <= limits.conversionErrorsMax) result.errors.push({ line: value.line, column: null, byte: value.byte, reason });
    }
    result.objects += lines.length;
    if (lines.length > 0) await handle.writeFile(`${lines.join('\n')}\n`);
  };
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 64 * 1024 })) {
      throwIfAborted(signal);
      await take(scanner.next(chunk));
    }
    await take(scanner.end());
  } finally {
    await handle.close();
  }
  return result;
}

interface ScannedValue {
  readonly bytes: Buffer;
  readonly line: number;
  readonly byte: number;
  /** What the scanner itself found wrong. */
  readonly fault: string | undefined;
}

const UNPAIRED_SURROGATE =
  /\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}/;

/** The object's text on one line, or why it is none. */
function readObject({ bytes, fault }: ScannedValue): { object?: string; reason: string } {
  if (fault !== undefined) return { reason: fault };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { reason: 'the text is not valid UTF-8' };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return { reason: `a JSON object is needed, not ${kindOf(value)}` };
  } catch (error) {
    return { reason: `the JSON is malformed: ${error instanceof Error ? error.message.slice(0, 200) : 'it cannot be parsed'}` };
  }
  if (UNPAIRED_SURROGATE.test(text)) return { reason: 'a text has half of a surrogate pair' };
  // Line breaks within a well-formed value are white space between its parts.
  return { object: text.replace(/[\r\n]/g, ' '), reason: '' };
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

const LF = 10;
const QUOTE = 34;
const COMMA = 44;
const OPEN = new Set([91, 123]);
const CLOSE = new Set([93, 125]);
const BACKSLASH = 92;
const OPEN_BRACKET = 91;
const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** Splits bytes into JSON values by counting brackets outside of texts, or by lines. */
class ValueScanner {
  readonly #layout: 'array' | 'lines';
  #pieces: Buffer[] = [];
  #held = 0;
  #started = false;
  #depth = 0;
  #inText = false;
  #escaped = false;
  #insideArray: boolean | undefined;
  /** Whether the bracket that ends the array has come. */
  #closed = false;
  #line = 1;
  #byte = 0;
  #startLine = 1;
  #startByte = 0;

  constructor(layout: 'array' | 'lines') {
    this.#layout = layout;
  }

  next(chunk: Buffer): ScannedValue[] {
    const values: ScannedValue[] = [];
    let from = 0;
    for (let index = 0; index < chunk.length; index += 1, this.#byte += 1) {
      const byte = chunk[index] ?? 0;
      if (!this.#started) {
        if (!this.#begins(byte)) {
          if (byte === LF) this.#line += 1;
          continue;
        }
        from = index;
      }
      const ended = this.#layout === 'lines' ? byte === LF : this.#advance(byte);
      if (ended !== false) {
        const end = ended === 'after' ? index + 1 : index;
        this.#hold(chunk.subarray(from, end));
        values.push(this.#finish(undefined));
      }
      if (byte === LF) this.#line += 1;
    }
    if (this.#started) this.#hold(chunk.subarray(from));
    return values;
  }

  end(): ScannedValue[] {
    if (!this.#started) return this.#insideArray === true && !this.#closed ? [this.#missingEnd()] : [];
    const cut = this.#layout === 'array' && (this.#depth > 0 || this.#inText);
    return [this.#finish(cut ? 'the file ends within this value' : undefined)];
  }

  #begins(byte: number): boolean {
    if (isSpace(byte) || byte === COMMA || byte === 0xef || byte === 0xbb || byte === 0xbf) return false;
    if (this.#layout === 'array') {
      if (this.#insideArray === undefined) {
        this.#insideArray = byte === OPEN_BRACKET;
        if (this.#insideArray) return false;
      }
      if (CLOSE.has(byte)) {
        this.#closed = true;
        return false;
      }
    }
    this.#started = true;
    this.#startLine = this.#line;
    this.#startByte = this.#byte;
    return true;
  }

  /** Whether the value ends: before this byte, or with it. */
  #advance(byte: number): false | 'before' | 'after' {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inText = false;
      return false;
    }
    if (byte === QUOTE) this.#inText = true;
    else if (OPEN.has(byte)) this.#depth += 1;
    else if (this.#depth === 0 && (byte === COMMA || CLOSE.has(byte))) {
      this.#closed ||= byte !== COMMA;
      return 'before';
    } else if (CLOSE.has(byte)) {
      this.#depth -= 1;
      if (this.#depth === 0) return 'after';
    }
    return false;
  }

  /** Keeps bytes of a value that goes on in the next chunk; of one that is too large, only the fact. */
  #hold(piece: Buffer): void {
    this.#held += piece.length;
    if (this.#held <= JSON_OBJECT_BYTES_MAX) this.#pieces.push(Buffer.from(piece));
    else this.#pieces = [];
  }

  #missingEnd(): ScannedValue {
    return { bytes: Buffer.alloc(0), line: this.#line, byte: this.#byte, fault: 'the file ends within the array' };
  }

  #finish(fault: string | undefined): ScannedValue {
    const tooLarge = this.#held > JSON_OBJECT_BYTES_MAX ? `the value is larger than ${JSON_OBJECT_BYTES_MAX} bytes` : undefined;
    const value = { bytes: Buffer.concat(this.#pieces), line: this.#startLine, byte: this.#startByte, fault: tooLarge ?? fault };
    this.#pieces = [];
    this.#held = 0;
    this.#started = false;
    this.#depth = 0;
    this.#inText = false;
    this.#escaped = false;
    return value;
  }
}
