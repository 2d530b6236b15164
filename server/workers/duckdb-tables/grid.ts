import type { Session } from '../../storage/parquet/session.ts';
import type { Cells } from './cells.ts';
import type { ColumnKind } from './column-types.ts';
import { type FrameColumn, type Grid, type RowChoice, textBytesOf, type Value, valuesOf } from './frame.ts';
import type { Statement } from './table.ts';
import { windowTooLarge } from './text-room.ts';

/** A chunk of DuckDB has so many rows: a stream of no more takes more ways to the engine and spares no memory. */
const CHUNK_ROWS = 2_048;

/**
 * What a statement yields, `rowsMax` rows at most; refused as soon as its texts have more bytes than they may. The stream is not read
 * to its end then, so that the session must be closed.
 */
export async function readGrid(session: Session, { sql, values }: Statement, rowsMax: number, bytesMax: number): Promise<Grid> {
  const result = rowsMax > CHUNK_ROWS ? await session.chunks(sql, values) : await session.whole(sql, values);
  const columns: Value[][] = result.types.map(() => []);
  let [rows, bytes] = [0, 0];
  for await (const chunk of 'chunks' in result ? result.chunks : result) {
    bytes += textBytesOf(chunk);
    if (bytes > bytesMax) throw windowTooLarge(bytesMax, 'bytes of text');
    rows += chunk.rowCount;
    for (const [index, column] of columns.entries()) for (const value of valuesOf(chunk, index)) column.push(value);
  }
  return { types: result.types.map(String), values: columns, rows };
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

/** A condition that is true of rows of these numbers. */
export function chosen(column: string, rows: RowChoice): string {
  if ('start' in rows) return `${column} BETWEEN ${rows.start} AND ${rows.end - 1}`;
  if (rows.length === 0) return 'false';
  return `${column} BETWEEN ${rows[0]} AND ${rows.at(-1)} AND ${column} IN (${rows.join(', ')})`;
}

export function transposed({ values, rows }: Grid): Value[][] {
  return Array.from({ length: rows }, (_unused, row) => values.map((column) => column[row] ?? null));
}

export function frameColumn(grid: Grid, index: number, path: readonly Value[], kind: ColumnKind): FrameColumn {
  return { path, kind, type: grid.types[index] ?? '', values: grid.values[index] ?? [] };
}
