import { assert, present } from '../../shared/assert.ts';
import { type ScopedContent, showsAllRows } from '../../storage/content-store.ts';
import { identifier } from '../../storage/parquet/quote.ts';
import { FILE_COLUMN, ROW_COLUMN, scopedRelation } from '../../storage/parquet/relation.ts';
import { POSITION } from './aggregates.ts';
import { type TableColumn, tableColumn } from './column-types.ts';
import type { Fields } from './fields.ts';

/** What a table is made of. Plain data, so that it can be sent to a thread. */
export interface DuckdbTableSource {
  readonly source: ScopedContent;
  readonly columns: readonly string[] | null;
  readonly rowLimit: number | null;
}

/** A SELECT with the values of its `?` in order. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Rows from `start` to `end` exclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Where a computation reads the rows of a table. */
export interface RowSource {
  /** The fields that a view uses, of every row, with POSITION where it is asked for or windows need it. */
  body(fields: Fields, options: { readonly isOrdered: boolean }): Statement;
  /** A field in the place of another that has its texts as numbers in their order, if there is one; CAST makes texts of them. */
  codeOf(sql: string): string | undefined;
}

const FILE = identifier(FILE_COLUMN);
const ROW = identifier(ROW_COLUMN);
/** No file has so many rows. */
const POSITION_SQL = `(CAST(${FILE} AS BIGINT) << 40) + ${ROW} AS ${POSITION}`;

/** A version as one scope shows it, read where its files are. */
export class Table implements RowSource {
  readonly columns: readonly TableColumn[];
  readonly #source: DuckdbTableSource;

  constructor(source: DuckdbTableSource) {
    this.#source = source;
    const visible = scopedRelation(source.source).schema.map(tableColumn);
    const wanted = source.columns ?? visible.map(({ name }) => name);
    this.columns = wanted.flatMap((name) => visible.find((column) => column.name === name) ?? []);
  }

  /** Whether the rows are those of the files, so that it is known where each is. */
  get isWhole(): boolean {
    const { content, scope } = this.#source.source;
    return showsAllRows(content.schema, scope);
  }

  /** How many rows the files have within the limit; the number of rows of a whole table. */
  get fileRows(): number {
    return Math.min(this.#source.source.content.rows, this.#source.rowLimit ?? Number.POSITIVE_INFINITY);
  }

  /** Counts what a scope shows of the files. */
  countStatement(): Statement {
    const { sql, values } = scopedRelation(this.#source.source, { columns: [] });
    return { sql: `SELECT count(*) AS rows FROM (${this.#limited(sql)})`, values };
  }

  codeOf(): undefined {}

  /** One column of every row as `v`, in the order of the rows. */
  column(index: number): Statement {
    const column = present(this.columns[index], 'a column of the table');
    const { sql, values } = scopedRelation(this.#source.source, { columns: [column.name] });
    return { sql: `SELECT ${column.sql} AS v FROM (${this.#limited(sql)})`, values };
  }

  body(fields: Fields, { isOrdered }: { readonly isOrdered: boolean }): Statement {
    const positions = isOrdered || fields.hasWindows;
    const { sql, values } = scopedRelation(this.#source.source, { columns: fields.columnsUsed(), positions });
    return { sql: fields.source(this.#limited(sql), positions ? [FILE, ROW] : [], positions ? [POSITION_SQL] : []), values };
  }

  /** The fields that a view uses, of a range of rows in the order of the table. */
  window(fields: Fields, range: Range): Statement {
    if (!this.isWhole) return this.#skippingWindow(fields, range);
    const { content, scope } = this.#source.source;
    const end = Math.min(range.end, this.fileRows);
    let position = 0;
    let passedRows = 0;
    const files = content.files.filter(({ rows }) => {
      const start = position;
      position += rows;
      if (position <= range.start) passedRows = position;
      return position > range.start && start < end;
    });
    const columns = fields.columnsUsed();
    const { sql, values } = scopedRelation({ content: { ...content, files }, scope }, { columns, positions: true });
    const [first, last] = [range.start - passedRows, end - passedRows];
    // Within one file its row numbers say which parts of it to pass over; rows of several files are counted off.
    const rows =
      files.length === 1
        ? `SELECT * FROM (${sql}) WHERE ${ROW} BETWEEN ${first} AND ${last - 1}`
        : `${sql} LIMIT ${Math.max(0, last - first)} OFFSET ${first}`;
    return { sql: fields.source(rows, [], []), values };
  }

  #skippingWindow(fields: Fields, { start, end }: Range): Statement {
    const { sql, values } = scopedRelation(this.#source.source, { columns: fields.columnsUsed() });
    assert(end >= start, 'a range of rows');
    return { sql: `${fields.source(this.#limited(sql), [], [])} LIMIT ${end - start} OFFSET ${start}`, values };
  }

  #limited(sql: string): string {
    const { rowLimit } = this.#source;
    return rowLimit === null ? sql : `${sql} LIMIT ${rowLimit}`;
  }
}
