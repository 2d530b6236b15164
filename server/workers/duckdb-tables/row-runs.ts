import type { Range } from './table.ts';

/** Rows by their numbers, ascending, kept as runs of consecutive ones. They never change, so that views share them. */
export class RowRuns {
  /** The first row of each run. */
  readonly #starts: Uint32Array;
  /** How many rows are before each run, and at the end how many there are. */
  readonly #places: Uint32Array;

  constructor(ranges: Iterable<Range>) {
    const starts: number[] = [];
    const places = [0];
    let [length, last] = [0, -1];
    for (const { start, end } of ranges) {
      if (start >= end) continue;
      length += end - start;
      if (start === last) places[places.length - 1] = length;
      else places.push(length);
      if (start !== last) starts.push(start);
      last = end;
    }
    this.#starts = Uint32Array.from(starts);
    this.#places = Uint32Array.from(places);
  }

  get length(): number {
    return this.#placeOfRun(this.#starts.length);
  }

  get bytes(): number {
    return this.#starts.byteLength + this.#places.byteLength;
  }

  /** The row at a place, if there is one. */
  at(place: number): number | undefined {
    for (const { start } of this.slice(place, place + 1)) return start;
    return undefined;
  }

  /** How many of them are before a row. */
  placeOf(row: number): number {
    const run = lastAtMost(this.#starts, this.#starts.length, row);
    return run < 0 ? 0 : Math.min(this.#placeOfRun(run) + row - (this.#starts[run] ?? 0), this.#placeOfRun(run + 1));
  }

  /** Those from one place to another, exclusive. */
  *slice(from: number, to: number): Generator<Range> {
    for (let run = lastAtMost(this.#places, this.#starts.length, from); run < this.#starts.length; run += 1) {
      const place = this.#placeOfRun(run);
      if (place >= to) return;
      const first = (this.#starts[run] ?? 0) - place;
      const range = { start: first + Math.max(from, place), end: first + Math.min(to, this.#placeOfRun(run + 1)) };
      if (range.start < range.end) yield range;
    }
  }

  #placeOfRun(run: number): number {
    return this.#places[run] ?? 0;
  }
}

/** The last of the first `count` of ascending numbers that is at most so much; -1 where none is. */
function lastAtMost(numbers: Uint32Array, count: number, most: number): number {
  let [low, high] = [-1, count];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= most) low = middle;
    else high = middle;
  }
  return low;
}
