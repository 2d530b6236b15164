/** Digits of whole numbers by DuckDB type, the largest value of which has as many. */
export const WHOLE_DIGITS: Readonly<Record<string, number>> = {
  TINYINT: 3,
  SMALLINT: 5,
  INTEGER: 10,
  BIGINT: 19,
  UTINYINT: 3,
  USMALLINT: 5,
  UINTEGER: 10,
  UBIGINT: 20,
};

/** No decimal of DuckDB has more. */
export const DECIMAL_DIGITS_MAX = 38;

/** Digits before and behind the point. */
export interface Digits {
  readonly whole: number;
  readonly scale: number;
}

export function decimalDigits(type: string): Digits | undefined {
  const match = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (match === null) return undefined;
  const scale = Number(match[2]);
  return { whole: Number(match[1]) - scale, scale };
}

/** Not of lists of decimals, whose types begin alike. */
export const isDecimal = (type: string): boolean => decimalDigits(type) !== undefined;

/** Digits of integers and decimals; undefined for floating point and for what no DECIMAL holds. */
export function exactDigits(type: string): Digits | undefined {
  const whole = WHOLE_DIGITS[type];
  return whole === undefined ? decimalDigits(type) : { whole, scale: 0 };
}
