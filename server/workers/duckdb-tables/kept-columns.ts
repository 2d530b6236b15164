import { CovistaError } from '../../../protocol/errors.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import { identifier } from '../../storage/parquet/quote.ts';
import type { Session } from '../../storage/parquet/session.ts';
import { POSITION } from './aggregates.ts';
import type { TableColumn } from './column-types.ts';
import { columnAlias } from './fields.ts';
import type { ViewPlan } from './plan.ts';
import type { Queries } from './queries.ts';
import type { HostedTable } from './results.ts';
import type { RowSource, Statement, Table } from './table.ts';

/** The beginning of the names of all tables of columns. */
export const COLUMN_NAME = 'column';

/** Views that use a column, before it is kept: what one person looks at once is not worth it. */
const USES_LEAST = 2;
/** Texts of which there are so many different ones at most get numbers of two bytes; others gain too little from being kept. */
const TEXTS_MAX = 65_535;
const TEXT_BYTES_MAX = 4 * 2 ** 20;
/** Rows by which a column of texts is found to have too many, before all of it is looked through. */
const LOOKED_AT_ROWS = 200_000;
/** One view never takes more than this share of the room, so that the columns of two do not drive each other out. */
const SHARE_MAX = 1 / 2;

/** Bytes of a value by its SQL type; texts are numbers here. */
const WIDTHS: Readonly<Record<string, number>> = {
  ...{ BOOLEAN: 1, TINYINT: 1, UTINYINT: 1, SMALLINT: 2, USMALLINT: 2, INTEGER: 4, UINTEGER: 4, DATE: 4, FLOAT: 4 },
  ...{ BIGINT: 8, UBIGINT: 8, DOUBLE: 8, TIMESTAMP: 8, VARCHAR: 2 },
};
const WIDTH_MOST = 16;

/** A column of a table in the memory of DuckDB, by itself; `texts` names the type of its numbers where it has texts. */
interface KeptColumn {
  readonly name: string;
  readonly texts: string | undefined;
  readonly bytes: number;
  /** Statements that read it. */
  readers: number;
  /** Which use of any column was its last. */
  usedAt: number;
}

/** What became of a column: it is wanted so often, is being made, is kept, or is not worth it. */
type Standing =
  | { readonly kind: 'wanted'; readonly uses: number }
  | { readonly kind: 'making' }
  | { readonly kind: 'kept'; readonly column: KeptColumn }
  | { readonly kind: 'unfit' };

interface Holding {
  readonly controller: AbortController;
  readonly columns: Map<number, Standing>;
}

/** Columns that a computation reads instead of files, until it gives them back. */
export interface ColumnsLease extends RowSource {
  release(): void;
}

/**
 * Keeps columns that views of a table use again and again, decoded, and texts as numbers in the order of the texts: grouping and
 * ordering by those takes about half of the time. They are made when nobody waits, and the least used make room for others.
 */
export class KeptColumns {
  readonly #queries: Queries;
  readonly #bytesMax: number;
  readonly #onFault: (fault: unknown) => void;
  readonly #holdings = new Map<number, Holding>();
  /** How often a view found all of its columns here. */
  readonly counts = new CacheCounts();
  #bytes = 0;
  #count = 0;
  #uses = 0;
  /** One is made at a time. */
  #making: Promise<void> = Promise.resolve();

  constructor(queries: Queries, limits: Pick<Limits, 'duckdbTablesColumnsBytesMax'>, onFault: (fault: unknown) => void) {
    this.#queries = queries;
    this.#bytesMax = limits.duckdbTablesColumnsBytesMax;
    this.#onFault = onFault;
  }

  /** A table is there, whose columns may be kept until it is forgotten. */
  open(id: number): void {
    this.#holdings.set(id, { controller: new AbortController(), columns: new Map() });
  }

  /** The columns that a plan uses, if all of them are here. */
  lease({ id, table }: HostedTable, plan: ViewPlan): ColumnsLease | undefined {
    const known = this.#holdings.get(id)?.columns;
    const found = new Map<number, KeptColumn>();
    const indexes = indexesOf(table, plan);
    for (const index of indexes) {
      const standing = known?.get(index);
      if (standing?.kind === 'kept') found.set(index, standing.column);
    }
    const hasAll = indexes.length > 0 && found.size === indexes.length;
    if (!this.counts.count(hasAll)) return undefined;
    this.#uses += 1;
    for (const column of found.values()) {
      column.readers += 1;
      column.usedAt = this.#uses;
    }
    let isHeld = true;
    const release = (): void => {
      if (isHeld) for (const column of found.values()) column.readers -= 1;
      isHeld = false;
    };
    return { ...sourceOf(table, found), release };
  }

  /** A view was computed: of what it used, what is used again is made ready for the next one. */
  used({ id, table, rows }: HostedTable, plan: ViewPlan): void {
    const indexes = indexesOf(table, plan);
    const bytes = indexes.reduce((sum, index) => sum + rows * widthOf(table.columns[index]), 0);
    if (bytes > this.#bytesMax * SHARE_MAX) return;
    const holding = this.#holdings.get(id);
    // It may have been closed while the view was computed.
    if (holding === undefined) return;
    for (const index of indexes) {
      const standing = holding.columns.get(index) ?? { kind: 'wanted', uses: 0 };
      if (standing.kind !== 'wanted') continue;
      if (standing.uses + 1 < USES_LEAST) {
        holding.columns.set(index, { kind: 'wanted', uses: standing.uses + 1 });
        continue;
      }
      holding.columns.set(index, { kind: 'making' });
      this.#making = this.#making.then(() => this.#make(holding, { table, rows, index }));
    }
  }

  /** A table is gone, and its columns with it, once nobody reads them. */
  forget(id: number): void {
    const holding = this.#holdings.get(id);
    if (holding === undefined) return;
    this.#holdings.delete(id);
    holding.controller.abort(new CovistaError('cancelled', 'the table was closed'));
    this.#making = this.#making.then(async () => {
      for (const standing of holding.columns.values()) if (standing.kind === 'kept') await this.#drop(standing.column);
    });
  }

  /** Ends what is being made; resolves when nothing is left. */
  async close(): Promise<void> {
    for (const id of [...this.#holdings.keys()]) this.forget(id);
    await this.#making;
  }

  async #make(holding: Holding, wanted: WantedColumn): Promise<void> {
    const { signal } = holding.controller;
    if (signal.aborted) return;
    const bytes = wanted.rows * widthOf(wanted.table.columns[wanted.index]);
    if (!(await this.#makeRoom(bytes))) {
      holding.columns.set(wanted.index, { kind: 'wanted', uses: 0 });
      return;
    }
    this.#count += 1;
    const column = columnOf(`${COLUMN_NAME}${this.#count}`, wanted, bytes);
    this.#bytes += bytes;
    const isMade = await this.#tryToMake(column, wanted, signal);
    // It may have been closed while this was made; and a session that was interrupted cannot remove what it has left.
    if (isMade && !signal.aborted) holding.columns.set(wanted.index, { kind: 'kept', column });
    else {
      holding.columns.set(wanted.index, { kind: 'unfit' });
      await this.#drop(column);
    }
  }

  async #tryToMake(column: KeptColumn, wanted: WantedColumn, signal: AbortSignal): Promise<boolean> {
    try {
      return await this.#queries.run('bulk', signal, (session) => create(session, column, wanted));
    } catch (fault) {
      if (!signal.aborted) this.#onFault(fault);
      return false;
    }
  }

  /** Lets go of what was not used for longest, as far as nobody reads it; answers whether there is room now. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const held = [...this.#holdings.values()].flatMap(({ columns }) =>
      [...columns].flatMap(([index, standing]) => (standing.kind === 'kept' ? [{ columns, index, column: standing.column }] : [])),
    );
    held.sort((one, other) => one.column.usedAt - other.column.usedAt);
    for (const { columns, index, column } of held) {
      if (this.#bytes + bytes <= this.#bytesMax) break;
      if (column.readers > 0) continue;
      columns.set(index, { kind: 'wanted', uses: 0 });
      await this.#drop(column);
    }
    return this.#bytes + bytes <= this.#bytesMax;
  }

  async #drop(column: KeptColumn): Promise<void> {
    this.#bytes -= column.bytes;
    await this.#queries.remove((session) => remove(session, column)).catch(this.#onFault);
  }
}

interface WantedColumn {
  readonly table: Table;
  /** How many rows the table has. */
  readonly rows: number;
  readonly index: number;
}

const indexesOf = (table: Table, { fields }: ViewPlan): number[] =>
  fields.columnsUsed().map((name) => table.columns.findIndex((column) => column.name === name));

const widthOf = (column: TableColumn | undefined): number => WIDTHS[column?.type ?? ''] ?? WIDTH_MOST;

/** No column of a table has such names. */
const codeColumn = (index: number): string => identifier(`__covista_code${index}`);
const PLACE = identifier('__covista_place');
const codeAlias = (index: number): string => `x${index}`;

/** All columns have the rows of the table in its order, so that rows are put together by their places. */
function sourceOf({ columns: known }: Table, columns: ReadonlyMap<number, KeptColumn>): RowSource {
  const items = [...columns].flatMap(([index, { name, texts }]) => {
    const own = identifier(known[index]?.name ?? '');
    return texts === undefined ? [`${name}.v AS ${own}`] : [`CAST(${name}.v AS VARCHAR) AS ${own}`, `${name}.v AS ${codeColumn(index)}`];
  });
  const names = [...columns.values()].map(({ name }) => name);
  const coded = [...columns].flatMap(([index, { texts }]) => (texts === undefined ? [] : [index]));
  const codes = new Map(coded.map((index) => [columnAlias(index), codeAlias(index)]));
  return {
    body: (fields, { isOrdered }) => {
      const more = coded.map((index) => `${codeColumn(index)} AS ${codeAlias(index)}`);
      const isPlaced = isOrdered || fields.hasWindows;
      const placed = isPlaced ? [`${names[0]}.rowid AS ${PLACE}`] : [];
      const named = `SELECT ${[...items, ...placed].join(', ')} FROM ${names.join(' POSITIONAL JOIN ')}`;
      return { sql: fields.over(named, [...more, ...(isPlaced ? [`${PLACE} AS ${POSITION}`] : [])]), values: [] };
    },
    codeOf: (sql) => codes.get(sql),
  };
}

function columnOf(name: string, { table, index }: WantedColumn, bytes: number): KeptColumn {
  const isText = table.columns[index]?.type === 'VARCHAR';
  return { name, texts: isText ? `${name}_texts` : undefined, bytes, readers: 0, usedAt: 0 };
}

/** Makes a column; false where it is not worth being kept. What it leaves then, `remove` takes away. */
async function create(session: Session, { name, texts }: KeptColumn, { table, rows, index }: WantedColumn): Promise<boolean> {
  const { sql, values } = table.column(index);
  if (texts !== undefined && !(await createTexts(session, texts, { sql, values }))) return false;
  const value = texts === undefined ? 'v' : `CAST(v AS ${texts})`;
  await session.execute(`CREATE TABLE ${name} AS SELECT ${value} AS v FROM (${sql})`, values);
  const [found] = await session.rows(`SELECT count(*) AS rows FROM ${name}`);
  return Number(found?.rows) === rows;
}

const distinctOf = (texts: string): string => `${texts}_distinct`;

/** Makes the type of the different texts in their order, if there are few enough. */
async function createTexts(session: Session, type: string, { sql, values }: Statement): Promise<boolean> {
  const [first] = await session.rows(`SELECT count(DISTINCT v) AS texts FROM (SELECT v FROM (${sql}) LIMIT ${LOOKED_AT_ROWS})`, values);
  if (Number(first?.texts) > TEXTS_MAX) return false;
  const distinct = distinctOf(type);
  await session.execute(`CREATE TABLE ${distinct} AS SELECT DISTINCT v FROM (${sql}) WHERE v IS NOT NULL LIMIT ${TEXTS_MAX + 1}`, values);
  const [all] = await session.rows(`SELECT count(*) AS texts, coalesce(sum(strlen(v)), 0) AS bytes FROM ${distinct}`);
  if (Number(all?.texts) > TEXTS_MAX || Number(all?.bytes) > TEXT_BYTES_MAX) return false;
  await session.execute(`CREATE TYPE ${type} AS ENUM (SELECT v FROM ${distinct} ORDER BY v)`);
  await session.execute(`DROP TABLE ${distinct}`);
  return true;
}

async function remove(session: Session, { name, texts }: KeptColumn): Promise<void> {
  await session.execute(`DROP TABLE IF EXISTS ${name}`);
  if (texts === undefined) return;
  await session.execute(`DROP TABLE IF EXISTS ${distinctOf(texts)}`);
  await session.execute(`DROP TYPE IF EXISTS ${texts}`);
}
