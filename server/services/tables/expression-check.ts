/**
 * Expressions of Perspective's own language (ExprTk, http://www.partow.net/programming/exprtk) become programs in the engine.
 * Only what cannot loop is let through: names of columns, constants, variables, and functions of a closed list.
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

interface Token {
  readonly kind: 'column' | 'text' | 'name' | 'other';
  readonly text: string;
}

/** What is wrong with an expression; undefined: nothing that can be seen here, which the engine parses further. */
export function checkExpression(expression: string, columns: readonly string[]): string | undefined {
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
  return undefined;
}

const PATTERN =
  /\s+|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|([A-Za-z_][A-Za-z0-9_.]*)|(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|([-+*/%^=<>!&|?:;,.(){}[\]])/y;

/** The tokens, or what cannot be read. */
function tokenize(expression: string): Token[] | string {
  const tokens: Token[] = [];
  const pattern = new RegExp(PATTERN);
  while (pattern.lastIndex < expression.length) {
    const at = pattern.lastIndex;
    const found = pattern.exec(expression);
    if (found === null) return `nothing can be made of ${JSON.stringify(expression.slice(at, at + 10))}`;
    const [, column, text, name, number, sign] = found;
    if (column !== undefined) tokens.push({ kind: 'column', text: column.replace(/\\([\s\S])/g, '$1') });
    else if (text !== undefined) tokens.push({ kind: 'text', text });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else if (number !== undefined || sign !== undefined) tokens.push({ kind: 'other', text: number ?? sign ?? '' });
  }
  return tokens;
}
