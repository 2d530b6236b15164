/**
 * Which rows of a nested result a view shows. Rows are in the order in which they are read when all are open, so that the
 * descendants of a row follow it. Opening a row shows its children, closed; closing it closes everything below.
 */
export class RowTree {
  readonly #depths: Uint8Array;
  readonly #isOpen: Uint8Array;
  #visible: Uint32Array;

  constructor(depths: Uint8Array) {
    this.#depths = depths;
    this.#isOpen = new Uint8Array(depths.length).fill(1);
    this.#visible = this.#walk();
  }

  /** How many rows are shown. */
  get length(): number {
    return this.#visible.length;
  }

  /** Numbers of the shown rows from `start` to `end` exclusive. */
  slice(start: number, end: number): number[] {
    return [...this.#visible.subarray(start, end)];
  }

  /** The depth of the deepest row that is shown. */
  get depth(): number {
    return this.#visible.reduce((deepest, row) => Math.max(deepest, this.#depths[row] ?? 0), 0);
  }

  /** Shows the rows down to a depth. */
  openTo(depth: number): void {
    for (let row = 0; row < this.#isOpen.length; row += 1) this.#isOpen[row] = (this.#depths[row] ?? 0) < depth ? 1 : 0;
    this.#visible = this.#walk();
  }

  /** Opens a shown row; returns how many rows that adds. */
  expand(place: number): number {
    const row = this.#visible[place];
    if (row === undefined || this.#isOpen[row] === 1) return 0;
    this.#isOpen[row] = 1;
    return this.#update();
  }

  /** Closes a shown row with everything below it; returns how many rows that takes away. */
  collapse(place: number): number {
    const row = this.#visible[place];
    if (row === undefined) return 0;
    for (let below = row; below === row || this.#isBelow(below, row); below += 1) this.#isOpen[below] = 0;
    return -this.#update();
  }

  #isBelow(row: number, above: number): boolean {
    return row < this.#depths.length && (this.#depths[row] ?? 0) > (this.#depths[above] ?? 0);
  }

  #update(): number {
    const before = this.#visible.length;
    this.#visible = this.#walk();
    return this.#visible.length - before;
  }

  #walk(): Uint32Array {
    const visible = new Uint32Array(this.#depths.length);
    let count = 0;
    let row = 0;
    while (row < this.#depths.length) {
      visible[count] = row;
      count += 1;
      const top = row;
      row += 1;
      if (this.#isOpen[top] === 0) while (this.#isBelow(row, top)) row += 1;
    }
    return visible.slice(0, count);
  }
}
