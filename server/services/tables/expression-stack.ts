import type { Token } from './expression-tokens.ts';

/**
 * The engine has a stack of 64 KiB (Emscripten's default), below which its own data lie: an expression that needs more overwrites them, and
 * takes everybody's tables of the thread with it. What a parser of ExprTk takes, which descends into brackets and into the right sides of
 * operators, was measured with 5.5.1; calls and what surrounds them are rounded up.
 */
const STACK_BYTES = 64 * 1024;
/** Of the engine on the way to the parser, twice what was measured. */
const CALLER_BYTES = 12 * 1024;
const OPERATOR_BYTES = 900;
const TERNARY_BYTES = 1_050;
const ELSE_BYTES = 300;
const BRACKET_BYTES: Readonly<Record<string, number>> = { '(': 900, '[': 1_650, '{': 1_600 };
/** Of a bracket behind a name. */
const CALL_BYTES = 1_400;
/** A chain of operators becomes a tree as deep as it is long, with 16 bytes a level when it is computed. */
const OPERATORS_MAX = 1_500;

/** How tightly operators bind, from the loosest; words are operators too. */
const BINDING: Readonly<Record<string, number>> = {
  ...{ or: 1, nor: 1, xor: 1, xnor: 1, mor: 1, '|': 1 },
  ...{ and: 2, nand: 2, mand: 2, '&': 2 },
  ...{ '=': 3, '<': 3, '>': 3, '!': 3, in: 3, like: 3, ilike: 3 },
  ...{ '+': 4, '-': 4 },
  ...{ '*': 5, '/': 5, '%': 5, mod: 5, shl: 5, shr: 5 },
  '^': 6,
};
const ASSIGNMENT = 0;
/** A sign in front of a value. */
const SIGN = 7;
/** Their right sides are read before they are done with, however many follow one another. */
const FROM_THE_RIGHT = new Set([ASSIGNMENT, 6, SIGN]);

/** Words behind which a value begins. */
const NO_VALUES = new Set([...Object.keys(BINDING), 'else', 'case', 'not']);

interface Frame {
  readonly bytes: number;
  /** How tightly the operators bind that wait for their right sides. */
  waiting: number[];
  ternaries: number;
  elses: number;
}

/** What is wrong with an expression that would need too much of the engine's stack; undefined: nothing. */
export function stackFault(tokens: readonly Token[]): string | undefined {
  const frames: Frame[] = [frameOf(0)];
  let operators = 0;
  for (const [at, token] of tokens.entries()) {
    const text = token.kind === 'name' || token.kind === 'other' ? token.text.toLowerCase() : '';
    const frame = frames.at(-1) as Frame;
    if (token.kind === 'other' && Object.hasOwn(BRACKET_BYTES, text)) {
      const isCall = text === '(' && tokens[at - 1]?.kind === 'name';
      frames.push(frameOf(isCall ? CALL_BYTES : (BRACKET_BYTES[text] ?? 0)));
    } else if ([')', ']', '}'].includes(text)) {
      if (frames.length > 1) frames.pop();
    } else if (text === ',' || text === ';') Object.assign(frame, { waiting: [], ternaries: 0 });
    else if (text === 'else') frame.elses += 1;
    else if (text === '?') Object.assign(frame, { waiting: [], ternaries: frame.ternaries + 1 });
    else if (text === ':' && tokens[at + 1]?.text !== '=') frame.waiting = [];
    else {
      const binding = bindingOf(text, { before: tokens[at - 1], after: tokens[at + 1] });
      if (binding === undefined) continue;
      operators += 1;
      wait(frame, binding);
    }
    if (frames.reduce((sum, each) => sum + bytesOf(each), CALLER_BYTES) > STACK_BYTES) return 'is nested too deeply';
  }
  return operators > OPERATORS_MAX ? `has more than ${OPERATORS_MAX} operators` : undefined;
}

const frameOf = (bytes: number): Frame => ({ bytes, waiting: [], ternaries: 0, elses: 0 });

const bytesOf = ({ bytes, waiting, ternaries, elses }: Frame): number =>
  bytes + waiting.length * OPERATOR_BYTES + ternaries * TERNARY_BYTES + elses * ELSE_BYTES;

function bindingOf(text: string, { before, after }: { readonly before: Token | undefined; readonly after: Token | undefined }): number | undefined {
  // `:=`, and operators that assign, such as `+=`.
  if (after?.text === '=' && [':', '+', '-', '*', '/', '%'].includes(text)) return ASSIGNMENT;
  if (['+', '-', '!'].includes(text) && !endsValue(before)) return SIGN;
  return Object.hasOwn(BINDING, text) ? BINDING[text] : undefined;
}

function endsValue(token: Token | undefined): boolean {
  if (token?.kind !== 'other' && token?.kind !== 'name') return token !== undefined;
  return /^(?:[)\]}]|\.?\d.*)$/.test(token.text) || (token.kind === 'name' && !NO_VALUES.has(token.text.toLowerCase()));
}

/** What binds as tightly or more has its right side by now. */
function wait({ waiting }: Frame, binding: number): void {
  const isDone = (other: number): boolean => other > binding || (other === binding && !FROM_THE_RIGHT.has(binding));
  while (isDone(waiting.at(-1) ?? -1)) waiting.pop();
  waiting.push(binding);
}
