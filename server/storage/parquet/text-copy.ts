import { CovistaError } from '../../../protocol/errors.ts';
import type { Session } from './broker.ts';
import { EngineError } from './engine-error.ts';
import { copyToParquet } from './parquet-options.ts';
import { identifier } from './quote.ts';
import { applySurvey, conversionSql, surveySql, type TextColumn } from './text-columns.ts';

/** A source of text columns: SQL of the table function that reads it, given what to read the columns as. */
export type TextSource = (columns: readonly TextColumn[]) => string;

/** Converts a source to a file. Returns the number of rows; undefined when a value does not fit its column, or a row cannot be read. */
export async function copyText(session: Session, columns: readonly TextColumn[], source: TextSource, target: string): Promise<number | undefined> {
  const select = `SELECT ${conversionSql(columns)} FROM ${source(columns)}`;
  try {
    return await session.executeWithProgress('convert', copyToParquet(select, target, columns.length));
  } catch (error) {
    if (error instanceof EngineError && (error.type === 'Invalid Input' || error.type === 'Conversion')) return undefined;
    throw error;
  }
}

/** The columns with types that fit all their values. */
export async function surveyColumns(session: Session, columns: readonly TextColumn[], source: TextSource): Promise<TextColumn[]> {
  const sql = surveySql(columns);
  if (sql === '') return [...columns];
  const [found] = await session.rows(`SELECT ${sql} FROM ${source(columns)}`);
  return applySurvey(columns, found ?? {});
}

/**
 * Throws `unprocessable_data` for the first column of a version that would round or cut a value of the source; with
 * `unreadable`, also for one that cannot take a value at all.
 */
export async function assertFits(
  session: Session,
  columns: readonly TextColumn[],
  source: TextSource,
  { unreadable }: { readonly unreadable: boolean },
): Promise<void> {
  const given = columns.filter(({ candidates, from, read }) => candidates === null && from !== null && read === 'text');
  if (given.length === 0) return;
  const misfits = given.map(({ from, type }, index) => {
    const x = identifier(from ?? '');
    const isMisfit = unreadable
      ? `NOT (coalesce(${type.keeps(x)}, false) AND ${type.tryConvert(x)} IS NOT NULL)`
      : `NOT coalesce(${type.keeps(x)}, false) AND ${type.tryConvert(x)} IS NOT NULL`;
    const text = `CAST(${x} AS VARCHAR)`;
    return `min(${text}) FILTER (WHERE ${text} <> '' AND ${isMisfit}) AS "misfit_${index}"`;
  });
  const [found] = await session.rows(`SELECT ${misfits.join(', ')} FROM ${source(columns)}`);
  const index = given.findIndex((_column, at) => typeof found?.[`misfit_${at}`] === 'string');
  const column = given[index];
  if (column === undefined) return;
  const sample = String(found?.[`misfit_${index}`]).slice(0, 200);
  const message = `column ${JSON.stringify(column.name)} has type ${column.sqlType}, which cannot hold the text ${JSON.stringify(sample)}`;
  throw new CovistaError('unprocessable_data', message, { column: column.name, type: column.sqlType, sourceType: 'VARCHAR', sample });
}
