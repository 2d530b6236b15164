import type { Drawing } from '../explore/drawing.ts';
import type { Explorer } from '../explore/explorer.ts';
import { html } from '../ui/dom.ts';
import { cellText } from '../ui/format.ts';
import type { Grid } from './grid.ts';
import type { CellPress } from './selection.ts';

/** A place in the view: the column, then the row, from 0. */
interface Place {
  readonly x: number;
  readonly y: number;
}

/** How far a view reaches, and what its columns are called. */
interface Extent {
  readonly columns: readonly string[];
  readonly rows: number;
}

interface CellCursorOptions {
  readonly explorer: Explorer;
  readonly life: AbortSignal;
  /** A cell was chosen by keyboard; answers how it is called. */
  readonly choose: (press: CellPress) => string;
  /** Somebody wants to write about the cell that is chosen. */
  readonly write: () => void;
}

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  regular-table:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; }
  regular-table:focus td.covista-place { outline: 2px solid var(--accent); outline-offset: -2px; }
`);

/** Rows that Page Up and Page Down move by, where no rows are in sight to count. */
const PAGE_ROWS = 20;
/** Presses that wait while the view answers; a key that is held down longer skips some. */
const WAITING_MAX = 4;

/** Chooses cells of a grid with the keyboard, as a pointer does: arrow keys move, Enter writes. */
export class CellCursor {
  readonly #options: CellCursorOptions;
  /** Says to a screen reader which cell is chosen. */
  readonly #voice = html('p', { class: 'visually-hidden', role: 'status', 'data-cell-voice': true });
  readonly #known = new WeakSet<Grid>();
  #grid: Grid | undefined;
  #place: Place | undefined;
  /** Of the drawing that it was measured for. */
  #measured: { readonly drawing: Drawing | undefined; readonly extent: Promise<Extent> } | undefined;
  #moves: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(options: CellCursorOptions) {
    this.#options = options;
    document.body.append(this.#voice);
    options.life.addEventListener('abort', () => this.#voice.remove(), { once: true });
  }

  /** The row that was chosen last, by its place in the view. */
  get row(): number | undefined {
    return this.#place?.y;
  }

  /** Goes back to the grid, as after something was written about a cell. */
  focus(): void {
    this.#grid?.focus({ preventScroll: true });
  }

  /** `styled` is where the styles of the grid's cells go; the grid itself may not be in the page yet. */
  listen(grid: Grid, styled: DocumentOrShadowRoot): void {
    this.#grid = grid;
    if (this.#known.has(grid)) return;
    this.#known.add(grid);
    styled.adoptedStyleSheets.push(STYLE);
    grid.setAttribute('role', 'application');
    grid.setAttribute('aria-roledescription', 'grid');
    grid.setAttribute('aria-label', 'Rows of the view. Arrow keys choose a cell, Enter writes a note about it.');
    grid.setAttribute('aria-keyshortcuts', 'ArrowUp ArrowDown ArrowLeft ArrowRight Home End PageUp PageDown Enter');
    grid.addStyleListener(() => this.#paint(grid));
    grid.addEventListener('mousedown', (event) => this.#press(grid, event), { capture: true });
    grid.addEventListener('keydown', (event) => this.#key(grid, event));
  }

  #press(grid: Grid, event: MouseEvent): void {
    const cell = event.composedPath().find((target): target is HTMLElement => target instanceof HTMLElement && target.tagName === 'TD');
    const meta = cell && grid.getMeta(cell);
    this.#place = meta?.x === undefined || meta.y === undefined ? undefined : { x: meta.x, y: meta.y };
    this.#paint(grid);
  }

  #key(grid: Grid, event: KeyboardEvent): void {
    // Keys that are pressed in a part of the grid, such as a cell that is edited, are its own.
    if (event.composedPath()[0] !== grid || event.altKey || event.shiftKey) return;
    const isWriting = event.key === 'Enter' && this.#place !== undefined;
    const key = event.ctrlKey || event.metaKey ? `Control+${event.key}` : event.key;
    if (!isWriting && !(key in MOVES)) return;
    event.preventDefault();
    if (!isWriting && this.#waiting >= WAITING_MAX) return;
    this.#waiting += 1;
    const act = isWriting ? async () => this.#options.write() : () => this.#move(grid, key);
    // The view was replaced while it was asked: its successor begins without a chosen cell.
    this.#moves = this.#moves
      .then(act)
      .catch(() => this.#forget())
      .finally(() => (this.#waiting -= 1));
  }

  async #move(grid: Grid, key: string): Promise<void> {
    const { explorer, choose } = this.#options;
    const extent = await this.#measure();
    if (extent.rows === 0 || extent.columns.length === 0) return;
    const seen = sightOf(grid);
    const from = this.#place;
    const wanted =
      from === undefined
        ? { x: seen?.left ?? 0, y: seen?.top ?? 0 }
        : MOVES[key]?.(from, extent, seen ? Math.max(1, seen.bottom - seen.top) : PAGE_ROWS);
    if (wanted === undefined) return;
    const place = { x: within(wanted.x, extent.columns.length), y: within(wanted.y, extent.rows) };
    this.#place = place;
    await bringIntoSight(grid, place);
    this.#paint(grid);
    const view = await explorer.viewer?.getView();
    const [row] = ((await view?.to_json({ start_row: place.y, end_row: place.y + 1 })) ?? []) as Record<string, unknown>[];
    const column = extent.columns[place.x];
    if (row === undefined || column === undefined) return;
    const splits = explorer.drawing.value?.config.split_by?.length ?? 0;
    const name = choose({ row, column_names: [column.split('|').slice(splits).join('|')] });
    this.#voice.textContent = `${name}: ${cellText(row[column]) || 'empty'}`;
  }

  #measure(): Promise<Extent> {
    const { explorer } = this.#options;
    const drawing = explorer.drawing.value;
    if (this.#measured?.drawing !== drawing || this.#measured === undefined) this.#measured = { drawing, extent: extentOf(explorer) };
    return this.#measured.extent;
  }

  #forget(): void {
    this.#place = undefined;
    this.#measured = undefined;
  }

  #paint(grid: Grid): void {
    if (grid !== this.#grid) return;
    for (const cell of grid.querySelectorAll('tbody td')) {
      const meta = grid.getMeta(cell);
      cell.classList.toggle('covista-place', meta !== undefined && meta.x === this.#place?.x && meta.y === this.#place?.y);
    }
  }
}

type Move = (from: Place, extent: Extent, page: number) => Place;

/** Where each key leads; what lies outside the view ends at its edge. */
const MOVES: Readonly<Record<string, Move>> = {
  ArrowUp: ({ x, y }) => ({ x, y: y - 1 }),
  ArrowDown: ({ x, y }) => ({ x, y: y + 1 }),
  ArrowLeft: ({ x, y }) => ({ x: x - 1, y }),
  ArrowRight: ({ x, y }) => ({ x: x + 1, y }),
  PageUp: ({ x, y }, _extent, page) => ({ x, y: y - page }),
  PageDown: ({ x, y }, _extent, page) => ({ x, y: y + page }),
  Home: ({ y }) => ({ x: 0, y }),
  End: ({ y }, { columns }) => ({ x: columns.length - 1, y }),
  'Control+Home': () => ({ x: 0, y: 0 }),
  'Control+End': (_from, { columns, rows }) => ({ x: columns.length - 1, y: rows - 1 }),
};

const within = (place: number, count: number): number => Math.max(0, Math.min(place, count - 1));

async function extentOf({ viewer, drawing }: Explorer): Promise<Extent> {
  const view = await viewer?.getView();
  if (view === undefined) return { columns: [], rows: 0 };
  const [paths, rows] = await Promise.all([view.column_paths(), view.num_rows()]);
  const { columns, split_by: splits = [] } = drawing.value?.config ?? {};
  // Columns that are there only to be sorted by are not drawn, nor are those that say where a row stands in its groups.
  const isDrawn = (path: string): boolean => {
    const name = path.split('|').slice(splits.length).join('|');
    return !path.startsWith('__') && (columns === undefined || columns.includes(name));
  };
  return { columns: paths.filter(isDrawn), rows };
}

interface Sight {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The cells that are seen whole. */
function sightOf(grid: Grid): Sight | undefined {
  const frame = grid.getBoundingClientRect();
  const cells = [...grid.querySelectorAll('tbody td')].flatMap((cell) => {
    const { right, bottom } = cell.getBoundingClientRect();
    const meta = grid.getMeta(cell);
    const isWhole = right <= frame.right + 1 && bottom <= frame.bottom + 1;
    return meta?.x === undefined || meta.y === undefined || !isWhole ? [] : [{ x: meta.x, y: meta.y }];
  });
  if (cells.length === 0) return undefined;
  const [columns, rows] = [cells.map(({ x }) => x), cells.map(({ y }) => y)];
  return { left: Math.min(...columns), right: Math.max(...columns), top: Math.min(...rows), bottom: Math.max(...rows) };
}

/** More screens than this are not scrolled through to find a column. */
const STEPS_MAX = 50;

/** Scrolls no further than is needed; columns differ in width, so that one may have to be put first. */
async function bringIntoSight(grid: Grid, { x, y }: Place): Promise<void> {
  const seen = sightOf(grid);
  if (seen === undefined) return grid.scrollToCell(x, y);
  const isBeside = (now: Sight | undefined): now is Sight => now !== undefined && (x < now.left || x > now.right || y < now.top || y > now.bottom);
  if (!isBeside(seen)) return;
  const left = x < seen.left ? x : seen.left + Math.max(0, x - seen.right);
  const top = y < seen.top ? y : seen.top + Math.max(0, y - seen.bottom);
  await grid.scrollToCell(left, top);
  if (!isBeside(sightOf(grid))) return;
  await grid.scrollToCell(x, top);
  // Of columns that were never drawn the grid guesses the widths, and may stop far from the one that is wanted.
  for (let step = 0, now = sightOf(grid); step < STEPS_MAX && isBeside(now) && (x < now.left || x > now.right); step += 1, now = sightOf(grid)) {
    grid.scrollLeft += (x < now.left ? -1 : 1) * grid.clientWidth;
    await grid.draw();
  }
}
