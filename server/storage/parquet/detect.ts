import { CovistaError } from '../../../protocol/errors.ts';
import type { Compression, FileFormat } from '../stores.ts';

const MAGIC: readonly (readonly [string, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['parquet', [0x50, 0x41, 0x52, 0x31]],
  ['arrow', [0x41, 0x52, 0x52, 0x4f, 0x57, 0x31]],
  ['arrow', [0xff, 0xff, 0xff, 0xff]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
  ['utf-8', [0xef, 0xbb, 0xbf]],
];

function magicOf(head: Uint8Array): string | undefined {
  return MAGIC.find(([, bytes]) => bytes.every((byte, index) => head[index] === byte))?.[0];
}

export function detectCompression(head: Uint8Array): Compression {
  const magic = magicOf(head);
  return magic === 'gzip' || magic === 'zstd' ? magic : 'none';
}

/** The encoding that a byte order mark names, when it is not the UTF-8 that everything is read as. */
export function detectWideEncoding(head: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  const magic = magicOf(head);
  return magic === 'utf-16le' || magic === 'utf-16be' ? magic : undefined;
}

export type Content = 'parquet' | 'arrow' | 'json' | 'ndjson' | 'delimited';

/** What the first bytes of a decompressed file are; `unprocessable_data` when they are nothing that can be read. */
export function detectContent(head: Uint8Array): Content {
  const magic = magicOf(head);
  if (magic === 'parquet' || magic === 'arrow') return magic;
  assertText(head);
  return detectText(new TextDecoder().decode(head));
}

const CONTROLS_PER_THOUSAND_MAX = 20;
const PROBE_BYTES = 4096;

/** Pictures, archives and the like are full of control characters; text has hardly any. */
function assertText(head: Uint8Array): void {
  const probe = head.subarray(0, PROBE_BYTES);
  let controls = 0;
  for (const byte of probe) if (byte < 9 || (byte > 13 && byte < 32)) controls += 1;
  if (controls * 1000 <= probe.length * CONTROLS_PER_THOUSAND_MAX) return;
  throw new CovistaError('unprocessable_data', 'the file is neither text nor any of the binary formats that can be read (Parquet, Arrow IPC)');
}

function detectText(text: string): 'json' | 'ndjson' | 'delimited' {
  const start = text.trimStart();
  if (/^\[\s*(?:[[{"\]\-\d]|true|false|null|$)/.test(start)) return 'json';
  if (!/^\{\s*(?:["}]|$)/.test(start)) return 'delimited';
  const end = endOfObject(start);
  return (end !== undefined && /^\s*[{[]/.test(start.slice(end))) || mostLinesAreObjects(start) ? 'ndjson' : 'json';
}

const LINES_TO_COMPARE = 20;

/** So that a broken first line does not make one long object of a file that has an object on each line. */
function mostLinesAreObjects(text: string): boolean {
  const lines = text.split('\n', LINES_TO_COMPARE + 1).filter((line) => line.trim() !== '');
  return lines.length > 1 && lines.filter(isObject).length * 2 > lines.length;
}

function isObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

/** Where the object that a text begins with ends; undefined when it does not. */
function endOfObject(text: string): number | undefined {
  let depth = 0;
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/gs;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === '{' || match[0] === '[') depth += 1;
    else if (match[0] === '}' || match[0] === ']') depth -= 1;
    if (depth === 0) return token.lastIndex;
  }
  return undefined;
}

/** Throws `unprocessable_data` when the caller said that the file is something else. */
export function assertDeclared(declared: FileFormat | undefined, actual: FileFormat): void {
  if (declared === undefined || declared === actual) return;
  throw new CovistaError('unprocessable_data', `the file is declared as ${declared}, but its content is ${actual}`, { declared, actual });
}
