import { assert } from '../../shared/assert.ts';
import type { Session } from '../../storage/parquet/session.ts';
import type { Cells } from './cells.ts';
import type { ColumnKind } from './column-types.ts';
import {
  checkPaths,
  computeFlat,
  computeGroups,
  computeSplit,
  flatItems,
  keyNames,
  pathsStatement,
  shownAliases,
  splitNames,
  valueNames,
} from './compute.ts';
import type { Frame, FramePaths, Grid, RowChoice, Value } from './frame.ts';
import { boundedGrid, chosen, frameColumn, readGrid, readGrids, statementsOf, transposed } from './grid.ts';
import { keptRows, keptTable } from './kept-cells.ts';
import type { MemoryShare } from './memory-room.ts';
import type { ViewPlan } from './plan.ts';
import type { Range, RowSource, Statement, Table } from './table.ts';
import { ViewFault } from './view-fault.ts';

/** Runs work on a connection, when there is one to spare. */
export type Query = <T>(work: (session: Session) => Promise<T>) => Promise<T>;

/** What was computed for a configuration. It is shared by every view that has it, and never changes. */
export class Result {
  readonly rows: number;
  /** What the columns of a split are of, in order; of a view without a split, one empty path. */
  readonly columnPaths: readonly (readonly Value[])[];
  readonly #table: Table;
  readonly #plan: ViewPlan;
  /** The beginning of the names of its tables; null: it is read where the table is. */
  readonly #name: string | null;
  /** What would be read of `_rows`, where it is small; there is no such table then. */
  readonly #cells: Cells | undefined;
  readonly #bytesMax: number;

  private constructor(parts: ResultParts) {
    this.#table = parts.table;
    this.#plan = parts.plan;
    this.#name = parts.name;
    this.rows = parts.rows;
    this.columnPaths = parts.columnPaths;
    this.#cells = parts.cells;
    this.#bytesMax = parts.bytesMax;
  }

  /** Whether there are tables of it. */
  get hasTables(): boolean {
    return this.#name !== null && this.#cells === undefined;
  }

  /** Computes what a plan asks for, into tables that begin with `name`. A view that shows rows as they come is not copied. */
  static async compute(session: Session, { tableRows, columnsMax, room, ...own }: Computation): Promise<Result> {
    const { table, source, plan, name, bytesMax } = own;
    switch (plan.shape) {
      case 'flat': {
        if (plan.isLazy) {
          const cells = await keptTable(session, { table, plan, rows: tableRows, room });
          return new Result({ ...own, name: null, rows: tableRows, columnPaths: [[]], cells });
        }
        const rows = await computeFlat(session, source, plan, name);
        return new Result({ ...own, rows, columnPaths: [[]], cells: await keptRows(session, { name, rows, plan, room }) });
      }
      case 'splitRows': {
        const columnPaths = transposed(await readGrid(session, pathsStatement(source, plan, columnsMax), columnsMax, bytesMax));
        checkPaths(columnPaths.length, plan, columnsMax);
        if (plan.isLazy) return new Result({ ...own, name: null, rows: tableRows, columnPaths });
        return new Result({ ...own, rows: await computeFlat(session, source, plan, name), columnPaths });
      }
      case 'grouped': {
        const rows = await computeGroups(session, source, plan, name);
        return new Result({ ...own, rows, columnPaths: [[]], cells: await keptRows(session, { name, rows, plan, room }) });
      }
      case 'split': {
        const rows = await computeSplit(session, source, plan, name, columnsMax);
        const items = ['e', ...splitNames(plan)].join(', ');
        const statement = { sql: `SELECT ${items} FROM ${name}_columns ORDER BY c`, values: [] };
        const paths = transposed(await readGrid(session, statement, columnsMax, bytesMax));
        return new Result({ ...own, rows, columnPaths: paths.map(([depth, ...path]) => path.slice(0, Number(depth))) });
      }
    }
  }

  /** Removes every table that a computation may have made, whatever became of it. */
  static async drop(session: Session, name: string): Promise<void> {
    for (const part of ['rows', 'cells', 'columns', 'groups']) await session.execute(`DROP TABLE IF EXISTS ${name}_${part}`);
  }

  /** Cells of rows and of a range of columns, which are counted over all paths of a split. */
  async read(query: Query, rows: RowChoice, columns: Range): Promise<Frame> {
    switch (this.#plan.shape) {
      case 'flat':
        return this.#readFlat(query, rows, columns);
      case 'splitRows':
        return query((session) => this.#readSplitRows(session, rows, columns));
      case 'grouped':
        return this.#readGroups(query, rows, columns);
      case 'split':
        return query((session) => this.#readSplit(session, rows, columns));
    }
  }

  /** How deep each row is. */
  async depths(query: Query): Promise<Uint8Array> {
    if (this.#cells !== undefined) return Uint8Array.from(this.#cells.valuesOf('d'), Number);
    const statement = { sql: `SELECT d FROM ${this.#name}_rows ORDER BY rowid`, values: [] };
    const { values } = await query((session) => readGrid(session, statement, this.rows, this.#bytesMax));
    return Uint8Array.from(values[0] ?? [], Number);
  }

  /** The least and the greatest value of a column, in rows of one depth where they have any. */
  async extremes(query: Query, column: string, depth: number): Promise<{ least: Value; greatest: Value; kind: ColumnKind }> {
    const index = this.#plan.columns.findIndex(({ name }) => name === column);
    const shown = this.#plan.columns[index];
    if (shown === undefined) throw new ViewFault(`the view has no column ${JSON.stringify(column)}`);
    if (this.#cells !== undefined) return { ...this.#keptExtremes(this.#cells, index, depth), kind: shown.kind };
    const grid = await query((session) => readGrid(session, this.#extremesOf(index, depth), 1, this.#bytesMax));
    return { least: grid.values[0]?.[0] ?? null, greatest: grid.values[1]?.[0] ?? null, kind: shown.kind };
  }

  #keptExtremes(cells: Cells, index: number, depth: number): { least: Value; greatest: Value } {
    if (this.#plan.shape === 'grouped') return cells.extremes(shownAliases(this.#plan)[index] ?? '', depth);
    return cells.extremes(`v${index}`, undefined);
  }

  #extremesOf(index: number, depth: number): Statement {
    const alias = shownAliases(this.#plan)[index];
    const both = (name: string): string => `SELECT min(${name}), max(${name})`;
    if (this.#plan.shape === 'grouped') return { sql: `${both(`${alias}`)} FROM ${this.#name}_rows WHERE d = ${depth}`, values: [] };
    if (this.#plan.shape === 'split') {
      return { sql: `${both(`c.${alias}`)} FROM ${this.#name}_cells c JOIN ${this.#name}_rows r ON r.n = c.n WHERE r.d = ${depth}`, values: [] };
    }
    const { sql, values } = this.#flatRows([{ start: 0, end: this.rows }]);
    return { sql: `${both(`v${index}`)} FROM (${sql})`, values };
  }

  /** Columns of rows, from where they are kept, or else by a statement. */
  async #gridOf(query: Query, names: readonly string[], rows: RowChoice, statement: (piece: RowChoice) => Statement): Promise<Grid> {
    if (this.#cells !== undefined) return boundedGrid(this.#cells, { names, rows }, this.#bytesMax);
    const named = (piece: RowChoice): Statement => {
      const { sql, values } = statement(piece);
      return { sql: `SELECT ${names.join(', ') || 'NULL'} FROM (${sql})`, values };
    };
    return query((session) => readGrids(session, statementsOf(rows, named), this.#bytesMax));
  }

  async #readFlat(query: Query, rows: RowChoice, columns: Range): Promise<Frame> {
    const names = valueNames(this.#plan).slice(columns.start, columns.end);
    const grid = await this.#gridOf(query, names, rows, (piece) => this.#flatRows(piece));
    const shown = this.#plan.columns.slice(columns.start, columns.end);
    return { rows: grid.rows, columns: shown.map((column, index) => frameColumn(grid, index, [column.name], column.kind)), paths: undefined };
  }

  /** A row has its values in the columns of its own path, and nothing in the others. */
  async #readSplitRows(session: Session, rows: RowChoice, range: Range): Promise<Frame> {
    const [names, splits] = [valueNames(this.#plan), splitNames(this.#plan)];
    const named = (piece: RowChoice): Statement => {
      const { sql, values } = this.#flatRows(piece);
      return { sql: `SELECT ${[...names, ...splits].join(', ')} FROM (${sql})`, values };
    };
    const grid = await readGrids(session, statementsOf(rows, named), this.#bytesMax);
    const places = new Map(this.columnPaths.map((path, index) => [pathKey(path), index]));
    const own = Array.from({ length: grid.rows }, (_unused, row) =>
      places.get(pathKey(splits.map((_split, at) => grid.values[names.length + at]?.[row] ?? null))),
    );
    const columns = this.#columnsIn(range).map(({ path, place, index, name, kind }) => {
      const column = grid.values[index] ?? [];
      return {
        path: [...path, name],
        kind,
        type: grid.types[index] ?? '',
        values: own.map((at, row) => (at === place ? (column[row] ?? null) : null)),
      };
    });
    return { rows: grid.rows, columns, paths: undefined };
  }

  #flatRows(rows: RowChoice): Statement {
    if (this.#name !== null) return { sql: `SELECT * FROM ${this.#name}_rows WHERE ${chosen('rowid', rows)} ORDER BY rowid`, values: [] };
    const [range] = rows;
    assert(range !== undefined && rows.length === 1, 'rows that are not grouped come in one range');
    const { sql, values } = this.#table.window(this.#plan.fields, range);
    return { sql: `SELECT ${flatItems(this.#plan)} FROM (${sql})`, values };
  }

  async #readGroups(query: Query, rows: RowChoice, columns: Range): Promise<Frame> {
    const keys = keyNames(this.#plan);
    const aliases = shownAliases(this.#plan).slice(columns.start, columns.end);
    const statement = (piece: RowChoice): Statement => {
      return { sql: `SELECT * FROM ${this.#name}_rows WHERE ${chosen('rowid', piece)} ORDER BY rowid`, values: [] };
    };
    const grid = await this.#gridOf(query, ['d', ...keys, ...aliases], rows, statement);
    const shown = this.#plan.columns.slice(columns.start, columns.end);
    return {
      rows: grid.rows,
      columns: shown.map((column, index) => frameColumn(grid, 1 + keys.length + index, [column.name], column.kind)),
      paths: this.#pathsOf(grid),
    };
  }

  async #readSplit(session: Session, rows: RowChoice, range: Range): Promise<Frame> {
    const items = ['d', ...keyNames(this.#plan), 'n'].join(', ');
    const statement = (piece: RowChoice): Statement => {
      return { sql: `SELECT ${items} FROM ${this.#name}_rows WHERE ${chosen('n', piece)} ORDER BY n`, values: [] };
    };
    const grid = await readGrids(session, statementsOf(rows, statement), this.#bytesMax);
    const numbers = grid.values.at(-1) ?? [];
    const columns = this.#columnsIn(range);
    const cells = await this.#readCells(session, rows, columns);
    const places = new Map(numbers.map((number, row) => [Number(number), row]));
    const filled = columns.map(({ path, index, name, kind }) => ({
      path: [...path, name],
      kind,
      type: cells.types[2 + index] ?? '',
      values: new Array<Value>(grid.rows).fill(null),
    }));
    const first = columns[0]?.place ?? 0;
    const byPlace = Map.groupBy(columns.keys(), (at) => (columns[at]?.place ?? 0) - first);
    for (let cell = 0; cell < cells.rows; cell += 1) {
      const row = places.get(Number(cells.values[0]?.[cell]));
      for (const at of byPlace.get(Number(cells.values[1]?.[cell]) - first) ?? []) {
        const values = filled[at]?.values;
        if (row !== undefined && values !== undefined) values[row] = cells.values[2 + (columns[at]?.index ?? 0)]?.[cell] ?? null;
      }
    }
    return { rows: grid.rows, columns: filled, paths: this.#pathsOf(grid) };
  }

  async #readCells(session: Session, rows: RowChoice, columns: readonly { readonly place: number }[]): Promise<Grid> {
    const places = `c BETWEEN ${columns[0]?.place ?? 0} AND ${columns.at(-1)?.place ?? -1}`;
    const items = ['n', 'c', ...shownAliases(this.#plan)].join(', ');
    const statement = (piece: RowChoice): Statement => {
      return { sql: `SELECT ${items} FROM ${this.#name}_cells WHERE ${chosen('n', piece)} AND ${places}`, values: [] };
    };
    return readGrids(session, statementsOf(rows, statement, columns.length), this.#bytesMax);
  }

  /** The columns of a range, each with the number of its path and of the column within the path. */
  #columnsIn({ start, end }: Range): { path: readonly Value[]; place: number; index: number; name: string; kind: ColumnKind }[] {
    const each = this.#plan.columns;
    const last = Math.min(end, each.length * this.columnPaths.length);
    return Array.from({ length: Math.max(0, last - start) }, (_unused, offset) => {
      const [place, index] = [Math.floor((start + offset) / each.length), (start + offset) % each.length];
      const column = each[index];
      assert(column !== undefined, 'a column of a view');
      return { path: this.columnPaths[place] ?? [], place, index, ...column };
    });
  }

  /** Paths of rows, whose depths are the first column of the grid and whose keys follow. */
  #pathsOf(grid: Grid): FramePaths | undefined {
    const { keys } = this.#plan;
    if (keys.length === 0) return undefined;
    return {
      columns: keys.map((key, index) => frameColumn(grid, index + 1, [key.name], key.kind)),
      depths: (grid.values[0] ?? []).map(Number),
    };
  }
}

interface ResultParts extends Pick<Computation, 'table' | 'plan' | 'bytesMax'> {
  readonly name: string | null;
  readonly rows: number;
  readonly columnPaths: readonly (readonly Value[])[];
  readonly cells?: Cells | undefined;
}

export interface Computation {
  readonly table: Table;
  /** Where the rows are read of what is computed now; windows of rows as they come are read from the table. */
  readonly source: RowSource;
  readonly plan: ViewPlan;
  readonly name: string;
  /** How many rows the table has. */
  readonly tableRows: number;
  /** How many bytes of text a window may have. */
  readonly bytesMax: number;
  /** How many columns a view may have. */
  readonly columnsMax: number;
  /** Where cells are kept. */
  readonly room: MemoryShare;
}

/** Tells apart also what JSON does not: integers of different kinds, and numbers that are none from NULL. */
const pathKey = (path: readonly Value[]): string =>
  JSON.stringify(path, (_key, value: unknown) =>
    typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)) ? `${value}n` : value,
  );
