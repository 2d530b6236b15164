import type { Session } from '../../storage/parquet/session.ts';
import { Cells, cellsBytes } from './cells.ts';
import { flatItems } from './compute.ts';
import type { MemoryShare } from './memory-room.ts';
import type { ViewPlan } from './plan.ts';
import type { Statement, Table } from './table.ts';

/** Tables with more cells are read window by window: to read them whole would keep the first one waiting. */
const TABLE_CELLS_MAX = 50_000;

interface Rows {
  readonly plan: ViewPlan;
  readonly rows: number;
  readonly room: MemoryShare;
}

/** The cells of the rows of a result, in the place of the table that they are in; undefined where there is no room. */
export async function keptRows(session: Session, { name, rows, plan, room }: Rows & { readonly name: string }): Promise<Cells | undefined> {
  const columns = plan.keys.length + 1 + plan.columns.length;
  const cells = await keep(session, { sql: `SELECT * FROM ${name}_rows`, values: [] }, { bytes: cellsBytes(rows, columns), room });
  if (cells !== undefined) await session.execute(`DROP TABLE ${name}_rows`);
  return cells;
}

/** The cells of a view that shows a small table as it is; undefined where it is not small or there is no room. */
export async function keptTable(session: Session, { table, plan, rows, room }: Rows & { readonly table: Table }): Promise<Cells | undefined> {
  if (rows * plan.columns.length > TABLE_CELLS_MAX) return undefined;
  const { sql, values } = table.window(plan.fields, { start: 0, end: rows });
  return keep(session, { sql: `SELECT ${flatItems(plan)} FROM (${sql})`, values }, { bytes: cellsBytes(rows, plan.columns.length), room });
}

interface Space {
  /** What the cells take, about. */
  readonly bytes: number;
  readonly room: MemoryShare;
}

async function keep(session: Session, { sql, values }: Statement, { bytes, room }: Space): Promise<Cells | undefined> {
  if (!room.take(bytes)) return undefined;
  let taken = bytes;
  try {
    const cells = await Cells.copy(await session.chunks(sql, values), bytes + room.free);
    if (cells === undefined || !room.take(cells.bytes - bytes)) return undefined;
    taken = 0;
    return cells;
  } finally {
    room.give(taken);
  }
}
