import { setImmediate } from 'node:timers/promises';
import type { Column, PendingColumn } from '../stores.ts';
import { exactConversion } from './exact-conversion.ts';
import { nullableColumn } from './ingest-context.ts';
import { identifier } from './quote.ts';
import { chooseType, inferTypes, TEXT, type TextType, TYPES } from './text-types.ts';

/** One column of the file to be written: a column of the source, as VARCHAR, under a type; or one that the source lacks. */
export interface TextColumn {
  readonly name: string;
  readonly sqlType: string;
  /** Name of the source's column; null: all NULL. */
  readonly from: string | null;
  /** Types that the values seen so far allow. Undefined: none was seen. Null: the type is given. */
  readonly candidates: readonly TextType[] | undefined | null;
  readonly type: TextType;
  /** `typed`: the reader converts the column itself. `proven`: every value is known to fit, so that none is checked. */
  readonly read: 'text' | 'typed' | 'proven';
}

/** Rows of which the types are told without giving way to others. */
const ROWS_AT_ONCE = 200;

/**
 * Guesses the types of a source's columns from sample rows, giving way between columns when there are many rows. Columns of
 * `onto` keep their name, type and order, and come first.
 */
export async function planColumns(
  header: readonly string[],
  rows: readonly (readonly (string | null)[])[],
  onto: readonly Column[] | undefined,
): Promise<TextColumn[]> {
  const given = (onto ?? []).map(({ name, type }) => givenColumn(name, type, header));
  const taken = new Set(given.map(({ from }) => from));
  const columns = [...given];
  for (const [index, name] of header.entries()) {
    if (taken.has(name)) continue;
    columns.push(guessedColumn(name, name, inferTypes(columnValues(rows, index))));
    if (rows.length > ROWS_AT_ONCE) await setImmediate();
  }
  return columns;
}

function* columnValues(rows: readonly (readonly (string | null)[])[], index: number): Generator<string | null | undefined> {
  for (const row of rows) yield row[index];
}

export function givenColumn(name: string, sqlType: string, header: readonly string[]): TextColumn {
  const folded = name.toLowerCase();
  const from = header.find((other) => other.toLowerCase() === folded) ?? null;
  return { name, sqlType, from, candidates: null, type: exactConversion(sqlType), read: 'text' };
}

export function guessedColumn(name: string, from: string | null, candidates: readonly TextType[] | undefined): TextColumn {
  const type = candidates === undefined ? TEXT : chooseType(candidates);
  return { name, sqlType: type.sqlType, from, candidates, type, read: 'text' };
}

/** SQL that converts every value and fails on one that its type would change. */
export function conversionSql(columns: readonly TextColumn[]): string {
  return columns.map((column) => `${valueSql(column)} AS ${identifier(column.name)}`).join(', ');
}

/** What the reader has to read columns of the source as, where that is not text. */
export function readTypes(columns: readonly TextColumn[]): Map<string, string> {
  const typed = columns.filter(({ read }) => read === 'typed');
  return new Map(typed.flatMap(({ from, sqlType }) => (from === null ? [] : [[from, sqlType] as const])));
}

function valueSql({ from, sqlType, type, candidates, read }: TextColumn): string {
  if (from === null) return `CAST(NULL AS ${sqlType})`;
  const x = identifier(from);
  // No value was seen: the first one that comes along ends the attempt, so that the type is told by it.
  if (candidates === undefined) return `CASE WHEN ${x} IS NULL OR ${x} = '' THEN ${x} ELSE error('a value appeared') END`;
  if (sqlType === 'VARCHAR' || read === 'typed') return x;
  if (read === 'proven') return type.convert(`NULLIF(${x}, '')`);
  return `CASE WHEN ${type.keeps(x)} THEN ${type.convert(x)} WHEN ${x} IS NULL OR ${x} = '' THEN NULL ELSE error('a value does not fit') END`;
}

/** Whether a conversion may fail because of what the sample did not show. */
export function isGuess({ candidates }: TextColumn): boolean {
  return candidates === undefined || (candidates !== null && candidates.length > 0);
}

/** SQL that tells, by `survey` names, which candidates fit all values of each guessed column. */
export function surveySql(columns: readonly TextColumn[]): string {
  const parts = columns.flatMap((column, index) =>
    !isGuess(column) || column.from === null ? [] : surveyColumn(identifier(column.from), index, column.candidates ?? TYPES),
  );
  return parts.join(', ');
}

function surveyColumn(x: string, index: number, candidates: readonly TextType[]): string[] {
  const filter = `FILTER (WHERE ${x} IS NOT NULL AND ${x} <> '')`;
  const seen = `count(*) ${filter} AS "seen_${index}"`;
  return [
    seen,
    ...candidates.map(
      (type) =>
        `bool_and(coalesce(${type.keeps(x)}, false) AND ${type.tryConvert(x)} IS NOT NULL) ${filter} AS "fits_${index}_${TYPES.indexOf(type)}"`,
    ),
  ];
}

/** The columns with the types that the survey of all values found. */
export function applySurvey(columns: readonly TextColumn[], found: Readonly<Record<string, unknown>>): TextColumn[] {
  return columns.map((column, index) => {
    if (!isGuess(column) || column.from === null) return column;
    const fitting = (column.candidates ?? TYPES).filter((type) => found[`fits_${index}_${TYPES.indexOf(type)}`] === true);
    return guessedColumn(column.name, column.from, found[`seen_${index}`] === 0 ? [] : fitting);
  });
}

/** The same, of a file of which every value was in the sample: columns without any value are text. */
export function settled(columns: readonly TextColumn[]): TextColumn[] {
  return columns.map((column) => (column.candidates === undefined ? { ...column, candidates: [] } : column));
}

/** The same, when the sample is known to hold what the reader will read. Values of given columns were not looked at. */
export function proven(columns: readonly TextColumn[]): TextColumn[] {
  return columns.map((column) => (column.candidates === null ? column : { ...column, read: 'proven' }));
}

/** What is written, and which of its columns the source lacks. */
export function shapeOf(columns: readonly TextColumn[]): { readonly schema: PendingColumn[]; readonly missing: string[] } {
  return {
    schema: columns.map(({ name, sqlType }) => nullableColumn(name, sqlType)),
    missing: columns.filter(({ from }) => from === null).map(({ name }) => name),
  };
}
