import { randomBytes } from 'node:crypto';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import { makeData, Utf8, Vector } from 'apache-arrow';
import { TextBuilder } from './arrow-builders.ts';
import { PIECE_BYTES } from './text-pieces.ts';

/** Entries that are written between two turns of the event loop. */
const STEP_ENTRIES = 8_192;

/** Nobody can choose texts that meet in one place of the hash table without knowing it. */
const SEED = randomBytes(4).readInt32LE();

/**
 * Numbers texts in the order in which they come, each once. A text is its length and its bytes, in pieces of twelve, as words:
 * as DuckDB has them in its vectors, so that no string is made of them.
 */
export class TextDictionary {
  /** Words of a text: its length, and its bytes. */
  readonly #words: number;
  #slots = new Int32Array(1_024).fill(-1);
  #texts: Uint32Array;
  #count = 0;

  constructor(pieces: number) {
    this.#words = 1 + (pieces * PIECE_BYTES) / Uint32Array.BYTES_PER_ELEMENT;
    this.#texts = new Uint32Array(256 * this.#words);
  }

  /** Bytes that the texts take here. */
  get bytes(): number {
    return this.#count * this.#words * Uint32Array.BYTES_PER_ELEMENT;
  }

  /** The number of a text. */
  code(text: Uint32Array): number {
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(text, 0) & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] ?? -1;
      if (entry === -1) return this.#add(text, slot);
      if (this.#equals(text, entry)) return entry;
    }
  }

  /** The texts in the order of their numbers, with a picture in the place of NUL, at which an engine of tables would end them. */
  async toVector(): Promise<Vector> {
    const source = new Uint8Array(this.#texts.buffer);
    const offsets = new Int32Array(this.#count + 1);
    for (let entry = 0; entry < this.#count; entry += 1) offsets[entry + 1] = (offsets[entry] ?? 0) + this.#length(entry);
    const data = new Uint8Array(offsets[this.#count] ?? 0);
    for (let entry = 0; entry < this.#count; entry += 1) {
      const start = (entry * this.#words + 1) * Uint32Array.BYTES_PER_ELEMENT;
      data.set(source.subarray(start, start + this.#length(entry)), offsets[entry]);
      if (entry % STEP_ENTRIES === STEP_ENTRIES - 1) await yieldToLoop();
    }
    if (data.includes(0)) return withoutNul(data, offsets);
    return new Vector([makeData({ type: new Utf8(), length: this.#count, nullCount: 0, data, valueOffsets: offsets })]);
  }

  #length(entry: number): number {
    return this.#texts[entry * this.#words] ?? 0;
  }

  #hash(words: Uint32Array, start: number): number {
    let hash = SEED;
    for (let index = 0; index < this.#words; index += 1) {
      hash = Math.imul(hash ^ (words[start + index] ?? 0), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash;
  }

  #equals(text: Uint32Array, entry: number): boolean {
    const start = entry * this.#words;
    for (let index = 0; index < this.#words; index += 1) if (this.#texts[start + index] !== text[index]) return false;
    return true;
  }

  #add(text: Uint32Array, slot: number): number {
    const entry = this.#count;
    const start = entry * this.#words;
    if (start + this.#words > this.#texts.length) {
      const larger = new Uint32Array(this.#texts.length * 2);
      larger.set(this.#texts);
      this.#texts = larger;
    }
    for (let index = 0; index < this.#words; index += 1) this.#texts[start + index] = text[index] ?? 0;
    this.#slots[slot] = entry;
    this.#count += 1;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    return entry;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 4).fill(-1);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#count; entry += 1) {
      let slot = this.#hash(this.#texts, entry * this.#words) & mask;
      while (slots[slot] !== -1) slot = (slot + 1) & mask;
      slots[slot] = entry;
    }
    this.#slots = slots;
  }
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
