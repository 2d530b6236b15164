/** Pieces of an expression in Perspective's own language; comments and spaces are none. */
export interface Token {
  readonly kind: 'column' | 'text' | 'name' | 'other';
  readonly text: string;
}

const PATTERN =
  /\s+|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)'|([A-Za-z_][A-Za-z0-9_.]*)|(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|([-+*/%^=<>!&|?:;,.(){}[\]])/y;

/** The tokens, or what cannot be read. */
export function tokenize(expression: string): Token[] | string {
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
