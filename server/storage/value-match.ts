import { decimalDigits } from '../shared/numeric-types.ts';
import type { Column } from './stores.ts';

type Scalar = string | number | boolean;

/** A condition with a text for each of its `?`, in order. */
export interface ValueMatch {
  readonly sql: string;
  readonly values: readonly string[];
}

interface Typed {
  readonly sql: string;
  readonly text: string;
}

/** No number is longer, and the patterns below take their time with long texts. */
const NUMBER_CHARS_MAX = 100;

/**
 * That a column has a value, which may be as the engine writes it, as rows tell it (EXP5), or as a table does: a number, a date or a
 * time is written in several ways. What the type of the column would round is no value of it.
 */
export function valueMatch({ name, type }: Pick<Column, 'name' | 'type'>, value: Scalar): ValueMatch {
  const column = `"${name.replaceAll('"', '""')}"`;
  const written = `CAST(${column} AS VARCHAR) = ?`;
  const typed = numberMatch(column, type, value) ?? timeMatch(column, type, value);
  if (typed === undefined) return { sql: `(${written})`, values: [String(value)] };
  return { sql: `(${written} OR ${typed.sql})`, values: [String(value), typed.text] };
}

function numberMatch(column: string, type: string, value: Scalar): Typed | undefined {
  const text = String(value);
  if (type === 'FLOAT' || type === 'DOUBLE') {
    const isNumber = typeof value !== 'boolean' && String(Number(value)) === text;
    return isNumber ? { sql: `CAST(${column} AS DOUBLE) = TRY_CAST(? AS DOUBLE)`, text } : undefined;
  }
  const scale = /^U?(?:(?:TINY|SMALL|BIG|HUGE)INT|INTEGER)$/.test(type) ? 0 : decimalDigits(type)?.scale;
  if (scale === undefined || text.length > NUMBER_CHARS_MAX) return undefined;
  const [, whole, digits = ''] = /^(-?\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const fraction = withoutZeros(digits);
  if (whole === undefined || fraction.length > scale) return undefined;
  return { sql: `${column} = TRY_CAST(? AS ${type})`, text: withFraction(whole, fraction) };
}

const ISO_TIME = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.(\d{1,9}))?)?(?:Z|\+00(?::00)?)?)?$/;

/** Times are in UTC where no zone is given, as filters of tables read them; what has another zone is not looked into. */
function timeMatch(column: string, type: string, value: Scalar): Typed | undefined {
  if (!/^(?:DATE|TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?)$/.test(type)) return undefined;
  const [, date, minutes = '00:00', seconds = ':00', digits = ''] = ISO_TIME.exec(isoText(value)) ?? [];
  if (date === undefined) return undefined;
  const fraction = withoutZeros(digits);
  const time = `${minutes}${seconds.slice(0, 3)}`;
  if (type === 'DATE') return time === '00:00:00' && fraction === '' ? { sql: `${column} = TRY_CAST(? AS DATE)`, text: date } : undefined;
  const text = withFraction(`${date} ${time}`, fraction);
  const moment = type === 'TIMESTAMP WITH TIME ZONE' ? `timezone('UTC', ${column})` : column;
  // Tables tell of no more than milliseconds, whatever there is.
  if (fraction.length <= 3) return { sql: `date_trunc('millisecond', TRY_CAST(${moment} AS TIMESTAMP)) = TRY_CAST(? AS TIMESTAMP)`, text };
  const exact = type === 'TIMESTAMP_NS' || fraction.length > 6 ? 'TIMESTAMP_NS' : 'TIMESTAMP';
  return { sql: `TRY_CAST(${moment} AS ${exact}) = TRY_CAST(? AS ${exact})`, text };
}

/** Tables count milliseconds since 1970. */
function isoText(value: Scalar): string {
  if (typeof value !== 'number') return String(value);
  const moment = new Date(value);
  return Number.isInteger(value) && !Number.isNaN(moment.getTime()) ? moment.toISOString() : '';
}

const withoutZeros = (digits: string): string => digits.replace(/0+$/, '');
const withFraction = (text: string, fraction: string): string => (fraction === '' ? text : `${text}.${fraction}`);
