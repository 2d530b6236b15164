/** A value of a row: the name under which SQL finds it, and its SQL type. */
export interface DigestedTerm {
  readonly name: string;
  readonly type: string;
}

/** Types whose texts have none of the signs that are put between values. */
const PLAIN = /^(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(\d+,\d+\)|DATE|TIME|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|UUID)$/;
/** Types of which values are equal exactly if their texts are, and which Parquet keeps as they are. */
const TOLD_BY_TEXT =
  /^(BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|DECIMAL\(\d+,\d+\)|FLOAT|DOUBLE|DATE|TIME|TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|UUID|VARCHAR|BLOB)$/;
const DAYS_PER_MONTH = 30;
const MICROSECONDS_PER_DAY = 86_400_000_000;

/**
 * SQL of the SHA-256 of a row: two rows have the same exactly if their values are equal, term by term, NULL to NULL, as
 * grouping by them tells; only within nested values do texts decide. A text is written behind its length, so that the end of one
 * value can never be taken for the beginning of the next.
 */
export function rowDigest(terms: readonly DigestedTerm[]): string {
  const parts = terms.length === 0 ? ["''"] : terms.map(termText);
  return `unhex(sha256(concat(${parts.join(', ')})))`;
}

/**
 * SQL of a digest of 128 bits that costs less than SHA-256, with a `?` for a secret of a fixed length. Rows that are equal have the same;
 * that others have it is left to chance, as collisions of MD5 are made only by those who know what the text begins with.
 */
export function keyedRowDigest(terms: readonly DigestedTerm[]): string {
  return `md5_number(concat(?, ${terms.map(termText).join(', ')}))`;
}

/** Whether values of a type take part in digests that are kept: intervals and nested values do not, whose texts tell less or more than comparing. */
export const isToldByText = (type: string): boolean => TOLD_BY_TEXT.test(type);

function termText({ name, type }: DigestedTerm): string {
  if (type === 'VARCHAR') return prefixed(name);
  if (PLAIN.test(type)) return plain(`CAST(${name} AS VARCHAR)`);
  // Adding nothing makes 0.0 of -0.0, and there are several kinds of NaN.
  if (type === 'FLOAT' || type === 'DOUBLE') return plain(`CASE WHEN isnan(${name}) THEN 'nan' ELSE CAST(${name} + 0 AS VARCHAR) END`);
  if (type === 'INTERVAL') return plain(intervalText(name));
  return prefixed(`CAST(${name} AS VARCHAR)`);
}

const plain = (text: string): string => `coalesce(${text}, ''), '|'`;
const prefixed = (text: string): string => `coalesce(strlen(${text}) || ':' || ${text}, '-')`;

/** Intervals are equal that are as long with 30 days to the month. */
function intervalText(name: string): string {
  const part = (unit: string): string => `CAST(date_part('${unit}', ${name}) AS HUGEINT)`;
  const days = `(${part('year')} * 12 + ${part('month')}) * ${DAYS_PER_MONTH} + ${part('day')}`;
  const time = `(${part('hour')} * 60 + ${part('minute')}) * 60000000 + ${part('microsecond')}`;
  return `CAST((${days}) * ${MICROSECONDS_PER_DAY} + ${time} AS VARCHAR)`;
}
