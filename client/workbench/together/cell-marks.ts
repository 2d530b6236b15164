import type { AnnotationEntry, PresentClient } from '../../index.ts';
import type { Drawing } from '../explore/drawing.ts';
import type { OpenedTable } from '../explore/open-table.ts';
import type { Viewer } from '../explore/viewer.ts';
import type { Grid, GridPlugin } from './grid.ts';
import { nameOf } from './people.ts';
import { type Anchor, keyValue, type Selection, sameKey, shownKey } from './selection.ts';

/** What is drawn onto cells. */
export interface Marks {
  readonly notes: readonly AnnotationEntry[];
  readonly others: readonly PresentClient[];
  readonly own: Selection | undefined;
  readonly key: readonly string[] | null;
  readonly types: ReadonlyMap<string, string>;
  readonly drawing: Drawing | undefined;
  /** The version that is shown. */
  readonly versionId: OpenedTable['versionId'];
}

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  td.covista-note { background-image: linear-gradient(225deg, #d9822b 6px, transparent 6.5px); background-repeat: no-repeat; }
  td.covista-own { box-shadow: inset 0 0 0 1.5px #0f8f85; }
  td.covista-cursor { box-shadow: inset 0 0 0 2px var(--covista-cursor); position: relative; overflow: visible !important; }
  td.covista-cursor::after { content: attr(data-covista-person); position: absolute; z-index: 2; left: 0; top: -13px; padding: 0 5px; border-radius: 3px 3px 3px 0; font: 600 10px/14px sans-serif; color: #fff; background: var(--covista-cursor); pointer-events: none; }
`);

/** Rows whose keys are kept; more are asked for again. */
const KEYS_MAX = 5_000;

interface Cell {
  readonly element: HTMLElement;
  readonly column: string;
  readonly row: number;
}

/** Draws notes and cursors onto the grid of a viewer, whatever of it is in sight. */
export class CellMarks {
  readonly #seen = new WeakSet<Element>();
  /** Keys by the row's place in the view: the grid holds only the columns that are in sight. */
  readonly #keys = new Map<number, Anchor['rowKey']>();
  #viewer: Viewer | undefined;
  #marks: Marks | undefined;
  #reading = false;
  /** Told of every grid that the viewer shows. */
  readonly #found: (grid: Grid, styled: DocumentOrShadowRoot) => void;

  constructor(found: (grid: Grid, styled: DocumentOrShadowRoot) => void) {
    this.#found = found;
  }

  /** Draws the marks now and after every draw of a grid; the viewer makes a grid when it first needs one. */
  set(viewer: Viewer, marks: Marks): void {
    if (marks.drawing !== this.#marks?.drawing || marks.key !== this.#marks?.key) this.#keys.clear();
    this.#viewer = viewer;
    this.#marks = asShown(marks);
    for (const plugin of viewer.querySelectorAll<GridPlugin>('perspective-viewer-datagrid')) {
      const styled = plugin.shadowRoot ?? document;
      if (!this.#seen.has(plugin)) {
        this.#seen.add(plugin);
        styled.adoptedStyleSheets.push(STYLE);
        plugin.regular_table.addStyleListener(() => this.#paint(plugin.regular_table));
      }
      this.#found(plugin.regular_table, styled);
      this.#paint(plugin.regular_table);
    }
  }

  /** The place in the version of a row of the view, where rows have no key and the view shows them as they are. */
  placeOf(row: number | undefined): number | undefined {
    return this.#marks !== undefined && hasPlaces(this.#marks) ? row : undefined;
  }

  #paint(grid: Grid): void {
    const marks = this.#marks;
    if (marks === undefined) return;
    const cells = cellsOf(grid);
    const isPlace = hasPlaces(marks);
    for (const { element, column, row } of cells)
      paintCell(element, { rowKey: this.#keys.get(row), column, ...(isPlace ? { row, versionId: marks.versionId ?? undefined } : {}) }, marks);
    const unknown = cells.filter(({ row }) => !this.#keys.has(row)).map(({ row }) => row);
    if (unknown.length > 0 && !this.#reading && hasKeys(marks) && marksRows(marks))
      void this.#readKeys(grid, Math.min(...unknown), Math.max(...unknown) + 1);
  }

  /** Reads the keys of rows, and paints again when they are here. */
  async #readKeys(grid: Grid, start: number, end: number): Promise<void> {
    const marks = this.#marks;
    this.#reading = true;
    try {
      const view = await this.#viewer?.getView();
      const columns = (await view?.to_columns({ start_row: start, end_row: end })) as Readonly<Record<string, readonly unknown[]>> | undefined;
      if (columns === undefined || marks === undefined || marks.drawing !== this.#marks?.drawing) return;
      if (this.#keys.size > KEYS_MAX) this.#keys.clear();
      for (let row = start; row < end; row += 1) this.#keys.set(row, keyAt(columns, row - start, marks));
    } catch {
      // The view was replaced meanwhile; its successor is drawn, and painted, by itself.
      return;
    } finally {
      this.#reading = false;
    }
    this.#paint(grid);
  }
}

function cellsOf(grid: Grid): Cell[] {
  return [...grid.querySelectorAll<HTMLElement>('tbody td')].flatMap((element) => {
    const meta = grid.getMeta(element);
    const column = meta?.column_header?.at(-1);
    return meta?.y === undefined || typeof column !== 'string' ? [] : [{ element, column, row: meta.y }];
  });
}

/** With the keys of rows as the viewer has them, whoever wrote them. */
function asShown(marks: Marks): Marks {
  const { notes, others, types } = marks;
  return {
    ...marks,
    notes: notes.map((note) => {
      const rowKey = shownKey(note.anchor.rowKey, types);
      return rowKey === undefined ? note : { ...note, anchor: { ...note.anchor, rowKey } };
    }),
    others: others.map((other) => {
      const rowKey = shownKey(other.selection?.rowKey, types);
      return rowKey === undefined ? other : { ...other, selection: { ...other.selection, rowKey } };
    }),
  };
}

/** Whether the rows of the view are those of the table, with their keys. */
function hasKeys({ drawing, key }: Marks): boolean {
  const { group_by: groups = [], columns } = drawing?.config ?? {};
  return key !== null && groups.length === 0 && key.every((name) => columns === undefined || columns.includes(name));
}

/** Whether the rows of the view stand where they stand in the version, so that their places name them where they have no key. */
function hasPlaces({ drawing, key }: Marks): boolean {
  const { group_by: groups = [], filter = [], sort = [] } = drawing?.config ?? {};
  return key === null && groups.length === 0 && filter.length === 0 && sort.length === 0;
}

/** Whether there is anything to be drawn onto rows, so that their keys are of use. */
function marksRows({ notes, others, own }: Marks): boolean {
  const isOpen = ({ anchor, resolved }: AnnotationEntry): boolean => resolved === null && anchor.rowKey !== undefined;
  return notes.some(isOpen) || own?.rowKey !== undefined || others.some(({ selection }) => selection?.rowKey !== undefined);
}

function keyAt(columns: Readonly<Record<string, readonly unknown[]>>, index: number, { key, types }: Marks): Anchor['rowKey'] {
  const entries = (key ?? []).flatMap((name): [string, string | number | boolean][] => {
    const value = keyValue(columns[name]?.[index], types.get(name));
    return value === undefined ? [] : [[name, value]];
  });
  return entries.length === key?.length ? Object.fromEntries(entries) : undefined;
}

function paintCell(element: HTMLElement, at: Anchor, { notes, others, own }: Marks): void {
  const isRow = ({ rowKey, row }: { readonly rowKey?: Anchor['rowKey']; readonly row?: number | undefined }): boolean =>
    sameKey(rowKey, at.rowKey) || (row !== undefined && row === at.row);
  const isHere = ({ rowKey, row, versionId, column }: Anchor): boolean =>
    isRow({ rowKey, row: versionId === at.versionId ? row : undefined }) && (column === undefined || column === at.column);
  const noted = notes.filter(({ anchor, resolved }) => resolved === null && isHere(anchor));
  const person = others.find(
    ({ selection, versionId }) =>
      selection?.column !== undefined &&
      selection.column === at.column &&
      isRow({ rowKey: selection.rowKey, row: versionId === at.versionId ? selection.row : undefined }),
  );
  element.classList.toggle('covista-note', noted.length > 0);
  element.classList.toggle('covista-cursor', person !== undefined);
  element.classList.toggle('covista-own', own !== undefined && own.column === at.column && isRow(own));
  if (person === undefined) delete element.dataset.covistaPerson;
  else {
    element.dataset.covistaPerson = nameOf(person);
    element.style.setProperty('--covista-cursor', person.user?.color ?? '#0f8f85');
  }
  if (noted.length > 0) element.title = noted.map(({ author, body }) => `${author}: ${body}`).join('\n');
  else if (element.title !== '') element.removeAttribute('title');
}
