import { ViewFault } from './view-fault.ts';

/** A piece of an expression in the language of Perspective's own engine (ExprTK). */
export interface Token {
  readonly kind: 'number' | 'text' | 'column' | 'word' | 'sign' | 'end';
  readonly text: string;
  readonly at: number;
}

/** Something that cannot be read, with the place of it in the text. */
export class ExpressionFault extends ViewFault {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const PATTERNS: readonly (readonly [Token['kind'] | 'space', RegExp])[] = [
  ['space', /\s+|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\//y],
  ['number', /(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/y],
  ['text', /'(?:[^'\\]|\\[\s\S])*'/y],
  ['column', /"(?:[^"\\]|\\[\s\S])*"/y],
  ['word', /[A-Za-z_]\w*/y],
  ['sign', /:=|==|!=|<>|<=|>=|[-+*/%^<>=(),?:;&|]/y],
];

export function readTokens(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const [kind, text] = matchAt(source, at);
    if (kind !== 'space') tokens.push({ kind, text, at });
    at += text.length;
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

function matchAt(source: string, at: number): [Token['kind'] | 'space', string] {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text !== undefined) return [kind, text];
  }
  throw new ExpressionFault(`${JSON.stringify(source[at])} cannot be read`, at);
}

/** What stands between the quotes of a text or a column. */
export const unquoted = (text: string): string => text.slice(1, -1).replace(/\\(['"\\])/g, '$1');
