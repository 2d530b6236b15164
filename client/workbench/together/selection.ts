import type { AnnotationEntry } from '../../index.ts';
import type { OpenedTable } from '../explore/open-table.ts';

export type Anchor = AnnotationEntry['anchor'];
type Scalar = string | number | boolean;

/** The cell that somebody chose last. */
export interface Selection {
  readonly column: string | undefined;
  readonly rowKey: Readonly<Record<string, Scalar>> | undefined;
  /** Where rows have no key: its place in the version, from 0. */
  readonly row?: number | undefined;
}

/** What the viewer tells of a press on a cell, as far as it is used here. */
export interface CellPress {
  readonly row: Readonly<Record<string, unknown>>;
  readonly column_names: readonly (string | readonly string[])[];
}

/**
 * The value of a key column as rows have it: the viewer counts times in milliseconds. An integer that it rounded, as it does those beyond
 * 2^53, is none: it would name another row.
 */
export function keyValue(value: unknown, type: string | undefined): Scalar | undefined {
  if (typeof value === 'number' && type === 'date') return new Date(value).toISOString().slice(0, 10);
  if (typeof value === 'number' && type === 'datetime') return new Date(value).toISOString().replace('.000Z', 'Z');
  if (typeof value === 'number' && type === 'integer' && !Number.isSafeInteger(value)) return undefined;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
}

/** The row by its key columns, where the view shows them all, and the column. */
export function selectionOf({ row, column_names }: CellPress, key: readonly string[] | null, types: ReadonlyMap<string, string>): Selection {
  const [first] = column_names;
  const column = typeof first === 'string' ? first : first?.at(-1);
  const entries = (key ?? []).flatMap((name): [string, Scalar][] => {
    const value = keyValue(row[name], types.get(name));
    return value === undefined ? [] : [[name, value]];
  });
  const isWhole = !('__ROW_PATH__' in row) && key !== null && entries.length === key.length;
  return { column, rowKey: isWhole ? Object.fromEntries(entries) : undefined };
}

/** What a note about the selection is anchored to. */
export function anchorOf(selection: Selection | undefined, table: Pick<OpenedTable, 'schema' | 'versionId'> | undefined): Anchor {
  if (selection === undefined) return {};
  const isColumn = table?.schema.some(({ name }) => name === selection.column) === true;
  return {
    ...(selection.rowKey === undefined ? {} : { rowKey: { ...selection.rowKey } }),
    ...(selection.row === undefined || table?.versionId == null ? {} : { row: selection.row, versionId: table.versionId }),
    ...(isColumn && selection.column !== undefined ? { column: selection.column } : {}),
  };
}

/** An anchor in words. */
export function describeAnchor({ rowKey, column, viewId, versionId, row }: Anchor, nameOfView: (id: string) => string | undefined): string {
  const byKey =
    rowKey &&
    Object.entries(rowKey)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ');
  const parts = [
    viewId && `View “${nameOfView(viewId) ?? 'removed'}”`,
    column,
    byKey ?? (row === undefined ? undefined : `row ${row + 1}`),
    versionId && `v${versionId}`,
  ];
  const said = parts.filter((part) => part !== undefined && part !== '');
  return said.length === 0 ? 'the dataset' : said.join(' · ');
}

type Key = Readonly<Record<string, Scalar>> | undefined;

/** A key that was written elsewhere as the viewer has it, which knows no decimals and times in milliseconds only. */
export function shownKey(key: Key, types: ReadonlyMap<string, string>): Key {
  return key && Object.fromEntries(Object.entries(key).map(([name, value]) => [name, shownValue(value, types.get(name))]));
}

/** A decimal of so many characters is no other one as a number. */
const DECIMAL_CHARS_MAX = 15;

function shownValue(value: Scalar, type: string | undefined): Scalar {
  if (typeof value !== 'string') return value;
  const number = type === 'datetime' ? Date.parse(value) : Number(value);
  const isShown = type === 'datetime' ? !Number.isNaN(number) : type === 'float' && value.length <= DECIMAL_CHARS_MAX && Number.isFinite(number);
  return isShown ? (keyValue(number, type) ?? value) : value;
}

export function sameKey(one: Key, other: Key): boolean {
  if (one === undefined || other === undefined) return false;
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
