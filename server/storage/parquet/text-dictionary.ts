import { randomBytes } from 'node:crypto';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { makeData, Utf8, Vector } from 'apache-arrow';
import { TextBuilder } from './arrow-builders.ts';
import { isSet } from './raw-vector.ts';
import { PIECE_WORDS, VECTOR_WORDS } from './text-pieces.ts';

/** Entries that are written between two turns of the event loop. */
const STEP_ENTRIES = 8_192;

/** Odd, and without a pattern in its bits. */
const FACTOR = 0x9e3779b1;

/** Nobody can choose texts that meet in one place of the hash table without knowing it. */
const SEED = randomBytes(4).readInt32LE();

/** Texts of one vector, or of the vectors that have their pieces, in words as DuckDB has them. */
export interface TextWords {
  /** Of each piece `VECTOR_WORDS` a row, of which the first is its length. */
  readonly pieces: readonly Int32Array[];
  /** In bytes, where it is not that of the only piece. */
  readonly lengths: Int32Array | undefined;
  /** One bit a row, set where there is a text; undefined: everywhere. */
  readonly mask: Uint8Array | undefined;
}

/**
 * Numbers texts in the order in which they come, each once. A text is its length and its bytes, in pieces of twelve, as words:
 * as DuckDB has them in its vectors, so that no string is made of them. All of a table's texts pass here, in the thread of the server.
 */
export class TextDictionary {
  /** Words of a text: its length, and its bytes. */
  readonly #words: number;
  #slots = new Int32Array(1_024).fill(-1);
  #hashes = new Int32Array(512);
  #texts: Int32Array;
  #count = 0;

  constructor(pieces: number) {
    this.#words = 1 + pieces * PIECE_WORDS;
    this.#texts = new Int32Array(this.#hashes.length * this.#words);
  }

  /** Bytes that the texts take here. */
  get bytes(): number {
    return this.#count * this.#words * Int32Array.BYTES_PER_ELEMENT;
  }

  /** Puts the numbers of the texts of some rows into `codes`, from its place `at`. */
  number({ pieces, lengths, mask }: TextWords, rows: number, codes: Int32Array, at: number): void {
    const [first] = pieces as readonly [Int32Array];
    for (let row = 0; row < rows; row += 1) {
      if (!isSet(mask, row)) continue;
      const start = row * VECTOR_WORDS;
      codes[at + row] = this.#code(pieces, start + 1, (lengths === undefined ? first[start] : lengths[row]) as number);
    }
  }

  /** The texts in the order of their numbers, with a picture in the place of NUL, at which an engine of tables would end them. */
  async toVector(): Promise<Vector> {
    const source = new Uint8Array(this.#texts.buffer);
    const offsets = new Int32Array(this.#count + 1);
    for (let entry = 0; entry < this.#count; entry += 1) offsets[entry + 1] = (offsets[entry] as number) + this.#length(entry);
    const data = new Uint8Array(offsets[this.#count] as number);
    for (let entry = 0; entry < this.#count; entry += 1) {
      let from = (entry * this.#words + 1) * Int32Array.BYTES_PER_ELEMENT;
      const end = offsets[entry + 1] as number;
      for (let to = offsets[entry] as number; to < end; to += 1, from += 1) data[to] = source[from] as number;
      if (entry % STEP_ENTRIES === STEP_ENTRIES - 1) await yieldToLoop();
    }
    if (data.includes(0)) return withoutNul(data, offsets);
    return new Vector([makeData({ type: new Utf8(), length: this.#count, nullCount: 0, data, valueOffsets: offsets })]);
  }

  #length(entry: number): number {
    return this.#texts[entry * this.#words] as number;
  }

  /** The number of the text whose words are at `from` of each piece. */
  #code(pieces: readonly Int32Array[], from: number, length: number): number {
    const hash = hashOf(pieces, from, length);
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] as number;
      if (entry === -1) return this.#add(pieces, from, length, { hash, slot });
      if (this.#hashes[entry] === hash && this.#isAt(entry, pieces, from, length)) return entry;
    }
  }

  #isAt(entry: number, pieces: readonly Int32Array[], from: number, length: number): boolean {
    const texts = this.#texts;
    let at = entry * this.#words;
    if (texts[at] !== length) return false;
    for (const words of pieces) {
      if (texts[at + 1] !== words[from] || texts[at + 2] !== words[from + 1] || texts[at + 3] !== words[from + 2]) return false;
      at += PIECE_WORDS;
    }
    return true;
  }

  #add(pieces: readonly Int32Array[], from: number, length: number, { hash, slot }: { readonly hash: number; readonly slot: number }): number {
    const entry = this.#count;
    if (entry === this.#hashes.length) {
      this.#hashes = doubled(this.#hashes);
      this.#texts = doubled(this.#texts);
    }
    const texts = this.#texts;
    let at = entry * this.#words;
    texts[at] = length;
    for (const words of pieces) {
      for (let word = 0; word < PIECE_WORDS; word += 1) texts[at + 1 + word] = words[from + word] as number;
      at += PIECE_WORDS;
    }
    this.#hashes[entry] = hash;
    this.#slots[slot] = entry;
    this.#count += 1;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    return entry;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 4).fill(-1);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#count; entry += 1) {
      let slot = (this.#hashes[entry] as number) & mask;
      while (slots[slot] !== -1) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.#slots = slots;
  }
}

function doubled(words: Int32Array): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(words.length * 2);
  larger.set(words);
  return larger;
}

function hashOf(pieces: readonly Int32Array[], from: number, length: number): number {
  let hash = mixed(SEED, length);
  for (const words of pieces) {
    for (let word = from; word < from + PIECE_WORDS; word += 1) hash = mixed(hash, words[word] as number);
  }
  return hash;
}

function mixed(hash: number, word: number): number {
  const product = Math.imul(hash ^ word, FACTOR);
  return product ^ (product >>> 15);
}

function withoutNul(data: Uint8Array, offsets: Int32Array): Vector {
  const decoder = new TextDecoder();
  const builder = new TextBuilder(new Utf8(), (value) => showingNul(value as string));
  for (let entry = 0; entry + 1 < offsets.length; entry += 1) builder.append(decoder.decode(data.subarray(offsets[entry], offsets[entry + 1])));
  return new Vector([builder.take()]);
}

/** A text with the picture of NUL in the place of NUL. */
export function showingNul(text: string): string {
  return text.replaceAll('\0', '\u2400');
}
