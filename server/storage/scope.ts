import { CovistaError } from '../../protocol/errors.ts';
import type { Column } from './stores.ts';
import { valueMatch } from './value-match.ts';

/**
 * What a caller may see of a dataset: the union of what grants show. A cell is visible if one part shows both its row and its
 * column; so where parts show different columns of different rows, a cell that no part of its row shows is NULL.
 */
export interface Scope {
  readonly parts: readonly ScopePart[];
}

/** What one grant shows: the rows that meet the condition (null: all), and of them the columns that are not masked (null: all). */
export interface ScopePart {
  readonly rows: RowCondition | null;
  readonly mask: ColumnMask | null;
}

/** A boolean expression that was checked and rendered when it was granted, with a text for each of its `?`, in order. */
export interface RowCondition {
  readonly sql: string;
  readonly values: readonly string[];
  /** The columns that it names, as they were when it was checked. */
  readonly columns: readonly TypedName[];
}

export interface ColumnMask {
  readonly hidden: readonly string[];
  /** Columns with this id or a higher one came after the grant, which therefore does not show them. */
  readonly columnIdsBelow: number;
}

export interface TypedName {
  readonly name: string;
  /** DuckDB SQL type, as DESCRIBE prints it. */
  readonly type: string;
}

/** A scope as it applies to one schema: the rows that meet any of the conditions (null: all), and of them these columns. */
export interface VisiblePart {
  /** In the order of the schema. */
  readonly columns: ReadonlySet<string>;
  readonly conditions: readonly RowCondition[] | null;
}

export const UNRESTRICTED: Scope = { parts: [{ rows: null, mask: null }] };

/** Whether the scope shows everything, whatever the schema is. */
export function isUnrestricted({ parts }: Scope): boolean {
  return parts.some(({ rows, mask }) => rows === null && mask === null);
}

/** Whether the scope shows every column, whatever the schema is, be it in some rows only. */
export function showsAllColumns({ parts }: Scope): boolean {
  return parts.some(({ mask }) => mask === null);
}

/** Whether the scope shows every row of content with this schema, so that what is known of its rows may be told. */
export function showsAllRows(schema: readonly Column[], scope: Scope): boolean {
  return visibleParts(schema, scope).some(({ conditions }) => conditions === null);
}

/**
 * What a scope shows of content with this schema: parts of different columns, in an order that does not depend on the order
 * of the grants. A part whose condition does not fit the schema shows nothing; `forbidden` when no part shows anything.
 */
export function visibleParts(schema: readonly Column[], scope: Scope): readonly VisiblePart[] {
  if (isUnrestricted(scope)) return [{ columns: new Set(schema.map(({ name }) => name)), conditions: null }];
  const fitting = scope.parts.filter(({ rows }) => rows === null || fits(rows, schema));
  const groups = new Map<string, VisiblePart>();
  for (const part of fitting) addPart(groups, schema, part);
  const parts = [...groups.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, part]) => part);
  if (parts.length === 0) throw nothingVisible(fitting.length === 0);
  return parts.filter((part) => !parts.some((other) => other !== part && covers(other, part)));
}

/** The columns that the scope shows; those that are hidden in some rows are nullable. `forbidden` when it shows nothing. */
export function visibleSchema(schema: readonly Column[], scope: Scope): Column[] {
  return schemaOf(visibleParts(schema, scope), schema);
}

/** The columns of a schema that any of its parts shows. */
export function schemaOf(parts: readonly VisiblePart[], schema: readonly Column[]): Column[] {
  const shown = schema.filter(({ name }) => parts.some(({ columns }) => columns.has(name)));
  return shown.map((column) => (column.nullable || isWhole(parts, column.name) ? column : { ...column, nullable: true }));
}

/** Whether a column is visible in every row that is. */
export function isWhole(parts: readonly VisiblePart[], column: string): boolean {
  const showing = parts.filter(({ columns }) => columns.has(column));
  return showing.length === parts.length || showing.some(({ conditions }) => conditions === null);
}

/**
 * The rows of a scope that have these values, in columns that are visible there; undefined: it has none, since some of the columns are
 * hidden everywhere. It is for counting only.
 */
export function showing(schema: readonly Column[], scope: Scope, values: Readonly<Record<string, string | number | boolean>>): Scope | undefined {
  const wanted = new Map(Object.entries(values));
  const columns = schema.filter(({ name }) => wanted.has(name));
  const matches = columns.map((column) => valueMatch(column, wanted.get(column.name) ?? ''));
  const parts = visibleParts(schema, scope).filter((part) => [...wanted.keys()].every((name) => part.columns.has(name)));
  const narrowed = parts.flatMap(({ conditions }) =>
    (conditions ?? [null]).map((condition) => ({
      rows: {
        sql: [...(condition === null ? [] : [`(${condition.sql})`]), ...matches.map(({ sql }) => sql)].join(' AND '),
        values: [...(condition?.values ?? []), ...matches.flatMap((match) => match.values)],
        columns: [...(condition?.columns ?? []), ...columns],
      },
      mask: null,
    })),
  );
  return narrowed.length === 0 ? undefined : { parts: narrowed };
}

/** The same text for two scopes that show the same of this schema by the same conditions: what caches and entity tags go by. */
export function scopeIdentity(schema: readonly Column[], scope: Scope): string {
  const conditions = (part: VisiblePart) => part.conditions?.map(({ sql, values }) => [sql, values]) ?? null;
  return JSON.stringify(visibleParts(schema, scope).map((part) => [[...part.columns], conditions(part)]));
}

function addPart(groups: Map<string, VisiblePart>, schema: readonly Column[], { rows, mask }: ScopePart): void {
  const columns = schema.filter((column) => mask === null || isShown(column, mask)).map(({ name }) => name);
  // Content of which nothing could be read has no columns, and all of them are visible to who may see everything.
  if (columns.length === 0 && (rows !== null || mask !== null)) return;
  const key = JSON.stringify(columns);
  const earlier = groups.get(key);
  const isEveryRow = rows === null || earlier?.conditions === null;
  groups.set(key, { columns: new Set(columns), conditions: isEveryRow ? null : withCondition(earlier?.conditions ?? [], rows) });
}

function withCondition(conditions: readonly RowCondition[], added: RowCondition): readonly RowCondition[] {
  const keyed = new Map([...conditions, added].map((condition) => [JSON.stringify([condition.sql, condition.values]), condition]));
  return [...keyed.entries()].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, condition]) => condition);
}

/** Names are compared as DuckDB compares them, so that no spelling slips by a mask. */
function isShown({ name, columnId }: Column, { hidden, columnIdsBelow }: ColumnMask): boolean {
  return columnId < columnIdsBelow && !hidden.some((masked) => masked.toLowerCase() === name.toLowerCase());
}

const covers = (one: VisiblePart, other: VisiblePart): boolean =>
  one.conditions === null && [...other.columns].every((name) => one.columns.has(name));

/** A condition means the same as when it was granted only where its columns are there and of the same kind. */
function fits({ columns }: RowCondition, schema: readonly Column[]): boolean {
  return columns.every(({ name, type }) => schema.some((column) => column.name === name && kindOf(column.type) === kindOf(type)));
}

function kindOf(type: string): string {
  if (/^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$/.test(type)) return 'number';
  return /^TIMESTAMP(_S|_MS|_NS)?$/.test(type) ? 'TIMESTAMP' : type;
}

/** Says nothing of what the filter or the mask names, which may be hidden. */
function nothingVisible(isFilter: boolean): CovistaError {
  const why = isFilter ? 'the row filter of your grant does not fit its columns' : 'your grant shows none of its columns';
  return new CovistaError('forbidden', `nothing of this version is visible to you: ${why}`, { reason: isFilter ? 'row_filter' : 'column_mask' });
}
