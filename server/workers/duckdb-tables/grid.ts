import type { Session } from '../../storage/parquet/session.ts';
import type { Cells } from './cells.ts';
import { type Grid, type RowChoice, textBytesOf, type Value, valuesOf } from './frame.ts';
import type { Statement } from './table.ts';
import { ViewFault } from './view-fault.ts';

const tooLarge = (bytesMax: number): ViewFault =>
  new ViewFault(`the window has more than ${bytesMax} bytes of text; read fewer rows`, 'payload_too_large');

/** What a statement yields; refused where its texts have more bytes than they may. */
export async function readGrid(session: Session, { sql, values }: Statement, bytesMax: number): Promise<Grid> {
  const { types, chunks } = await session.whole(sql, values);
  if (textBytesOf(chunks) > bytesMax) throw tooLarge(bytesMax);
  const columns: Value[][] = types.map(() => []);
  for (const chunk of chunks) for (const [index, column] of columns.entries()) for (const value of valuesOf(chunk, index)) column.push(value);
  return { types: types.map(String), values: columns, rows: chunks.reduce((rows, chunk) => rows + chunk.rowCount, 0) };
}

/** The same of cells that are kept. */
export function boundedGrid(cells: Cells, { names, rows }: { readonly names: readonly string[]; readonly rows: RowChoice }, bytesMax: number): Grid {
  const grid = cells.grid(names, rows);
  if (cells.bytes > bytesMax && charsOf(grid) > bytesMax) throw tooLarge(bytesMax);
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
