import { RowRuns } from './row-runs.ts';
import type { Range } from './table.ts';

/**
 * Which rows of a nested result a view shows. Rows are in the order in which they are read when all are open, so that the
 * descendants of a row follow it. Opening a row shows its children, closed; closing it closes everything below, so that what is
 * shown says what is open. It never changes: views of one result share it, and go on from it on their own.
 */
export class RowTree {
  readonly rows: RowRuns;
  readonly #depths: Uint8Array;

  private constructor(depths: Uint8Array, ranges: Iterable<Range>) {
    this.#depths = depths;
    this.rows = new RowRuns(ranges);
  }

  /** Shows the rows down to a depth; every row where that is the depth of the deepest. */
  static openTo(depths: Uint8Array, depth: number): RowTree {
    return new RowTree(depths, rowsTo(depths, { start: 0, end: depths.length }, depth));
  }

  /** The depth of the deepest row that is shown. */
  get depth(): number {
    let deepest = 0;
    for (const { start, end } of this.rows.slice(0, this.rows.length)) {
      for (let row = start; row < end; row += 1) deepest = Math.max(deepest, this.#depthOf(row));
    }
    return deepest;
  }

  /** Opens a shown row; itself where nothing changes. */
  expand(place: number): RowTree {
    const row = this.rows.at(place);
    if (row === undefined || this.rows.at(place + 1) === row + 1) return this;
    const below = { start: row + 1, end: this.#endOf(row) };
    return below.start === below.end ? this : this.#with(place, rowsTo(this.#depths, below, this.#depthOf(row) + 1), place + 1);
  }

  /** Closes a shown row with everything below it; itself where nothing changes. */
  collapse(place: number): RowTree {
    const row = this.rows.at(place);
    if (row === undefined) return this;
    const next = this.rows.placeOf(this.#endOf(row));
    return next === place + 1 ? this : this.#with(place, [], next);
  }

  /** What is shown up to a place, then other rows, then what is shown from another place on. */
  #with(place: number, others: Iterable<Range>, from: number): RowTree {
    const { rows } = this;
    return new RowTree(
      this.#depths,
      (function* () {
        yield* rows.slice(0, place + 1);
        yield* others;
        yield* rows.slice(from, rows.length);
      })(),
    );
  }

  /** Where what is below a row ends. */
  #endOf(row: number): number {
    let end = row + 1;
    while (end < this.#depths.length && this.#depthOf(end) > this.#depthOf(row)) end += 1;
    return end;
  }

  #depthOf(row: number): number {
    return this.#depths[row] ?? 0;
  }
}

/** The rows of a range that are no deeper than so much. */
function* rowsTo(depths: Uint8Array, { start, end }: Range, depth: number): Generator<Range> {
  let first = start;
  for (let row = start; row <= end; row += 1) {
    if (row < end && (depths[row] ?? 0) <= depth) continue;
    yield { start: first, end: row };
    first = row + 1;
  }
}
