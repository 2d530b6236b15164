import type { Anchor } from './annotation.ts';
import type { EXPRESSION_DIALECTS } from './saved-view.ts';
import type { SavedViewConfig } from './view-config.ts';

export type ExpressionDialect = (typeof EXPRESSION_DIALECTS)[number];

/** A column that a view config makes of others. */
export interface DerivedColumn {
  readonly name: string;
  readonly field: 'expressions' | 'windows';
  /** The columns it is made of, which may be derived ones. */
  readonly columns: readonly string[];
}

/** Texts and comments, whose content names nothing, or a quoted name, or a bare word. */
const TOKENS: Readonly<Record<ExpressionDialect, RegExp>> = {
  exprtk: /'(?:[^'\\]|\\.)*'|\/\/[^\n]*|#[^\n]*|\/\*[\s\S]*?\*\/|"((?:[^"\\]|\\.)*)"/gu,
  sql: /'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|"((?:[^"]|"")*)"|([\p{L}_][\p{L}\p{N}_]*)/gu,
};

/**
 * The columns that an expression names: quoted ones, and in SQL those bare words that `known` has, since others may be
 * functions. SQL knows a column in any spelling of capitals. It tells people what a view needs; it is no guard, since an expression can be written to mislead it.
 */
export function columnsOfExpression(expression: string, dialect: ExpressionDialect, known: ReadonlySet<string> = new Set()): string[] {
  const spelt = dialect === 'sql' ? new Map([...known].map((name) => [name.toLowerCase(), name])) : undefined;
  const found = [...expression.matchAll(TOKENS[dialect])].flatMap(([, quoted, bare]) => {
    if (spelt === undefined) return quoted === undefined ? [] : [quoted.replaceAll(/\\(.)/gu, '$1')];
    const name = quoted?.replaceAll('""', '"') ?? bare ?? '';
    const column = known.has(name) ? name : spelt.get(name.toLowerCase());
    return [column ?? (quoted === undefined ? [] : name)].flat();
  });
  return [...new Set(found)];
}

/** The columns that a view config makes, with what each is made of. */
export function derivedColumns(config: SavedViewConfig, dialect: ExpressionDialect, known?: ReadonlySet<string>): DerivedColumn[] {
  const expressions = Object.entries(config.expressions ?? {}).map(([name, text]) => {
    return { name, field: 'expressions' as const, columns: columnsOfExpression(text, dialect, known) };
  });
  const windows = Object.entries(config.windows ?? {}).map(([name, window]) => {
    return { name, field: 'windows' as const, columns: columnsOfWindow(window) };
  });
  return [...expressions, ...windows];
}

function columnsOfWindow({ column, partition_by: partition = [], order_by: order }: NonNullable<SavedViewConfig['windows']>[string]): string[] {
  return [...new Set([column, ...partition, ...(order ? [order[0]] : [])])];
}

/** The columns that one aggregate names: its own, and those that it weighs by. */
export function columnsOfAggregate([column, aggregate]: readonly [string, string | [string, string[]]]): string[] {
  return typeof aggregate === 'string' ? [column] : [column, ...aggregate[1]];
}

/** The columns of the table that a view config names anywhere. */
export function columnsOfConfig(config: SavedViewConfig, dialect: ExpressionDialect, known?: ReadonlySet<string>): string[] {
  const derived = derivedColumns(config, dialect, known);
  const made = new Set(derived.map(({ name }) => name));
  const named = [
    ...(config.columns ?? []).filter((column) => column !== null),
    ...(config.group_by ?? []),
    ...(config.split_by ?? []),
    ...(config.filter ?? []).map(([column]) => column),
    ...(config.sort ?? []).map(([column]) => column),
    ...Object.entries(config.aggregates ?? {}).flatMap(columnsOfAggregate),
  ];
  const ofDerived = derived.flatMap(({ columns }) => columns);
  return [...new Set([...named, ...ofDerived])].filter((column) => !made.has(column));
}

/** The columns that an anchor names. */
export function columnsOfAnchor({ rowKey = {}, column, cell }: Anchor): string[] {
  return [...new Set([...Object.keys(rowKey), ...(column === undefined ? [] : [column]), ...(cell === undefined ? [] : [cell.column])])];
}
