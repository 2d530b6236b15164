import { dateText, type Frame, type FrameColumn, labelOf, timeText, type Value } from './frame.ts';
import type { TextRoom } from './text-room.ts';

/** Windows as JSON and CSV, in the shapes of Perspective's own engine. What finds no room in them is refused before it is made. */

export interface TextOptions {
  /** Dates and times as texts. */
  readonly isFormatted: boolean;
  readonly room: TextRoom;
}

/** The name of a column: its path, joined. Columns of one path share its texts, and rows their names, which makes much of little. */
export function columnName({ path }: Pick<FrameColumn, 'path'>, room: TextRoom, times = 1): string {
  const texts = path.map(String);
  room.take(Math.max(1, times) * texts.reduce((chars, { length }) => chars + length + 1, 0));
  return texts.join('|');
}

/** `{"__ROW_PATH__": […], "name": […], …}` */
export function columnsJson(frame: Frame, options: TextOptions): string {
  const parts = frame.columns.map((column) => `${JSON.stringify(columnName(column, options.room))}:${listJson(column, options)}`);
  const paths = pathsJson(frame, options);
  if (paths !== undefined) parts.unshift(`"__ROW_PATH__":${paths}`);
  return `{${parts.join(',')}}`;
}

/** The values of a column, all at once where JSON has them: one by one takes twice to five times as long. */
function listJson(column: FrameColumn, options: TextOptions): string {
  const values = hasRoom([column], options) ? plainValues(column, options) : undefined;
  return values === undefined ? `[${cellsOf(column, options).join(',')}]` : options.room.taken(JSON.stringify(values));
}

/** A character is as many in JSON where it has no other way to say it. */
const ESCAPED_CHARS = '\\u0000'.length;

/** Whether the texts of columns fit whatever they are, so that they need not be counted one by one. */
function hasRoom(columns: readonly FrameColumn[], { room }: TextOptions): boolean {
  let chars = 0;
  for (const { values } of columns) for (const value of values) if (typeof value === 'string') chars += value.length;
  return chars * ESCAPED_CHARS <= room.left;
}

function pathsJson(frame: Frame, options: TextOptions): string | undefined {
  const { paths, rows } = frame;
  if (paths === undefined) return undefined;
  const columns = hasRoom(paths.columns, options) ? paths.columns.map((column) => plainValues(column, options)) : [undefined];
  if (!columns.every((values) => values !== undefined)) return `[${pathCells(frame, options)?.join(',')}]`;
  const cells = Array.from({ length: rows }, (_unused, row) => columns.slice(0, paths.depths[row]).map((values) => values[row]));
  return options.room.taken(JSON.stringify(cells));
}

/** What JSON writes as the cells of the column are written; undefined where it does not. */
function plainValues({ kind, values }: FrameColumn, { isFormatted }: TextOptions): readonly Exclude<Value, bigint>[] | undefined {
  if ((kind === 'date' || kind === 'datetime') && isFormatted) return undefined;
  const plain: Exclude<Value, bigint>[] = [];
  for (const value of values) {
    if (typeof value === 'bigint') {
      const number = Number(value);
      if (!Number.isSafeInteger(number)) return undefined;
      plain.push(number);
    } else if (typeof value === 'string' && kind !== 'string') return undefined;
    else plain.push(value);
  }
  return plain;
}

/** `[{"__ROW_PATH__": […], "name": …}, …]` */
export const rowsJson = (frame: Frame, options: TextOptions): string => `[${rowObjects(frame, options).join(',')}]`;

/** One object a line. */
export const rowsNdjson = (frame: Frame, options: TextOptions): string => rowObjects(frame, options).join('\n');

function rowObjects(frame: Frame, options: TextOptions): string[] {
  const columns = frame.columns.map((column) => ({
    key: JSON.stringify(columnName(column, options.room, frame.rows)),
    cells: cellsOf(column, options),
  }));
  const paths = pathCells(frame, options);
  return Array.from({ length: frame.rows }, (_unused, row) => {
    const parts = columns.map(({ key, cells }) => `${key}:${cells[row]}`);
    if (paths !== undefined) parts.unshift(`"__ROW_PATH__":${paths[row]}`);
    return `{${parts.join(',')}}`;
  });
}

function pathCells({ paths, rows }: Frame, options: TextOptions): string[] | undefined {
  if (paths === undefined) return undefined;
  const columns = paths.columns.map((column) => cellsOf(column, options));
  return Array.from(
    { length: rows },
    (_unused, row) =>
      `[${columns
        .slice(0, paths.depths[row])
        .map((cells) => cells[row])
        .join(',')}]`,
  );
}

function cellsOf(column: FrameColumn, options: TextOptions): string[] {
  return column.values.map((value) => options.room.taken(cellJson(column, value, options)));
}

function cellJson({ kind }: FrameColumn, value: Value, { isFormatted }: TextOptions): string {
  const isTime = kind === 'date' || kind === 'datetime';
  if (isTime && isFormatted) return value === null ? 'null' : JSON.stringify(labelOf(value, kind));
  // Digits of integers and decimals are numbers of JSON, all of them.
  if (kind !== 'string') return typeof value === 'number' ? numberJson(value) : String(value);
  return JSON.stringify(value);
}

const numberJson = (value: number): string => (Number.isFinite(value) ? String(value) : 'null');

/** With a line of names; texts are quoted, NULL is nothing. `groupNames` head what the rows are grouped by. */
export function csvText(frame: Frame, groupNames: readonly string[], room: TextRoom): string {
  const paths = frame.paths?.columns ?? [];
  const names = [...paths.map((_column, index) => groupNames[index] ?? ''), ...frame.columns.map((column) => columnName(column, room))];
  if (names.length === 0) return '';
  const columns = [...paths, ...frame.columns];
  const lines = Array.from({ length: frame.rows }, (_unused, row) =>
    columns.map((column) => room.taken(csvCell(column, column.values[row] ?? null))).join(','),
  );
  return `${[names.map(quoted).join(','), ...lines].join('\n')}\n`;
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;

function csvCell({ kind }: FrameColumn, value: Value): string {
  if (value === null) return '';
  if (kind === 'string') return quoted(String(value));
  if (kind === 'date') return dateText(Number(value));
  if (kind === 'datetime') return timeText(Number(value));
  return typeof value === 'number' && !Number.isFinite(value) ? numberWord(value) : String(value);
}

/** What JSON has no number for, as SQL and other engines write it. */
function numberWord(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}
