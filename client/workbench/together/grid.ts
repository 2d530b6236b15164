/** What the grid tells of one of its cells, as far as it is used here. */
export interface CellMeta {
  readonly type: string;
  /** The place in the view: the column and the row, from 0. */
  readonly x?: number;
  readonly y?: number;
  readonly column_header?: readonly unknown[];
}

/** The grid of a viewer; only what is in sight of it has cells. */
export interface Grid extends HTMLElement {
  getMeta(cell: Element): CellMeta | undefined;
  addStyleListener(listener: () => void): void;
  draw(): Promise<void>;
  /** Puts a cell in the corner at the top left, as far as there is something to scroll. */
  scrollToCell(x: number, y: number): Promise<void>;
}

export interface GridPlugin extends HTMLElement {
  readonly regular_table: Grid;
}
