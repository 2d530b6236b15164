import { DECIMAL_DIGITS_MAX, decimalDigits, exactDigits } from '../../shared/numeric-types.ts';
import { literal } from '../../storage/parquet/quote.ts';
import type { Term } from './aggregates.ts';
import type { ColumnKind } from './column-types.ts';
import type { Filter, Scalar } from './view-config.ts';
import { ViewFault } from './view-fault.ts';

const COMPARISONS = ['==', '!=', '>', '>=', '<', '<='];
const NULL_TESTS = ['is null', 'is not null'];
const LISTS = ['in', 'not in'];
const TEXTS = ['begins with', 'not begins with', 'contains', 'not contains', 'ends with', 'not ends with', 'matches', 'not matches'];

const ORDERED = [...COMPARISONS, ...LISTS, ...NULL_TESTS];

/** What filters can ask of columns, by their kind. */
export const FILTER_OPERATORS: Readonly<Record<ColumnKind, readonly string[]>> = {
  string: [...COMPARISONS, ...TEXTS, ...LISTS, ...NULL_TESTS],
  integer: ORDERED,
  float: ORDERED,
  date: ORDERED,
  datetime: ORDERED,
  boolean: ORDERED,
};

/** A condition that is true or false or NULL, which is taken for false. */
export function filterSql(filters: readonly Filter[], isAny: boolean, termOf: (column: string) => Term): string | undefined {
  if (filters.length === 0) return undefined;
  return filters.map((filter) => `(${conditionOf(filter, termOf(filter.column))})`).join(isAny ? ' OR ' : ' AND ');
}

function conditionOf({ operator, values }: Filter, term: Term): string {
  if (!FILTER_OPERATORS[term.kind].includes(operator)) {
    throw new ViewFault(`the filter "${operator}" does not fit ${term.name}, which is of type ${term.kind}`);
  }
  if (operator === 'is null') return `${term.sql} IS NULL`;
  if (operator === 'is not null') return `${term.sql} IS NOT NULL`;
  if (LISTS.includes(operator)) return listCondition(operator === 'not in', values, term);
  const [value] = values;
  if (value === undefined) throw new ViewFault(`the filter "${operator}" on ${term.name} needs a value`);
  if (TEXTS.includes(operator)) return textCondition(operator, value, term);
  return comparison(operator, value, term);
}

/** NULL equals nothing and differs from nothing but values: that a value is unlike another holds of NULL too, and of what is no number. */
function comparison(operator: string, value: Scalar, term: Term): string {
  if (value === null) return operator === '!=' ? 'true' : 'false';
  const other = constantOf(value, term).sql;
  if (operator === '==') return `${term.sql} = ${other}`;
  if (operator === '!=') return `${term.sql} IS DISTINCT FROM ${other}`;
  const condition = `${term.sql} ${operator} ${other}`;
  // For SQL it is greater than every number.
  return operator.startsWith('>') && /^(DOUBLE|FLOAT)$/.test(term.type) ? `${condition} AND NOT isnan(${term.sql})` : condition;
}

/** A list for each type of constants: of several in one, DuckDB would compare all in a type that may have fewer digits. */
function listCondition(isNegated: boolean, values: readonly Scalar[], term: Term): string {
  const constants = values.flatMap((value) => (value === null ? [] : [constantOf(value, term)]));
  if (constants.length === 0) return isNegated ? 'true' : 'false';
  const lists = [...Map.groupBy(constants, ({ type }) => type).values()];
  const condition = lists.map((list) => `${term.sql} IN (${list.map(({ sql }) => sql).join(', ')})`).join(' OR ');
  return isNegated ? `${term.sql} IS NULL OR NOT (${condition})` : condition;
}

/** Texts are compared without regard to case; patterns are those of RE2, which take time in proportion to the text. */
function textCondition(operator: string, value: Scalar, term: Term): string {
  const isNegated = operator.startsWith('not ');
  // No text has NULL in it, and none is matched by it or is not.
  if (value === null) return isNegated && operator !== 'not matches' ? `${term.sql} IS NOT NULL` : 'false';
  const text = textLiteral(String(value));
  const [lowered, part] = [`lower(${term.sql})`, `lower(${text})`];
  const conditions: Readonly<Record<string, string>> = {
    'begins with': `starts_with(${lowered}, ${part})`,
    contains: `contains(${lowered}, ${part})`,
    'ends with': `suffix(${lowered}, ${part})`,
    matches: `regexp_matches(${term.sql}, ${text})`,
  };
  const condition = conditions[isNegated ? operator.slice('not '.length) : operator] ?? 'false';
  return isNegated ? `NOT ${condition}` : condition;
}

/** A text as a constant. A statement ends at a character of code 0, wherever it stands. */
function textLiteral(value: string): string {
  if (value.includes('\0')) throw new ViewFault('a filter contains a character of code 0');
  return literal(value);
}

/** What a column is compared with. */
interface Constant {
  /** The SQL type that it has. */
  readonly type: string;
  readonly sql: string;
}

function constantOf(value: Exclude<Scalar, null>, term: Term): Constant {
  switch (term.kind) {
    case 'string':
      return { type: 'VARCHAR', sql: textLiteral(String(value)) };
    case 'boolean':
      return { type: 'BOOLEAN', sql: value === true || value === 'true' || value === 1 ? 'true' : 'false' };
    case 'integer':
    case 'float':
      return numberConstant(value, term);
    case 'date':
    case 'datetime':
      return timeConstant(value, term);
  }
}

/** A number given as text keeps every digit of it that the column can have. */
function numberConstant(value: Exclude<Scalar, null>, term: Term): Constant {
  const cast = (text: string, type: string): Constant => ({ type, sql: `CAST(${literal(text)} AS ${type})` });
  const text = String(value).trim();
  if (term.kind === 'integer' && /^[-+]?\d{1,38}$/.test(text)) return cast(text, 'HUGEINT');
  const decimal = decimalFor(term.type, text);
  if (decimal !== undefined) return cast(text, decimal);
  const number = typeof value === 'boolean' || text === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) throw new ViewFault(`the filter on ${term.name} compares with ${JSON.stringify(value)}, which is no number`);
  // A column of 32 bits has no 0.1 but the number of 32 bits that is next to it.
  const isSingle = term.type === 'FLOAT' && Number.isFinite(Math.fround(number));
  return cast(String(isSingle ? Math.fround(number) : number), isSingle ? 'FLOAT' : 'DOUBLE');
}

/** Integers that a DOUBLE does not hold, but a decimal does. */
const LARGE_INTEGERS: readonly string[] = ['BIGINT', 'UBIGINT'];

/** The type of decimals in which a number, as it is written, can be compared with those of another type; undefined where there is none. */
function decimalFor(type: string, text: string): string | undefined {
  const column = LARGE_INTEGERS.includes(type) ? exactDigits(type) : decimalDigits(type);
  const [, whole, fraction = ''] = /^[-+]?(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  if (column === undefined || whole === undefined) return undefined;
  const digits = Math.max(column.whole, whole.length) + Math.max(column.scale, fraction.length);
  return digits <= DECIMAL_DIGITS_MAX ? `DECIMAL(${whole.length + fraction.length},${fraction.length})` : undefined;
}

/** Milliseconds since 1970, or a date or time in ISO 8601 or as `Date` of JavaScript reads it, in UTC where no zone is given. */
function timeConstant(value: Exclude<Scalar, null>, term: Term): Constant {
  const ms = typeof value === 'number' ? value : parseTime(String(value));
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) {
    throw new ViewFault(`the filter on ${term.name} compares with ${JSON.stringify(value)}, which is no date or time`);
  }
  const stamp = `make_timestamp_ms(CAST(${Math.floor(ms)} AS BIGINT))`;
  return term.kind === 'date' ? { type: 'DATE', sql: `CAST(${stamp} AS DATE)` } : { type: 'TIMESTAMP', sql: stamp };
}

/** The name of a zone, or an offset, which comes behind a time or such a name: elsewhere it is a year. */
const ZONE = /(?:\d\s*Z|\b(?:UTC?|GMT|[ECMP][SD]T)|(?:\d:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AP]M)?|\b(?:UTC?|GMT))\s*[-+]\d{1,2}(?::?\d{2})?)$/i;

function parseTime(text: string): number {
  const plain = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?))?$/.exec(text.trim());
  if (plain !== null) return Date.parse(`${plain[1]}T${plain[2] ?? '00:00'}Z`);
  // Behind an offset, `Date` writes the name of the zone in brackets.
  const bare = text.replace(/\([^()]*\)/g, ' ').trim();
  return Date.parse(ZONE.test(bare) ? bare : `${bare} UTC`);
}
