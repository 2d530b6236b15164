import type { PerspectiveType } from '../../shared/perspective/types.ts';

export type JsonRow = Record<string, unknown>;

/** What tells how the values of a view are to be read. */
export interface RowTypes {
  /** Of the view's columns, by the name that they have in the table. */
  readonly columns: Readonly<Record<string, PerspectiveType>>;
  /** Of the columns that rows are grouped by, in order. */
  readonly groups: readonly (PerspectiveType | undefined)[];
}

const ROW_PATH = '__ROW_PATH__';

/** Rows as the engine writes them in JSON, with the values that JSON has in every answer: times ISO 8601, large integers as texts. */
export function readRows(json: string, { columns, groups }: RowTypes): JsonRow[] {
  const rows = parse(json) as JsonRow[];
  const typeOf = new Map<string, PerspectiveType | undefined>();
  const typed = (name: string): PerspectiveType | undefined => {
    if (!typeOf.has(name)) typeOf.set(name, columns[name] ?? columns[name.slice(name.lastIndexOf('|') + 1)]);
    return typeOf.get(name);
  };
  return rows.map((row) => {
    const entries = Object.entries(row).map(([name, value]) => {
      if (name === ROW_PATH && Array.isArray(value)) return [name, value.map((part, depth) => readValue(part, groups[depth]))] as const;
      return [name, readValue(value, typed(name))] as const;
    });
    return Object.fromEntries(entries);
  });
}

function readValue(value: unknown, type: PerspectiveType | undefined): unknown {
  if (typeof value !== 'number' || (type !== 'date' && type !== 'datetime')) return value;
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return null;
  return type === 'datetime' ? time.toISOString() : time.toISOString().slice(0, 10);
}

/** A whole number that a double cannot hold. */
const LARGE = /\d{16}/;

function parse(json: string): unknown {
  if (!LARGE.test(json)) return JSON.parse(json);
  // The text of a number is known to revivers, though not to their types yet.
  const revive = (_name: string, value: unknown, context?: { readonly source?: string }): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    return context?.source !== undefined && /^-?\d+$/.test(context.source) ? context.source : value;
  };
  return JSON.parse(json, revive as (name: string, value: unknown) => unknown);
}
