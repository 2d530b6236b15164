import type { TextType } from './text-types.ts';

/**
 * How a text becomes a value of a type that a version's column already has. Unlike with guessed types the value counts, not
 * its spelling: 007 and 7.0 are fine for a whole number, 7.5 is not.
 */
export function exactConversion(sqlType: string): TextType {
  const pattern = lossyUnless(sqlType);
  return {
    sqlType,
    matches: () => true,
    convert: (x) => `CAST(${x} AS ${sqlType})`,
    tryConvert: (x) => `TRY_CAST(${x} AS ${sqlType})`,
    keeps: (x) => (pattern === undefined ? `${x} <> ''` : `regexp_full_match(trim(${x}), '${pattern}')`),
  };
}

const WHOLE_TYPES = /^U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;
const DAY = String.raw`\d+-\d\d?-\d\d?`;
const ZONE = '(?: ?(?:Z|UTC|[+-]00(?::?00)?))?';

/** Texts that the type keeps whole, as a pattern, for types whose casts round or cut; undefined for the others. */
function lossyUnless(sqlType: string): string | undefined {
  if (WHOLE_TYPES.test(sqlType)) return String.raw`[+-]?\d+(?:\.0*)?`;
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(sqlType)?.[1];
  if (scale !== undefined) return String.raw`[+-]?\d*(?:\.\d{0,${scale}}0*)?`;
  if (sqlType === 'DATE') return String.raw`${DAY}(?:[ T]00:00(?::00(?:\.0*)?)?${ZONE})?`;
  if (sqlType === 'TIME') return String.raw`\d\d?:\d\d(?::\d\d(?:\.\d{0,6}0*)?)?`;
  if (sqlType === 'TIMESTAMP') return String.raw`${DAY}(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d{0,6}0*)?)?${ZONE})?`;
  if (sqlType === 'TIMESTAMP WITH TIME ZONE') return String.raw`${DAY}(?:[ T]\d\d?:\d\d(?::\d\d(?:\.\d{0,6}0*)?)?(?: ?[A-Za-z_/+:0-9-]+)?)?`;
  return undefined;
}
