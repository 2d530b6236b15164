import type { Session } from '../../storage/parquet/session.ts';
import type { Cells } from './cells.ts';
import type { ColumnKind } from './column-types.ts';
import { countOf, type FrameColumn, type Grid, type RowChoice, textBytesOf, type Value, valuesOf } from './frame.ts';
import type { Range, Statement } from './table.ts';
import { windowTooLarge } from './text-room.ts';

/** A chunk of DuckDB has so many rows: a stream of no more takes more ways to the engine and spares no memory. */
const CHUNK_ROWS = 2_048;

/** A statement that yields so many rows at most. */
export interface BoundedStatement extends Statement {
  readonly rowsMax: number;
}

/** What a statement yields; see `readGrids`. */
export const readGrid = (session: Session, statement: Statement, rowsMax: number, bytesMax: number): Promise<Grid> =>
  readGrids(session, [{ ...statement, rowsMax }], bytesMax);

/**
 * What statements of the same columns yield, one after the other; refused as soon as the texts have more bytes than they may. The
 * stream is not read to its end then, so that the session must be closed.
 */
export async function readGrids(session: Session, statements: Iterable<BoundedStatement>, bytesMax: number): Promise<Grid> {
  let types: readonly string[] = [];
  const columns: Value[][] = [];
  let [rows, bytes] = [0, 0];
  for (const { sql, values, rowsMax } of statements) {
    const result = rowsMax > CHUNK_ROWS ? await session.chunks(sql, values) : await session.whole(sql, values);
    types = result.types.map(String);
    for await (const chunk of 'chunks' in result ? result.chunks : result) {
      bytes += textBytesOf(chunk);
      if (bytes > bytesMax) throw windowTooLarge(bytesMax, 'bytes of text');
      rows += chunk.rowCount;
      for (const index of types.keys()) {
        const column = columns[index] ?? [];
        columns[index] = column;
        for (const value of valuesOf(chunk, index)) column.push(value);
      }
    }
  }
  return { types, values: types.map((_type, index) => columns[index] ?? []), rows };
}

/** The same of cells that are kept. */
export function boundedGrid(cells: Cells, { names, rows }: { readonly names: readonly string[]; readonly rows: RowChoice }, bytesMax: number): Grid {
  const grid = cells.grid(names, rows);
  if (cells.bytes > bytesMax && charsOf(grid) > bytesMax) throw windowTooLarge(bytesMax, 'bytes of text');
  return grid;
}

function charsOf({ values }: Grid): number {
  let chars = 0;
  for (const column of values) for (const value of column) chars += typeof value === 'string' ? value.length : 0;
  return chars;
}

/** A statement has no more than so many numbers of rows in it. */
const LISTED_ROWS_MAX = 2_000;

/** Rows as statements choose them: ranges of many rows one by one, others together; at least one, so that columns have their types. */
export function* piecesOf(rows: RowChoice): Generator<RowChoice> {
  let piece: Range[] = [];
  let count = 0;
  for (const range of rows) {
    const own = range.end - range.start;
    if (piece.length > 0 && count + own > LISTED_ROWS_MAX) {
      yield piece;
      [piece, count] = [[], 0];
    }
    piece.push(range);
    count += own;
  }
  yield piece;
}

/** A condition that is true of the rows of a piece. */
export function chosen(column: string, piece: RowChoice): string {
  const [first, last] = [piece[0], piece.at(-1)];
  if (first === undefined || last === undefined) return 'false';
  const within = `${column} BETWEEN ${first.start} AND ${last.end - 1}`;
  if (piece.length === 1) return within;
  const numbers = piece.flatMap(({ start, end }) => Array.from({ length: end - start }, (_unused, row) => start + row));
  return `${within} AND ${column} IN (${numbers.join(', ')})`;
}

/** What is asked about rows, piece by piece. `perRow`: how many rows an answer may have for each. */
export function* statementsOf(rows: RowChoice, statement: (piece: RowChoice) => Statement, perRow = 1): Generator<BoundedStatement> {
  for (const piece of piecesOf(rows)) yield { ...statement(piece), rowsMax: countOf(piece) * perRow };
}

export function transposed({ values, rows }: Grid): Value[][] {
  return Array.from({ length: rows }, (_unused, row) => values.map((column) => column[row] ?? null));
}

export function frameColumn(grid: Grid, index: number, path: readonly Value[], kind: ColumnKind): FrameColumn {
  return { path, kind, type: grid.types[index] ?? '', values: grid.values[index] ?? [] };
}
