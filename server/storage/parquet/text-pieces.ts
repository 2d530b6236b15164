import { DuckDBTypeId, type DuckDBVector } from '@duckdb/node-api';
import { assert } from '../../shared/assert.ts';
import { isSet, maskOf, rawOf } from './raw-vector.ts';

/** Words of a text in a vector: its length, and either its bytes, if they are at most twelve, or where they are. */
export const VECTOR_WORDS = 4;
const VECTOR_BYTES = VECTOR_WORDS * Uint32Array.BYTES_PER_ELEMENT;
/** Bytes of a text that DuckDB keeps in the vector itself, padded with zeros. Fetching one that lies elsewhere costs microseconds. */
export const PIECE_BYTES = 12;
export const PIECE_WORDS = PIECE_BYTES / Uint32Array.BYTES_PER_ELEMENT;
/** Texts are read in so many pieces at most. */
export const PIECES_MAX = 8;

/** Into how many pieces texts go of which the longest has so many bytes. */
export const piecesFor = (textBytes: number): number => Math.max(1, Math.ceil(textBytes / PIECE_BYTES));

/** SQL of the vectors that have a text in pieces: of one the text itself, of more its length in bytes as INTEGER and then each as BLOB. */
export function piecesSql(sql: string, pieces: number): string[] {
  if (pieces === 1) return [sql];
  const piece = (index: number): string => `encode(${sql})[${index * PIECE_BYTES + 1}:${(index + 1) * PIECE_BYTES}]`;
  return [`CAST(strlen(${sql}) AS INTEGER)`, ...Array.from({ length: pieces }, (_unused, index) => piece(index))];
}

export function wordsOf(vector: DuckDBVector): Int32Array {
  const { dataView } = rawOf(vector);
  assert(dataView instanceof DataView, 'texts');
  return new Int32Array(dataView.buffer, dataView.byteOffset, vector.itemCount * VECTOR_WORDS);
}

export function lengthsOf(vector: DuckDBVector): Int32Array {
  const { items } = rawOf(vector);
  assert(items instanceof Int32Array, 'lengths of texts');
  return items;
}

/** What a column is read from: one vector, or those that `piecesSql` gives. */
export type Vectors = readonly [DuckDBVector, ...DuckDBVector[]];

/** Texts of vectors by row, in UTF-8 as they lie there. */
export class TextRows {
  readonly #mask: Uint8Array | undefined;
  readonly #lengths: Int32Array | undefined;
  readonly #words: Int32Array;
  readonly #pieces: readonly Uint8Array[];

  /** Of a vector of texts or bytes, or of those that `piecesSql` gives. */
  constructor(vectors: Vectors) {
    const [first, ...others] = vectors;
    const pieces = (others.length === 0 ? [first] : others).map(wordsOf);
    this.#mask = maskOf(first);
    this.#lengths = others.length === 0 ? undefined : lengthsOf(first);
    this.#words = pieces[0] as Int32Array;
    this.#pieces = pieces.map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
  }

  isPresent(row: number): boolean {
    return isSet(this.#mask, row);
  }

  /** In bytes, of one that is present. */
  length(row: number): number {
    return (this.#lengths === undefined ? this.#words[row * VECTOR_WORDS] : this.#lengths[row]) ?? 0;
  }

  /** Whether all of it is here. */
  isWhole(row: number): boolean {
    return this.#lengths !== undefined || this.length(row) <= PIECE_BYTES;
  }

  copy(row: number, into: Uint8Array, offset: number): void {
    const end = offset + this.length(row);
    const start = (row + 1) * VECTOR_BYTES - PIECE_BYTES;
    let to = offset;
    for (const piece of this.#pieces) {
      const pieceEnd = Math.min(end, to + PIECE_BYTES);
      for (let from = start; to < pieceEnd; from += 1, to += 1) into[to] = piece[from] ?? 0;
    }
  }
}

/** Whether the values of vectors are bytes that can be copied as they are. */
export function areTexts(vectors: Vectors): boolean {
  const { typeId } = vectors[0].type;
  return vectors.length > 1 || typeId === DuckDBTypeId.VARCHAR || typeId === DuckDBTypeId.BLOB;
}
