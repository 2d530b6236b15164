import { identifier } from '../../storage/parquet/quote.ts';
import type { Term } from './aggregates.ts';
import type { TableColumn } from './column-types.ts';
import type { CheckedExpression } from './expressions.ts';
import { ViewFault } from './view-fault.ts';

/** The columns that a view can name, each under a name of SQL that no other has, whatever their own names are. */
export class Fields {
  readonly #columns: readonly TableColumn[];
  readonly #expressions: readonly CheckedExpression[];
  readonly #terms: ReadonlyMap<string, Term>;
  readonly #used = new Set<string>();

  constructor(columns: readonly TableColumn[], expressions: readonly CheckedExpression[]) {
    this.#columns = columns;
    this.#expressions = expressions;
    const own = columns.map(({ name, kind, type }, index) => ({ name, kind, type, sql: columnAlias(index) }));
    const made = expressions.map(({ name, kind, type }, index) => ({ name, kind, type, sql: `e${index}` }));
    // A name of the table stands for the table's column, whatever an expression is called.
    this.#terms = new Map([...made, ...own].map((term) => [term.name, term]));
  }

  /** Every name, those of the table first. */
  get names(): string[] {
    return [...this.#columns, ...this.#expressions].map(({ name }) => name);
  }

  /** The field of a name, which `source` then yields. */
  use(name: string): Term {
    const term = this.#terms.get(name);
    if (term === undefined) throw new ViewFault(`there is no column ${JSON.stringify(name)}`);
    this.#used.add(term.sql);
    return term;
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
    const innermost = `SELECT ${[...inner, ...passed].join(', ') || 'NULL AS nothing'} FROM (${relation})`;
    const own = this.#columns.flatMap(({ name }, index) => (needed.has(name) ? [`${identifier(name)} AS ${columnAlias(index)}`] : []));
    const made = this.#expressions.flatMap(({ sql }, index) => (this.#used.has(`e${index}`) ? [`${sql} AS e${index}`] : []));
    return `SELECT ${[...own, ...made, ...more].join(', ') || 'NULL AS nothing'} FROM (${innermost})`;
  }
}

/** The name in SQL of a column of the table by its index. */
export const columnAlias = (index: number): string => `c${index}`;
