import type { Limits } from '../../../protocol/limits.ts';
import { growthOf, REPLACING } from '../../shared/text-growth.ts';
import { stackFault } from './expression-stack.ts';
import { type Token, tokenize } from './expression-tokens.ts';

/**
 * Expressions of Perspective's own language (ExprTk, http://www.partow.net/programming/exprtk) become programs in the engine.
 * Only what cannot loop is let through, nor make much of little: names of columns, constants, variables, small vectors, and functions of
 * a closed list.
 */
const FUNCTIONS = new Set(
  `abs acos acosh asin asinh atan atan2 atanh avg ceil clamp cos cosh cot csc deg2grad deg2rad diff_from erf erfc exp expm1 floor frac
  grad2deg hypot iclamp inrange log log10 log1p log2 logn max min mul ncdf pow rad2deg root round roundn sec sgn sin sinc sinh sqrt
  sum swap tan tanh trunc bucket concat contains date datetime day_of_week find hour_of_day index indexof integer intern float
  boolean string is_not_null is_null length lower match match_all month_of_year now today order percent_of random replace
  replace_all search substring upper vlookup col`.split(/\s+/),
);

/** Words of the language that are no functions; those that loop or leave are not among them. */
const WORDS = new Set([
  'if',
  'else',
  'var',
  'and',
  'nand',
  'or',
  'nor',
  'xor',
  'xnor',
  'not',
  'true',
  'false',
  'null',
  'in',
  'like',
  'ilike',
  'switch',
  'case',
  'default',
  'mod',
  'pi',
  'inf',
  'epsilon',
  'mand',
  'mor',
  'shl',
  'shr',
  'const',
]);

const FORBIDDEN = new Set(['for', 'while', 'repeat', 'until', 'break', 'continue', 'return', 'assert']);

/** What is wrong with an expression; undefined: nothing that can be seen here, which the engine parses further. */
export function checkExpression(expression: string, columns: readonly string[], limits: Pick<Limits, 'viewTextGrowthMax'>): string | undefined {
  const tokens = tokenize(expression);
  if (typeof tokens === 'string') return tokens;
  const variables = new Set<string>();
  for (const [at, token] of tokens.entries()) {
    const next = tokens[at + 1]?.text;
    if (token.kind === 'column' && !columns.includes(token.text)) return `there is no column ${JSON.stringify(token.text)}`;
    if (token.kind !== 'name') continue;
    const name = token.text.toLowerCase();
    if (tokens[at - 1]?.text.toLowerCase() === 'var') variables.add(name);
    if (FORBIDDEN.has(name)) return `${JSON.stringify(name)} is not allowed`;
    if (WORDS.has(name) || variables.has(name)) continue;
    if (!FUNCTIONS.has(name)) return `there is no ${next === '(' ? 'function' : 'name'} ${JSON.stringify(token.text)}`;
  }
  return vectorFault(tokens) ?? stackFault(tokens) ?? growthFault(tokens, limits);
}

/** Places of a vector. */
const VECTOR_MAX = 1_000;

/** Vectors are made whole before a row is looked at. */
function vectorFault(tokens: readonly Token[]): string | undefined {
  for (const [at, { text }] of tokens.entries()) {
    if (text.toLowerCase() !== 'var' || tokens[at + 2]?.text !== '[') continue;
    const [size, end] = [tokens[at + 3]?.text ?? '', tokens[at + 4]?.text];
    const isSmall = size === ']' || (end === ']' && /^\d+$/.test(size) && Number(size) <= VECTOR_MAX);
    if (!isSmall) return `a vector is declared with a number of places, at most ${VECTOR_MAX}`;
  }
  return undefined;
}

/** With variables, a text can be made of itself over and over. */
function growthFault(tokens: readonly Token[], { viewTextGrowthMax: most }: Pick<Limits, 'viewTextGrowthMax'>): string | undefined {
  const hasVariables = tokens.some(({ kind, text }) => kind === 'name' && text.toLowerCase() === 'var');
  let growth = 1;
  for (const [at, { kind, text }] of tokens.entries()) {
    const name = text.toLowerCase();
    if (kind !== 'name' || tokens[at + 1]?.text !== '(') continue;
    if (name === 'concat' && hasVariables) growth *= Math.max(1, valuesOf(tokens, at + 1).length);
    if (REPLACING.includes(name)) {
      const [replacement, ...more] = valuesOf(tokens, at + 1)[2] ?? [];
      if (replacement?.kind !== 'text' || more.length > 0) return `the third value of ${name} is a text in single quotes`;
      growth *= growthOf(name, replacement.text);
    }
    if (growth > most) return `may make a text ${most} times as long`;
  }
  return undefined;
}

/** What stands between the commas of a call whose bracket is at a place. */
function valuesOf(tokens: readonly Token[], bracket: number): Token[][] {
  const values: Token[][] = [[]];
  let depth = 0;
  for (let at = bracket + 1; at < tokens.length; at += 1) {
    const token = tokens[at] as Token;
    const sign = token.kind === 'other' ? token.text : '';
    if ('([{'.includes(sign) && sign !== '') depth += 1;
    if (')]}'.includes(sign) && sign !== '') depth -= 1;
    if (depth < 0) break;
    if (sign === ',' && depth === 0) values.push([]);
    else values.at(-1)?.push(token);
  }
  return values;
}
