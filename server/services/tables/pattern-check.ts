/**
 * Says what is wrong with a regular expression as RE2 has them (https://github.com/google/re2/wiki/Syntax), by which both engines
 * filter: one takes a bad one for a pattern that nothing matches, and the other fails at it without a word of what it was.
 */

const REPEATS_MAX = 1_000;
const CODE_POINT_MAX = 0x10ffff;
const ESCAPES = /^[AbBCdDwWsSzafnrtvpPx]$/;
const CLASS_ESCAPES = /^[dDwWsSpPafnrtvx]$/;
/** Those that stand for several characters, and cannot end a range. */
const SETS = /^[dDwWsSpP]$/;
const POSIX = 'alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit'.split(' ');

/** Characters that mean themselves, as most do. */
const PLAIN = /[^\\[\](){}*+?|]+/y;
/** A number with a leading zero is none. */
const REPETITION = /[*+?]|\{(0|[1-9]\d*)(?:,(0|[1-9]\d*)?)?\}/y;

class PatternFault extends Error {}

/** What is wrong with a pattern; undefined: nothing that can be seen here. */
export function patternFault(pattern: string): string | undefined {
  try {
    new Reader(pattern).read();
    return undefined;
  } catch (fault) {
    if (!(fault instanceof PatternFault)) throw fault;
    return fault.message;
  }
}

class Reader {
  readonly #text: string;
  #at = 0;
  #open = 0;
  /** What a repetition would be of: nothing, something, or what is repeated already. */
  #last: 'nothing' | 'item' | 'repeated' = 'nothing';

  constructor(text: string) {
    this.#text = text;
  }

  read(): void {
    while (this.#at < this.#text.length) this.#item();
    if (this.#open > 0) throw new PatternFault('a "(" has no ")"');
  }

  #item(): void {
    if (this.#take(PLAIN) !== undefined) {
      this.#last = 'item';
      return;
    }
    const repetition = this.#take(REPETITION);
    if (repetition !== undefined) this.#repeat(repetition);
    else if (this.#take(/\(/y) !== undefined) this.#group();
    else if (this.#take(/\|/y) !== undefined) this.#last = 'nothing';
    else {
      if (this.#take(/\)/y) !== undefined) this.#leave();
      else if (this.#take(/\[/y) !== undefined) this.#class();
      else if (this.#take(/\\Q/y) !== undefined) this.#take(/(?:(?!\\E).)*(?:\\E)?/sy);
      else if (this.#take(/\\/y) !== undefined) this.#escape(ESCAPES);
      else this.#take(/./suy);
      this.#last = 'item';
    }
  }

  #repeat([sign, least, most]: RegExpExecArray): void {
    if (this.#last === 'nothing') throw new PatternFault(`there is nothing that "${sign}" repeats`);
    if (this.#last === 'repeated') throw new PatternFault(`"${sign}" repeats a repetition`);
    const numbers = [least, most].filter((number) => number !== undefined && number !== '').map(Number);
    if (numbers.some((number) => number > REPEATS_MAX)) throw new PatternFault(`"${sign}" repeats more than ${REPEATS_MAX} times`);
    if ((numbers[1] ?? Number.POSITIVE_INFINITY) < (numbers[0] ?? 0)) throw new PatternFault(`"${sign}" ends before it begins`);
    this.#take(/\?/y);
    this.#last = 'repeated';
  }

  #group(): void {
    const before = this.#last;
    this.#last = 'nothing';
    if (this.#take(/\?P<\w+>/y) === undefined && this.#text[this.#at] === '?') {
      const flags = this.#take(/\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)?([:)])/y);
      if (flags === undefined) throw new PatternFault(`"(${this.#text.slice(this.#at, this.#at + 2)}" is no group that there is`);
      if (flags[1] === ')') {
        // Flags stand between a repetition and what it repeats.
        if (before !== 'nothing') this.#last = 'item';
        return;
      }
    }
    this.#open += 1;
  }

  #leave(): void {
    if (this.#open === 0) throw new PatternFault('a ")" has no "("');
    this.#open -= 1;
  }

  #class(): void {
    this.#take(/\^/y);
    for (let isFirst = true; ; isFirst = false) {
      if (this.#at >= this.#text.length) throw new PatternFault('a "[" has no "]"');
      if (!isFirst && this.#take(/\]/y) !== undefined) return;
      const named = this.#take(/\[:\^?(\w*):\]/y);
      if (named === undefined) this.#range();
      else if (!POSIX.includes(named[1] ?? '')) throw new PatternFault(`there is no class "${named[0]}"`);
    }
  }

  #range(): void {
    const from = this.#classCharacter();
    if (from === undefined || this.#take(/-(?!\])/y) === undefined) return;
    const start = this.#at;
    const to = this.#classCharacter();
    if (to === undefined) throw new PatternFault(`a range ends with "${this.#text.slice(start, this.#at)}", which is no character`);
    if (to < from) throw new PatternFault('a range ends before it begins');
  }

  /** Its code; undefined for what stands for several. */
  #classCharacter(): number | undefined {
    if (this.#take(/\\/y) !== undefined) return this.#escape(CLASS_ESCAPES);
    return this.#take(/./suy)?.[0].codePointAt(0);
  }

  /** What comes after a backslash; its code, where it stands for one character. */
  #escape(known: RegExp): number | undefined {
    const octal = this.#take(/0[0-7]{0,2}|[1-7][0-7]{1,2}/y);
    if (octal !== undefined) return Number.parseInt(octal[0], 8);
    const [sign] = this.#take(/./suy) ?? [];
    if (sign === undefined) throw new PatternFault('it ends with a backslash');
    if (sign === 'x') return this.#hexadecimal();
    if (/[pP]/.test(sign) && this.#take(/\{\^?\w+\}|[A-Z]/y) === undefined) throw new PatternFault(`"\\${sign}" names no characters`);
    const isPlain = /[!-/:-@[-^`{-~_\s]/.test(sign) && sign < '\u0080';
    if (!isPlain && !known.test(sign)) throw new PatternFault(`there is no "\\${sign}"`);
    return SETS.test(sign) ? undefined : (CODES[sign] ?? sign.codePointAt(0));
  }

  #hexadecimal(): number {
    const [, short, long] = this.#take(/([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,8})\}/y) ?? [];
    const code = Number.parseInt(short ?? long ?? '', 16);
    if (!(code <= CODE_POINT_MAX)) throw new PatternFault('a "\\x" names no character');
    return code;
  }

  #take(expected: RegExp): RegExpExecArray | undefined {
    expected.lastIndex = this.#at;
    const found = expected.exec(this.#text);
    if (found === null) return undefined;
    this.#at = expected.lastIndex;
    return found;
  }
}

const CODES: Readonly<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
