import { rowTexts } from '../../shared/perspective/json-rows.ts';
import type { PerspectiveType } from '../../shared/perspective/types.ts';
import { Turns } from '../../shared/turns.ts';

export type JsonRow = Record<string, unknown>;

/** What tells how the values of a view are to be read. */
export interface RowTypes {
  /** Of the view's columns, by the name that they have in the table. */
  readonly columns: ReadonlyMap<string, PerspectiveType>;
  /** Of the columns that rows are grouped by, in order. */
  readonly groups: readonly (PerspectiveType | undefined)[];
  /** Whether numbers that are no integers may have more digits than a double, which costs some time to see to. */
  readonly hasDecimals: boolean;
}

type TypeOf = (name: string) => PerspectiveType | undefined;

const ROW_PATH = '__ROW_PATH__';

/** JSON of so many characters is read at a stretch, as are so many cells of a longer one. */
const CHARS_AT_ONCE = 128 * 1024;
const CELLS_AT_ONCE = 1_000;

/**
 * Rows as the engine writes them in JSON, with the values that JSON has in every answer: times ISO 8601, numbers that a double does not
 * hold as texts. Others have their turn meanwhile.
 */
export async function readRows(json: string, types: RowTypes): Promise<JsonRow[]> {
  const typeOf = typesByColumn(types.columns);
  const hasTimes = [...types.columns.values(), ...types.groups].some(isTime);
  const read = (piece: string): JsonRow[] => {
    const rows = parse(piece, types, typeOf) as JsonRow[];
    return hasTimes ? rows.map((row) => readRow(row, types, typeOf)) : rows;
  };
  if (json.length <= CHARS_AT_ONCE) return read(json);
  const turns = new Turns();
  const rows: JsonRow[] = [];
  for (const piece of pieces(json)) {
    if (turns.over) await turns.next();
    rows.push(...read(piece));
  }
  return rows;
}

/** Some rows at a time, each time an array of JSON. */
function* pieces(json: string): Generator<string> {
  let texts: string[] = [];
  let rowsAtOnce = 1;
  for (const text of rowTexts(json)) {
    texts.push(text);
    if (texts.length < rowsAtOnce) continue;
    // The first row tells how many columns the others have.
    rowsAtOnce = Math.ceil(CELLS_AT_ONCE / Math.max(1, text.split('":').length));
    yield `[${texts.join(',')}]`;
    texts = [];
  }
  if (texts.length > 0) yield `[${texts.join(',')}]`;
}

function readRow(row: JsonRow, { groups }: RowTypes, typeOf: TypeOf): JsonRow {
  const entries = Object.entries(row).map(([name, value]) => {
    if (isPath(name, value)) return [name, value.map((part, depth) => readValue(part, groups[depth]))] as const;
    return [name, readValue(value, typeOf(name))] as const;
  });
  return Object.fromEntries(entries);
}

const isPath = (name: string, value: unknown): value is unknown[] => name === ROW_PATH && Array.isArray(value);

/** In a view with a split, names of columns end with the one in the table, behind `|`, which may be in that name as well. */
function typesByColumn(columns: RowTypes['columns']): TypeOf {
  const found = new Map<string, PerspectiveType | undefined>(columns);
  const longestFirst = [...columns.keys()].sort((one, other) => other.length - one.length);
  return (name) => {
    if (!found.has(name)) found.set(name, columns.get(longestFirst.find((own) => name.endsWith(`|${own}`)) ?? name));
    return found.get(name);
  };
}

const isTime = (type: PerspectiveType | undefined): boolean => type === 'date' || type === 'datetime';

function readValue(value: unknown, type: PerspectiveType | undefined): unknown {
  if (typeof value !== 'number' || !isTime(type)) return value;
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return null;
  return type === 'datetime' ? time.toISOString() : time.toISOString().slice(0, 10);
}

/** What a number looks like that a double may not hold: an integer, and a decimal. */
const LARGE = /[-:,[\s]\d{16,}[,\]}\s]/;
const LONG = /\d[\d.]{15}/;

function parse(json: string, { groups, hasDecimals }: RowTypes, typeOf: TypeOf): unknown {
  if (!(hasDecimals ? LONG : LARGE).test(json)) return JSON.parse(json);
  // The text of a number is known to revivers, though not to their types yet.
  function revive(this: unknown, name: string, value: unknown, context?: { readonly source?: string }): unknown {
    if (typeof value !== 'number' || context?.source === undefined) return value;
    const isFloat = (Array.isArray(this) ? groups[Number(name)] : typeOf(name)) === 'float';
    return isHeld(value, context.source, { isFloat, hasDecimals }) ? value : context.source;
  }
  return JSON.parse(json, revive as (name: string, value: unknown) => unknown);
}

/** Digits that every double holds. */
const SAFE_DIGITS = 15;

/** Whether a number is what its text says. A float that is no decimal always is: its text was made of it. */
function isHeld(value: number, source: string, { isFloat, hasDecimals }: { readonly isFloat: boolean; readonly hasDecimals: boolean }): boolean {
  if (!isFloat) return Number.isSafeInteger(value) || !/^-?\d+$/.test(source);
  if (!hasDecimals || !/^[-\d.]+$/.test(source)) return true;
  return source.replace(/[-.]/g, '').replace(/^0+/, '').length <= SAFE_DIGITS || String(value) === source;
}
