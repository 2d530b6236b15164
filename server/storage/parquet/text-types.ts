/**
 * What a text can be read as. The types of a CSV file are decided from its first rows (`matches`), and every later value is
 * checked while it is converted (`keeps`): a value that the type would change, such as 007 or 1.5 as a whole number, is
 * never rounded or cut, it makes the type of the column wider. The conditions run over every value of a file, so that each
 * begins with what is cheap and true of usual values; DuckDB stops at the first part of an OR that holds.
 */
export interface TextType {
  /** SQL type, as DESCRIBE prints it. */
  readonly sqlType: string;
  readonly matches: (text: string) => boolean;
  /** SQL that converts the text `x`, and fails where it cannot. */
  readonly convert: (x: string) => string;
  /** The same, NULL where it cannot. */
  readonly tryConvert: (x: string) => string;
  /** SQL that holds if conversion, where it succeeds, keeps everything that the text `x` says; not for an empty text. */
  readonly keeps: (x: string) => string;
}

const INT64_MAX = 2n ** 63n - 1n;
const WHOLE = /^\s*-?(?:0|[1-9]\d{0,18})\s*$/;
/** Neither texts such as 007, which are codes, nor numbers of which a double does not keep the whole part. */
const NUMBER = /^\s*[+-]?(?:(?:0|[1-9]\d{0,14})(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/;
const NOT_A_NUMBER = /^[+-]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)$/;
const ISO_DATE = /^\d{4}-\d\d-\d\d$/;
const ISO_TIME = /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/;
const ISO_TIMESTAMP = /^\d{4}[-/]\d\d[-/]\d\d(?:[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?)?$/;
const ISO_INSTANT = /^\d{4}-\d\d-\d\d[ T](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d(?::\d\d)?)$/;

function isWhole(text: string): boolean {
  if (!WHOLE.test(text)) return false;
  const trimmed = text.trim();
  if (trimmed === '-0') return false;
  return trimmed.length < 19 || (BigInt(trimmed) <= INT64_MAX && BigInt(trimmed) >= -INT64_MAX - 1n);
}

function isDouble(text: string): boolean {
  if (NOT_A_NUMBER.test(text)) return true;
  return NUMBER.test(text) && Number.isFinite(Number(text));
}

/** Whether the calendar has the day that an ISO text begins with. */
function isDay(text: string): boolean {
  const iso = text.slice(0, 10).replaceAll('/', '-');
  const day = new Date(`${iso}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(iso);
}

const full = (x: string, pattern: RegExp): string => `regexp_full_match(${x}, '${pattern.source}')`;

/** The two ways of converting with a cast. */
const cast = (sqlType: string): Pick<TextType, 'sqlType' | 'convert' | 'tryConvert'> => ({
  sqlType,
  convert: (x) => `CAST(${x} AS ${sqlType})`,
  tryConvert: (x) => `TRY_CAST(${x} AS ${sqlType})`,
});

/** No other text that DuckDB takes for a truth value has so many characters. */
const boolean: TextType = {
  ...cast('BOOLEAN'),
  matches: (text) => /^(?:true|false)$/i.test(text),
  keeps: (x) => `length(${x}) BETWEEN 4 AND 5`,
};

const bigint: TextType = {
  ...cast('BIGINT'),
  matches: isWhole,
  keeps: (x) => `(CAST(TRY_CAST(${x} AS BIGINT) AS VARCHAR) = ${x} OR CAST(TRY_CAST(${x} AS BIGINT) AS VARCHAR) = trim(${x}))`,
};

/** Without an exponent so few characters are no infinity; the engine takes underscores between digits as well. */
const double: TextType = {
  ...cast('DOUBLE'),
  matches: isDouble,
  keeps: (x) =>
    `((length(${x}) <= 15 AND (${x} >= '1' OR starts_with(${x}, '0.')) AND NOT (contains(${x}, 'e') OR contains(${x}, 'E') OR contains(${x}, '_'))) ` +
    `OR (${full(x, NUMBER)} AND isfinite(TRY_CAST(${x} AS DOUBLE))) OR ${full(x, NOT_A_NUMBER)})`,
};

/** What the engine takes beyond this form has a sign or spaces. */
const date: TextType = {
  ...cast('DATE'),
  matches: (text) => ISO_DATE.test(text) && isDay(text),
  keeps: (x) => `(${x} LIKE '____-__-__' AND ${x} >= '0' AND NOT contains(${x}, ' '))`,
};

const parsedDate = (format: string, pattern: RegExp): Omit<TextType, 'matches'> => ({
  sqlType: 'DATE',
  convert: (x) => `CAST(strptime(${x}, '${format}') AS DATE)`,
  tryConvert: (x) => `CAST(try_strptime(${x}, '${format}') AS DATE)`,
  keeps: (x) => full(x, pattern),
});

/** A date of another order; `order` names the parts that the pattern's groups hold. */
function formattedDate(format: string, pattern: RegExp, order: 'ymd' | 'dmy' | 'mdy'): TextType {
  const part = (parts: readonly string[], name: string, width: number): string => (parts[order.indexOf(name) + 1] ?? '').padStart(width, '0');
  return {
    ...parsedDate(format, pattern),
    matches: (text) => {
      const parts = pattern.exec(text);
      return parts !== null && isDay(`${part(parts, 'y', 4)}-${part(parts, 'm', 2)}-${part(parts, 'd', 2)}`);
    },
  };
}

const dayFirst = formattedDate('%d/%m/%Y', /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/, 'dmy');
const monthFirst = formattedDate('%m/%d/%Y', /^(\d{1,2})\/(\d{1,2})\/(\d{4})$/, 'mdy');

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const NAMED_MONTH = /^([A-Za-z]{3}) (\d{1,2}) (\d{4})$/;

/** `Jan 1 2000`. */
const namedMonth: TextType = {
  ...parsedDate('%b %d %Y', NAMED_MONTH),
  matches: (text) => {
    const [, month = '', day = '', year = ''] = NAMED_MONTH.exec(text) ?? [];
    return isDay(`${year}-${String(MONTHS.indexOf(month.toLowerCase()) + 1).padStart(2, '0')}-${day.padStart(2, '0')}`);
  },
};

const time: TextType = { ...cast('TIME'), matches: (text) => ISO_TIME.test(text), keeps: (x) => full(x, ISO_TIME) };

/** The engine takes more texts than these: it drops zones, and hour 24 is the day after. A usual one is what it would write itself. */
const timestamp: TextType = {
  ...cast('TIMESTAMP'),
  matches: (text) => ISO_TIMESTAMP.test(text) && isDay(text),
  keeps: (x) => `((length(${x}) = 19 AND CAST(TRY_CAST(${x} AS TIMESTAMP) AS VARCHAR) = ${x}) OR ${full(x, ISO_TIMESTAMP)})`,
};

const instant: TextType = {
  ...cast('TIMESTAMP WITH TIME ZONE'),
  matches: (text) => ISO_INSTANT.test(text) && isDay(text),
  keeps: (x) => full(x, ISO_INSTANT),
};

export const TEXT: TextType = { ...cast('VARCHAR'), matches: () => true, keeps: () => 'true' };

/** Narrow before wide: a column gets the first type that all its values have. */
export const TYPES: readonly TextType[] = [
  boolean,
  bigint,
  double,
  date,
  formattedDate('%Y/%m/%d', /^(\d{4})\/(\d{1,2})\/(\d{1,2})$/, 'ymd'),
  dayFirst,
  monthFirst,
  formattedDate('%d.%m.%Y', /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/, 'dmy'),
  namedMonth,
  time,
  timestamp,
  instant,
];

/** The type of a column of which it is known which types fit all its values. */
export function chooseType(fitting: readonly TextType[]): TextType {
  // A date whose day and month cannot be told apart stays the text that it is.
  if (fitting.includes(dayFirst) && fitting.includes(monthFirst)) return TEXT;
  return fitting[0] ?? TEXT;
}

/** The types that fit all values of a column; undefined when there is no value to tell by. */
export function inferTypes(values: Iterable<string | null | undefined>): readonly TextType[] | undefined {
  let candidates: readonly TextType[] | undefined;
  for (const value of values) {
    if (value === null || value === undefined || value === '') continue;
    candidates = (candidates ?? TYPES).filter((type) => type.matches(value));
    if (candidates.length === 0) break;
  }
  return candidates;
}
