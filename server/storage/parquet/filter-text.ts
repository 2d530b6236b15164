import { randomBytes } from 'node:crypto';
import { CovistaError } from '../../../protocol/errors.ts';

/** Something in a filter that is not the author's expression but a value given when the filter is applied. */
export interface Placeholder {
  /** The claim of the caller's token; null: the current date in UTC. */
  readonly claim: string | null;
  /** Where its first character is in the author's text. */
  readonly offset: number;
}

/** The author's text with named parameters in place of placeholders. */
export interface FilterText {
  readonly source: string;
  readonly sql: string;
  readonly placeholders: readonly Placeholder[];
  /** The parameter's name (without `$`) of a placeholder by its index. It is random, so that no text can contain it by design. */
  parameterName(index: number): string;
  /** Where in the author's text the character is that stands at a byte of `sql`. */
  offsetOf(byte: number): number;
}

export interface FilterTextOptions {
  readonly charsMax: number;
  readonly depthMax: number;
  /** Names that mean a column, compared without regard to case. */
  readonly columns: readonly string[];
}

/** `invalid_input` that says where in the filter the fault is: as an offset from 0, and as a line and column from 1. */
export function filterFault(source: string, offset: number, message: string): CovistaError {
  const at = Math.max(0, Math.min(offset, source.length));
  const before = source.slice(0, at).split('\n');
  const [line, column] = [before.length, (before.at(-1)?.length ?? 0) + 1];
  return new CovistaError('invalid_input', `rowFilter: ${message} (line ${line}, column ${column})`, {
    field: 'rowFilter',
    offset: at,
    line,
    column,
  });
}

/** A stretch of the author's text that is kept as it is, or a placeholder. */
interface Piece {
  readonly offset: number;
  readonly text: string;
  readonly isPlaceholder: boolean;
}

const PLACEHOLDER = /\{\{[ \t]*([A-Za-z_][\w.:/-]{0,199})[ \t]*\}\}/y;
const WORD = /[\p{L}_][\p{L}\p{M}\p{N}_]*/uy;
const NUMBER = /\d[\w.]*/y;
/** Letters that before a quote give a string another grammar; nobody needs them here. */
const STRING_PREFIXES = new Set(['e', 'x', 'b', 'n', 'u']);
/** Characters that make a text read otherwise than it is, in quotes too: those that end it early or turn the direction of writing. */
const DECEPTIVE = /\0|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const OPENING = '([{';
const CLOSING = ')]}';

/**
 * Reads a filter as far as its text goes, before DuckDB sees it: finds the placeholders, which are none in strings, comments
 * and quoted names, and refuses what could end the expression, begin another one, bring parameters of its own or nest deeply.
 */
export function readFilterText(source: string, options: FilterTextOptions): FilterText {
  if (source.length > options.charsMax) throw filterFault(source, options.charsMax, `has more than ${options.charsMax} characters`);
  const scanner = new Scanner(source, options);
  scanner.run();
  const nonce = randomBytes(32).toString('hex');
  const parameterName = (index: number): string => `covista_${nonce}_${index}`;
  let index = 0;
  const pieces = scanner.pieces.map((piece) => ({ ...piece, sql: piece.isPlaceholder ? `$${parameterName(index++)}` : piece.text }));
  const offsetOf = (byte: number): number => {
    let passed = 0;
    for (const { offset, sql, isPlaceholder } of pieces) {
      const bytes = Buffer.byteLength(sql);
      if (byte < passed + bytes) {
        return isPlaceholder
          ? offset
          : offset +
              Buffer.from(sql)
                .subarray(0, Math.max(0, byte - passed))
                .toString().length;
      }
      passed += bytes;
    }
    return source.length;
  };
  return { source, sql: pieces.map(({ sql }) => sql).join(''), placeholders: scanner.placeholders, parameterName, offsetOf };
}

class Scanner {
  readonly pieces: Piece[] = [];
  readonly placeholders: Placeholder[] = [];
  readonly #source: string;
  readonly #options: FilterTextOptions;
  readonly #open: { readonly bracket: string; readonly offset: number }[] = [];
  #at = 0;
  #keptFrom = 0;

  constructor(source: string, options: FilterTextOptions) {
    this.#source = source;
    this.#options = options;
  }

  run(): void {
    const deceptive = DECEPTIVE.exec(this.#source);
    if (deceptive !== null) this.#refuse('characters that hide text or turn the direction of writing are not allowed', deceptive.index);
    while (this.#at < this.#source.length) this.#step(this.#source[this.#at] as string);
    const unclosed = this.#open.at(-1);
    if (unclosed !== undefined) this.#refuse(`"${unclosed.bracket}" is never closed`, unclosed.offset);
    this.#keep(this.#source.length);
  }

  #step(character: string): void {
    if (character === "'" || character === '"') this.#quoted(character);
    else if (this.#source.startsWith('--', this.#at)) this.#lineComment();
    else if (this.#source.startsWith('/*', this.#at)) this.#blockComment();
    else if (this.#source.startsWith('{{', this.#at)) this.#placeholder();
    else if (OPENING.includes(character)) this.#opens(character);
    else if (CLOSING.includes(character)) this.#closes(character);
    else if (/[\p{L}_]/u.test(this.#codePoint())) this.#word();
    else if (/\d/.test(character)) this.#at += this.#match(NUMBER).length;
    else this.#other(character);
  }

  #other(character: string): void {
    if (character === ';') this.#refuse('";" is not allowed: this must be one expression');
    if (character === '?' || character === '$') this.#refuse(`"${character}" is not allowed: write {{claim}} for a value of the caller`);
    if (/[^\P{C}\n\r\t]|[^\P{Z} ]/u.test(character)) this.#refuse('invisible characters are allowed in quotes only');
    this.#at += 1;
  }

  #quoted(quote: string): void {
    const start = this.#at;
    for (let end = this.#source.indexOf(quote, start + 1); end >= 0; end = this.#source.indexOf(quote, end + 2)) {
      if (this.#source[end + 1] === quote) continue;
      this.#at = end + 1;
      return;
    }
    this.#refuse('the quote is never closed', start);
  }

  #lineComment(): void {
    const end = this.#source.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#source.length : end;
  }

  #blockComment(): void {
    const start = this.#at;
    let depth = 0;
    do {
      if (this.#source.startsWith('/*', this.#at)) depth += 1;
      else if (this.#source.startsWith('*/', this.#at)) depth -= 1;
      else if (this.#at >= this.#source.length) this.#refuse('the comment is never closed', start);
      else {
        this.#at += 1;
        continue;
      }
      this.#at += 2;
    } while (depth > 0);
  }

  #placeholder(): void {
    const text = this.#match(PLACEHOLDER);
    if (text === '') this.#refuse('a placeholder is written {{claim}}, with the name of a claim of the caller’s token');
    this.#substitute(text.length, text.slice(2, -2).trim());
  }

  #opens(bracket: string): void {
    this.#open.push({ bracket, offset: this.#at });
    if (this.#open.length > this.#options.depthMax) this.#refuse(`is nested more than ${this.#options.depthMax} deep`);
    this.#at += 1;
  }

  #closes(bracket: string): void {
    const opened = this.#open.pop();
    if (opened === undefined || OPENING.indexOf(opened.bracket) !== CLOSING.indexOf(bracket)) this.#refuse(`"${bracket}" closes nothing`);
    this.#at += 1;
  }

  /** A bare `current_date` is the date, unless it is a column; it is given as a value, so that a filter means the same all day. */
  #word(): void {
    const text = this.#match(WORD);
    const word = text.toLowerCase();
    const next = this.#source[this.#at + text.length];
    const isPrefix = STRING_PREFIXES.has(word) && (next === "'" || (word === 'u' && next === '&'));
    if (isPrefix) this.#refuse('only plain strings in single quotes are allowed');
    if (word === 'current_date' && !this.#options.columns.some((name) => name.toLowerCase() === word)) this.#substitute(text.length, null);
    else this.#at += text.length;
  }

  #substitute(length: number, claim: string | null): void {
    const offset = this.#at;
    this.#keep(offset);
    this.pieces.push({ offset, text: '', isPlaceholder: true });
    this.placeholders.push({ claim, offset });
    this.#at += length;
    this.#keptFrom = this.#at;
  }

  #keep(end: number): void {
    if (end > this.#keptFrom) this.pieces.push({ offset: this.#keptFrom, text: this.#source.slice(this.#keptFrom, end), isPlaceholder: false });
  }

  #codePoint(): string {
    return String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0] ?? '';
  }

  #refuse(message: string, offset = this.#at): never {
    throw filterFault(this.#source, offset, message);
  }
}
