import { identifier, literal } from './quote.ts';
import type { TextType } from './text-types.ts';
import { parseType, type TypeTree } from './type-tree.ts';

/**
 * How a text becomes a value of a type that a version's column already has. Unlike with guessed types the value counts, not
 * its spelling: 007 and 7.0 are fine for a whole number, 7.5 is not.
 */
export function exactConversion(sqlType: string): TextType {
  return {
    sqlType,
    matches: () => true,
    convert: (x) => `CAST(${x} AS ${sqlType})`,
    tryConvert: (x) => `TRY_CAST(${x} AS ${sqlType})`,
    keeps: (x) => lossless(sqlType, x) ?? `${x} <> ''`,
  };
}

/** The type of the same shape in which every value is a text; undefined of a type without such parts. */
export function textShape(sqlType: string): string | undefined {
  const tree = parseType(sqlType);
  return tree.kind === 'plain' ? undefined : shapeOf(tree);
}

function shapeOf(tree: TypeTree): string {
  switch (tree.kind) {
    case 'plain':
      return 'VARCHAR';
    case 'list':
      return `${shapeOf(tree.item)}[]`;
    case 'struct':
      return `STRUCT(${tree.fields.map(({ name, type }) => `${identifier(name)} ${shapeOf(type)}`).join(', ')})`;
    case 'map':
      return `MAP(${shapeOf(tree.key)}, ${shapeOf(tree.value)})`;
  }
}

/** SQL that holds if the type keeps the text `x` whole, as far as it can be read at all; undefined of types whose casts neither round nor cut. */
function lossless(sqlType: string, x: string): string | undefined {
  const tree = parseType(sqlType);
  if (tree.kind !== 'plain') {
    const kept = partsKept(tree, `TRY_CAST(${x} AS ${shapeOf(tree)})`, 0);
    return kept === undefined ? undefined : `(${kept} AND CAST(${x} AS VARCHAR) <> '')`;
  }
  if (sqlType === 'DOUBLE' || sqlType === 'FLOAT') return floatKept(sqlType, x);
  const pattern = lossyUnless(sqlType);
  return pattern === undefined ? undefined : `regexp_full_match(trim(${x}), '${pattern}')`;
}

/** The same of the texts within a value of the type's shape. */
function partsKept(tree: TypeTree, value: string, depth: number): string | undefined {
  switch (tree.kind) {
    case 'plain': {
      const kept = lossless(tree.name, value);
      return kept === undefined ? undefined : `coalesce(${kept}, ${value} IS NULL)`;
    }
    case 'list':
      return itemsKept(tree.item, value, depth);
    case 'struct':
      return allOf(tree.fields.map(({ name, type }) => partsKept(type, `struct_extract(${value}, ${literal(name)})`, depth)));
    case 'map':
      return allOf([itemsKept(tree.key, `map_keys(${value})`, depth), itemsKept(tree.value, `map_values(${value})`, depth)]);
  }
}

function itemsKept(tree: TypeTree, list: string, depth: number): string | undefined {
  const item = `e${depth}`;
  const kept = partsKept(tree, item, depth + 1);
  return kept === undefined ? undefined : `coalesce(list_bool_and(list_transform(${list}, lambda ${item}: ${kept})), true)`;
}

function allOf(conditions: readonly (string | undefined)[]): string | undefined {
  const all = conditions.filter((condition) => condition !== undefined);
  return all.length === 0 ? undefined : `(${all.join(' AND ')})`;
}

const NUMBER = String.raw`[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?`;
const NOT_A_NUMBER = '(?i)[+-]?(?:nan|inf|infinity)';
/** Digits of a whole number that every value of the type keeps. */
const WHOLE_DIGITS = { FLOAT: 7, DOUBLE: 15 } as const;

/** A fraction is rounded, as of any such number; what is before the point is kept, and what is too large is no infinity. Most texts are short and need no more than the first line. */
function floatKept(sqlType: keyof typeof WHOLE_DIGITS, x: string): string {
  const digits = WHOLE_DIGITS[sqlType];
  const exact = `TRY_CAST(TRY_CAST(${x} AS ${sqlType}) AS DECIMAL(38,6)) = TRY_CAST(${x} AS DECIMAL(38,6))`;
  return (
    `((length(${x}) BETWEEN 1 AND ${digits} AND NOT (contains(${x}, 'e') OR contains(${x}, 'E') OR contains(${x}, '_'))) ` +
    `OR (regexp_full_match(trim(${x}), '${NUMBER}') AND isfinite(TRY_CAST(${x} AS ${sqlType})) ` +
    String.raw`AND (NOT regexp_full_match(trim(${x}), '[+-]?\d{${digits + 1},}(?:\.\d*)?') OR ${exact})) ` +
    `OR regexp_full_match(trim(${x}), '${NOT_A_NUMBER}'))`
  );
}

const WHOLE_TYPES = /^U?(?:TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;
const DAY = String.raw`\d+-\d\d?-\d\d?(?: \(BC\))?`;
const ENDLESS = '-?infinity';
const ZONE = '(?: ?(?:Z|UTC|[+-]00(?::?00)?))?';

const timeOfDay = (digits: number): string => String.raw`\d\d?:\d\d(?::\d\d(?:\.\d{0,${digits}}0*)?)?`;

/** Texts that the type keeps whole, as a pattern, for types whose casts round or cut; undefined for the others. */
function lossyUnless(sqlType: string): string | undefined {
  if (WHOLE_TYPES.test(sqlType)) return String.raw`[+-]?\d+(?:\.0*)?`;
  const scale = /^DECIMAL\(\d+,(\d+)\)$/.exec(sqlType)?.[1];
  if (scale !== undefined) return String.raw`[+-]?\d*(?:\.\d{0,${scale}}0*)?`;
  if (sqlType === 'DATE') return String.raw`${ENDLESS}|${DAY}(?:[ T]00:00(?::00(?:\.0*)?)?${ZONE})?`;
  if (sqlType === 'TIME') return timeOfDay(6);
  if (sqlType === 'TIME_NS') return timeOfDay(9);
  if (sqlType === 'TIMESTAMP') return `${ENDLESS}|${DAY}(?:[ T]${timeOfDay(6)}${ZONE})?`;
  if (sqlType === 'TIMESTAMP_NS') return `${ENDLESS}|${DAY}(?:[ T]${timeOfDay(9)}${ZONE})?`;
  if (sqlType === 'TIMESTAMP WITH TIME ZONE') return `${ENDLESS}|${DAY}(?:[ T]${timeOfDay(6)}(?: ?[A-Za-z_/+:0-9-]+)?)?`;
  return undefined;
}
