import { identifier } from '../../storage/parquet/quote.ts';
import type { Term } from './aggregates.ts';
import type { TableColumn } from './column-types.ts';
import type { CheckedExpression } from './expressions.ts';
import type { WindowConfig } from './view-config.ts';
import { ViewFault } from './view-fault.ts';
import { type PlannedWindow, planWindow } from './windows.ts';

/** The columns that a view can name, each under a name of SQL that no other has, whatever their own names are. */
export class Fields {
  readonly #columns: readonly TableColumn[];
  readonly #expressions: readonly CheckedExpression[];
  readonly #windows: ReadonlyMap<string, WindowConfig>;
  readonly #terms: ReadonlyMap<string, Term>;
  readonly #used = new Set<string>();
  /** Windows that are used, by name. */
  readonly #planned = new Map<string, PlannedWindow>();

  constructor(columns: readonly TableColumn[], expressions: readonly CheckedExpression[], windows: Readonly<Record<string, WindowConfig>> = {}) {
    this.#columns = columns;
    this.#expressions = expressions;
    this.#windows = new Map(Object.entries(windows));
    const own = columns.map(({ name, kind, type }, index) => ({ name, kind, type, sql: columnAlias(index) }));
    const made = expressions.map(({ name, kind, type }, index) => ({ name, kind, type, sql: `e${index}` }));
    // A name of the table stands for the table's column, whatever an expression is called.
    this.#terms = new Map([...made, ...own].map((term) => [term.name, term]));
  }

  /** Every name, those of the table first. */
  get names(): string[] {
    return [...this.#columns, ...this.#expressions].map(({ name }) => name).concat([...this.#windows.keys()]);
  }

  /** Whether rows are computed from those around them, so that all of them, and their places, must be read. */
  get hasWindows(): boolean {
    return this.#planned.size > 0;
  }

  /** The field of a name, which `source` then yields. */
  use(name: string): Term {
    const term = this.#terms.get(name);
    if (term === undefined) return this.#useWindow(name);
    this.#used.add(term.sql);
    return term;
  }

  #useWindow(name: string): Term {
    const config = this.#windows.get(name);
    if (config === undefined) throw new ViewFault(`there is no column ${JSON.stringify(name)}`);
    const alias = `w${[...this.#windows.keys()].indexOf(name)}`;
    const planned = this.#planned.get(name) ?? planWindow({ name, alias, config }, (column) => this.#useOwn(column));
    this.#planned.set(name, planned);
    return planned.term;
  }

  /** A field that is no window: windows are not made of one another. */
  #useOwn(name: string): Term {
    if (!this.#terms.has(name)) throw new ViewFault(`there is no column ${JSON.stringify(name)} that a window can be made of`);
    return this.use(name);
  }

  /** Names of the table's columns that the used fields are made of. */
  columnsUsed(): string[] {
    const needed = new Set(this.#used);
    for (const [index, { columns }] of this.#expressions.entries()) {
      if (needed.has(`e${index}`)) for (const name of columns) needed.add(columnAlias(this.#columns.findIndex((column) => column.name === name)));
    }
    return this.#columns.filter((_column, index) => needed.has(columnAlias(index))).map(({ name }) => name);
  }

  /** A SELECT of the used fields over a relation that has the used columns; `passed` are its other columns, `more` is made of them. */
  source(relation: string, passed: readonly string[], more: readonly string[]): string {
    const needed = new Set(this.columnsUsed());
    const inner = this.#columns.flatMap(({ name, sql }) => (needed.has(name) ? [`${sql} AS ${identifier(name)}`] : []));
    return this.over(`SELECT ${[...inner, ...passed].join(', ') || 'NULL AS nothing'} FROM (${relation})`, more);
  }

  /** The same over a relation that has the values of the used columns already, under the columns' names. */
  over(named: string, more: readonly string[]): string {
    const needed = new Set(this.columnsUsed());
    const own = this.#columns.flatMap(({ name }, index) => (needed.has(name) ? [`${identifier(name)} AS ${columnAlias(index)}`] : []));
    const made = this.#expressions.flatMap(({ sql }, index) => (this.#used.has(`e${index}`) ? [`${sql} AS e${index}`] : []));
    return this.#withWindows(`SELECT ${[...own, ...made, ...more].join(', ') || 'NULL AS nothing'} FROM (${named})`);
  }

  /** The stages of all windows side by side. */
  #withWindows(sql: string): string {
    const windows = [...this.#planned.values()];
    const stages = Math.max(0, ...windows.map((window) => window.stages.length));
    const itemsOf = (stage: number): string[] => windows.flatMap((window) => window.stages[stage] ?? []);
    return Array.from({ length: stages }, (_unused, stage) => itemsOf(stage)).reduce(
      (from, items) => `SELECT *, ${items.join(', ')} FROM (${from})`,
      sql,
    );
  }
}

/** The name in SQL of a column of the table by its index. */
export const columnAlias = (index: number): string => `c${index}`;
