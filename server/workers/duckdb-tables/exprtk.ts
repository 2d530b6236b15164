import { growthOf, REPLACING } from '../../shared/text-growth.ts';
import { identifier, literal } from '../../storage/parquet/quote.ts';
import { bucketSql, EXPRTK_FUNCTIONS } from './exprtk-functions.ts';
import { ExpressionFault, readTokens, type Token, unquoted } from './exprtk-tokens.ts';

/** An expression of ExprTK as SQL over columns by their names. */
export interface Translation {
  readonly sql: string;
  readonly columns: readonly string[];
  /** Whether its numbers are integers where SQL says so; the results of ExprTK's arithmetic are floats. */
  readonly keepsIntegers: boolean;
}

/** How much deeper than this an expression nests, the stack of whoever reads it may not hold. */
const DEPTH_MAX = 100;

/** Some functions name a value twice, so that little ExprTK could be much SQL. */
const SQL_CHARS_MAX = 100_000;

/** Variables are written out wherever they are used, so that a few of them, each made of the one before, could be much SQL as well. */
const VARIABLES_SQL_CHARS_MAX = 10_000;

export interface ExprtkContext {
  /** Which columns are integers, with which ExprTK counts as with floats. */
  isInteger(column: string): boolean;
  /** How many times as long as the texts of a row one that is made of them may become. */
  readonly textGrowthMax: number;
}

/** Operators by how strongly they bind, weakest first, with what SQL calls them. */
const LEVELS: readonly Readonly<Record<string, string>>[] = [
  { or: 'OR', '|': 'OR', nor: 'NOR', xor: 'XOR', xnor: 'XNOR' },
  { and: 'AND', '&': 'AND', nand: 'NAND' },
  { '==': '=', '=': '=', '!=': '<>', '<>': '<>', '<': '<', '<=': '<=', '>': '>', '>=': '>=' },
  { '+': '+', '-': '-' },
  { '*': '*', '/': '/', '%': '%' },
];

/** Operators that SQL has not. */
const LOGIC: Readonly<Record<string, (one: string, other: string) => string>> = {
  NOR: (one, other) => `(NOT (${one} OR ${other}))`,
  NAND: (one, other) => `(NOT (${one} AND ${other}))`,
  XOR: (one, other) => `(CAST(${one} AS BOOLEAN) <> CAST(${other} AS BOOLEAN))`,
  XNOR: (one, other) => `(CAST(${one} AS BOOLEAN) = CAST(${other} AS BOOLEAN))`,
};

const ARITHMETIC = ['+', '-', '*', '%'];

/** Functions that do what operators of arithmetic do. */
const COUNTING = ['abs', 'sum'];

const CONSTANTS: Readonly<Record<string, string>> = { true: 'true', false: 'false', pi: 'pi()', null: 'NULL' };

/**
 * Translates the part of ExprTK that is a single expression: operators, the functions that Perspective's documentation lists,
 * columns in double and texts in single quotes, behind variables that are set once. Throws ExpressionFault for what is not, such
 * as vectors and loops.
 */
export function translateExprtk(source: string, context: ExprtkContext): Translation {
  const parser = new Parser(readTokens(source), context);
  parser.declarations();
  const sql = parser.expression();
  parser.expectEnd();
  return { sql, columns: [...parser.columns], keepsIntegers: /^\s*(?:"(?:[^"\\]|\\[\s\S])*"\s*$|integer\s*\()/.test(source) };
}

class Parser {
  readonly columns = new Set<string>();
  readonly #tokens: readonly Token[];
  readonly #context: ExprtkContext;
  /** SQL of what is an integer for SQL, whose arithmetic ends where the type does. */
  readonly #integers = new Set<string>();
  readonly #variables = new Map<string, string>();
  #variablesChars = 0;
  #at = 0;
  #depth = 0;
  /** How many times as long texts may become by all that replaces something in them. */
  #growth = 1;

  constructor(tokens: readonly Token[], context: ExprtkContext) {
    this.#tokens = tokens;
    this.#context = context;
  }

  /** Variables, each set by what came before it. */
  declarations(): void {
    while (this.#next.kind === 'word' && this.#next.text.toLowerCase() === 'var') {
      this.#at += 1;
      const { kind, text, at } = this.#next;
      const name = text.toLowerCase();
      const isTaken = [CONSTANTS, EXPRTK_FUNCTIONS].some((known) => Object.hasOwn(known, name)) || this.#variables.has(name);
      if (kind !== 'word' || isTaken) throw this.#fault(`${JSON.stringify(text)} cannot name a variable`, at);
      this.#at += 1;
      this.#expect(':=');
      this.#variables.set(name, this.expression());
      this.#expect(';');
    }
  }

  /** A condition with its two outcomes, or a value. */
  expression(): string {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw this.#fault('nests too deep');
    const condition = this.#binary(0);
    this.#depth -= 1;
    if (!this.#take('?')) return condition;
    const yes = this.expression();
    this.#expect(':');
    return `(CASE WHEN ${condition} THEN ${yes} ELSE ${this.expression()} END)`;
  }

  expectEnd(): void {
    this.#take(';');
    if (this.#next.kind !== 'end') throw this.#fault(`${JSON.stringify(this.#next.text)} does not belong here`);
  }

  get #next(): Token {
    return this.#tokens[Math.min(this.#at, this.#tokens.length - 1)] as Token;
  }

  #binary(level: number): string {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const word = this.#next.kind === 'sign' || this.#next.kind === 'word' ? this.#next.text.toLowerCase() : '';
      const operator = Object.hasOwn(operators, word) ? operators[word] : undefined;
      if (operator === undefined) return left;
      this.#at += 1;
      const right = this.#binary(level + 1);
      const [one, other] = ARITHMETIC.includes(operator) ? [this.#counted(left), this.#counted(right)] : [left, right];
      // A division by zero gives an infinity or no number, in ExprTK as in DuckDB's division of floats.
      if (LOGIC[operator] !== undefined) left = LOGIC[operator](left, right);
      else left = operator === '/' ? `(CAST(${left} AS DOUBLE) / CAST(${right} AS DOUBLE))` : `(${one} ${operator} ${other})`;
    }
  }

  #unary(): string {
    this.#depth += 1;
    if (this.#depth > DEPTH_MAX) throw this.#fault('nests too deep');
    const sql = this.#take('-') ? `(- ${this.#counted(this.#unary())})` : this.#take('+') ? this.#unary() : this.#power();
    this.#depth -= 1;
    return sql;
  }

  #power(): string {
    const base = this.#primary();
    return this.#take('^') ? `pow(CAST(${base} AS DOUBLE), CAST(${this.#unary()} AS DOUBLE))` : base;
  }

  #primary(): string {
    const token = this.#next;
    this.#at += 1;
    switch (token.kind) {
      case 'number':
        return `CAST(${literal(token.text)} AS DOUBLE)`;
      case 'text':
        return this.#textLiteral(token);
      case 'column':
        return this.#column(unquoted(token.text));
      case 'word':
        return this.#word(token);
      default:
        break;
    }
    if (token.text !== '(')
      throw this.#fault(token.kind === 'end' ? 'ends too early' : `${JSON.stringify(token.text)} does not belong here`, token.at);
    const inner = this.expression();
    this.#expect(')');
    return this.#integers.has(inner) ? inner : `(${inner})`;
  }

  #column(name: string): string {
    this.columns.add(name);
    const sql = identifier(name);
    if (this.#context.isInteger(name)) this.#integers.add(sql);
    return sql;
  }

  /** A number to count with. */
  #counted(sql: string): string {
    return this.#integers.has(sql) ? `CAST(${sql} AS DOUBLE)` : sql;
  }

  #textLiteral(token: Token): string {
    const text = unquoted(token.text);
    if (text.includes('\0')) throw this.#fault('a text contains a character of code 0', token.at);
    return literal(text);
  }

  #word(token: Token): string {
    const word = token.text.toLowerCase();
    if (this.#next.text !== '(' && word === 'not') return `(NOT ${this.#unary()})`;
    const variable = this.#variables.get(word);
    if (variable !== undefined) return this.#variable(variable, token);
    if (this.#next.text !== '(') {
      const constant = Object.hasOwn(CONSTANTS, word) ? CONSTANTS[word] : undefined;
      if (constant === undefined) throw this.#fault(`there is no ${JSON.stringify(token.text)}; a column is written in double quotes`, token.at);
      return constant;
    }
    this.#expect('(');
    const sql = word === 'bucket' ? this.#bucket() : this.#call(word, token);
    if (sql.length > SQL_CHARS_MAX) throw this.#fault('is too long', token.at);
    return sql;
  }

  #variable(sql: string, { at }: Token): string {
    this.#variablesChars += sql.length;
    if (this.#variablesChars > VARIABLES_SQL_CHARS_MAX) throw this.#fault('is too long with its variables written out', at);
    return sql;
  }

  #call(word: string, token: Token): string {
    const values = this.#arguments();
    const known = Object.hasOwn(EXPRTK_FUNCTIONS, word) ? EXPRTK_FUNCTIONS[word] : undefined;
    if (known === undefined) throw this.#fault(`there is no function ${JSON.stringify(token.text)} here`, token.at);
    if (values.length < known.least || values.length > known.most) throw this.#fault(`"${word}" takes another number of values`, token.at);
    if (COUNTING.includes(word)) return known.sql(...values.map((value) => this.#counted(value)));
    if (REPLACING.includes(word)) this.#grow(word, values[2] ?? '', token.at);
    const sql = known.sql(...values);
    if (word === 'integer') this.#integers.add(sql);
    return sql;
  }

  #grow(word: string, replacement: string, at: number): void {
    if (!/^'(?:[^']|'')*'$/.test(replacement)) throw this.#fault(`the third value of "${word}" is a text in single quotes`, at);
    this.#growth *= growthOf(word, replacement.slice(1, -1));
    const { textGrowthMax: most } = this.#context;
    if (this.#growth > most) throw this.#fault(`may make a text ${most} times as long`, at);
  }

  #bucket(): string {
    const value = this.expression();
    this.#expect(',');
    const width = this.#next;
    const sql =
      width.kind === 'text' ? bucketSql(value, { text: unquoted(width.text) }) : bucketSql(value, { number: `CAST(${this.expression()} AS DOUBLE)` });
    if (width.kind === 'text') this.#at += 1;
    if (sql === undefined) throw this.#fault(`there is no unit of time ${width.text}`, width.at);
    this.#expect(')');
    return sql;
  }

  #arguments(): string[] {
    const values: string[] = [];
    if (this.#take(')')) return values;
    do values.push(this.expression());
    while (this.#take(','));
    this.#expect(')');
    return values;
  }

  #take(sign: string): boolean {
    if (this.#next.kind !== 'sign' || this.#next.text !== sign) return false;
    this.#at += 1;
    return true;
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw this.#fault(`${JSON.stringify(sign)} is missing`);
  }

  #fault(message: string, at = this.#next.at): ExpressionFault {
    return new ExpressionFault(message, at);
  }
}
