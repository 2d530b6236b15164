import type { ScopedContent } from '../content-store.ts';
import { type ComparedColumn, comparable, type Side } from './diff-columns.ts';
import { withFiles } from './diff-plan.ts';
import { identifier } from './quote.ts';
import { FILE_COLUMN, ROW_COLUMN, scopedRelation } from './relation.ts';
import type { Session } from './session.ts';

/** A piece of SQL with the values for its `?`, in order. */
export interface Fragment {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Glues texts and fragments together. */
export function fragment(texts: TemplateStringsArray, ...parts: readonly (Fragment | string | number)[]): Fragment {
  const values: unknown[] = [];
  const sql = texts.reduce((before, text, index) => {
    const part = parts[index - 1];
    if (typeof part !== 'object') return `${before}${part ?? ''}${text}`;
    values.push(...part.values);
    return `${before}${part.sql}${text}`;
  });
  return { sql, values };
}

export function join(fragments: readonly Fragment[], separator: string): Fragment {
  return { sql: fragments.map(({ sql }) => sql).join(separator), values: fragments.flatMap(({ values }) => values) };
}

/** Rows `from` to `to` (exclusive) of some files of a content; without them, all rows. */
export interface Slice {
  readonly firstFile: number;
  /** Exclusive. */
  readonly endFile: number;
  readonly rows?: { readonly start: number; readonly end: number };
}

export interface Projection {
  /** Become `k0`, `k1` … in the form in which they are compared. */
  readonly key?: readonly ComparedColumn[] | null;
  /** Become `v0`, `v1` … in the form in which they are compared. */
  readonly columns?: readonly ComparedColumn[];
  /** Become `n0`, `n1` … as they are. */
  readonly named?: readonly ComparedColumn[] | null;
  /** Adds `pos`: the file's index and the row in it as one number that rises in manifest order. */
  readonly position?: boolean;
  /** A condition on the source's columns. */
  readonly where?: string;
}

/** Rows of a file beside its index in a position. A manifest has some thousand files at most, so 2^63 is far. */
const ROW_BITS = 48;

/** Rows of one side under names that do not depend on the data. */
export function sideRows(side: Side, source: ScopedContent, projection: Projection, slices?: readonly Slice[]): Fragment {
  if (slices === undefined) return sliceRows(side, source, projection, { firstFile: 0, endFile: source.content.files.length });
  if (slices.length === 0) return sliceRows(side, source, projection, { firstFile: 0, endFile: 0 });
  return join(
    slices.map((slice) => sliceRows(side, source, projection, slice)),
    ' UNION ALL ',
  );
}

function sliceRows(side: Side, source: ScopedContent, projection: Projection, slice: Slice): Fragment {
  const part = withFiles(source, source.content.files.slice(slice.firstFile, slice.endFile));
  const relation = scopedRelation(part, { positions: projection.position === true || slice.rows !== undefined });
  const row = identifier(ROW_COLUMN);
  const conditions = [projection.where, slice.rows === undefined ? undefined : `${row} >= ${slice.rows.start} AND ${row} < ${slice.rows.end}`];
  const where = conditions.filter((condition) => condition !== undefined).join(' AND ');
  const list = selectList(side, projection, slice.firstFile).join(', ');
  return { sql: `SELECT ${list} FROM (${relation.sql})${where === '' ? '' : ` WHERE ${where}`}`, values: relation.values };
}

function selectList(side: Side, projection: Projection, firstFile: number): string[] {
  const file = `(${identifier(FILE_COLUMN)}::BIGINT + ${firstFile})`;
  const named = (expressions: readonly string[], letter: string): string[] => expressions.map((sql, index) => `${sql} AS ${letter}${index}`);
  return [
    ...named(keyTerms(projection.key ?? [], side), 'k'),
    ...named(
      (projection.columns ?? []).flatMap((column) => comparable(column, side)),
      'v',
    ),
    ...named(
      (projection.named ?? []).map(({ name }) => identifier(name)),
      'n',
    ),
    ...(projection.position === true ? [`(${file} << ${ROW_BITS}) + ${identifier(ROW_COLUMN)} AS pos`] : []),
  ];
}

const keyTerms = (key: readonly ComparedColumn[], side: Side): string[] => key.flatMap((column) => comparable(column, side));

/** `k0`, `k1` …: the names of the key's terms. */
export function keyNames(key: readonly ComparedColumn[], prefix = ''): string[] {
  return keyTerms(key, 'from').map((_sql, index) => `${prefix}k${index}`);
}

/** That the keys of two relations are equal. Keys without NULLs are assumed, but a term of a retyped one may be NULL. */
export function sameKey(key: readonly ComparedColumn[], one: string, other: string): string {
  const terms = key.flatMap((column) => comparable(column, 'from').map((_sql, _index, all) => (all.length === 1 ? '=' : 'IS NOT DISTINCT FROM')));
  return terms.map((operator, index) => `${one}.k${index} ${operator} ${other}.k${index}`).join(' AND ');
}

/** That any compared column of two relations differs. */
export function anyDiffers(columns: readonly ComparedColumn[], one: string, other: string): string {
  const terms = columns.flatMap((column) => comparable(column, 'from'));
  return terms.length === 0 ? 'false' : terms.map((_sql, index) => `${one}.v${index} IS DISTINCT FROM ${other}.v${index}`).join(' OR ');
}

/** Rows of a temporary table; creating one does not tell. */
export async function countRows(session: Session, table: string): Promise<number> {
  const [row] = await session.rows(`SELECT count(*) AS rows FROM ${table}`);
  return Number(row?.rows);
}

/** The position of a row, as `pos` has it. */
export const positionOf = (file: number, row: number): bigint => (BigInt(file) << BigInt(ROW_BITS)) + BigInt(row);

/** The file's index and the row of a position, as SQL. */
export const fileOf = (position: string): string => `(${position} >> ${ROW_BITS})`;
export const rowOf = (position: string): string => `(${position} & ${2 ** ROW_BITS - 1})`;
