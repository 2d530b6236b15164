import { type Annotation, columnsOfAnchor, columnsOfConfig, type SharedView, savedViewConfig } from '../../../protocol/documents/index.ts';
import { viewWindow } from '../../../protocol/operations/view.ts';

type Scalar = string | number | boolean;

/** What of a dataset an entry of its document names. */
export interface Named {
  readonly columns: readonly string[];
  /** Values by column: each of these is that of some row. */
  readonly values: readonly Readonly<Record<string, Scalar>>[];
  /** What may name rows or values and cannot be looked up, in words. */
  readonly doubt: string | undefined;
}

/** Compares with a number that need not be that of a row. */
const THRESHOLDS = new Set(['<', '>', '<=', '>=']);

export function namedByView({ config, dialect, columnTypes = {} }: SharedView, known: ReadonlySet<string>): Named {
  const columns = new Set([...columnsOfConfig(config, dialect, known), ...Object.keys(columnTypes)]);
  const values = (config.filter ?? []).flatMap(([column, operator, operand]) => {
    const operands = (Array.isArray(operand) ? operand : [operand]).filter((value) => value !== undefined && value !== null);
    return operands.flatMap((value) => (typeof value === 'number' && THRESHOLDS.has(operator) ? [] : [{ [column]: value }]));
  });
  return { columns: [...columns], values, doubt: doubtOf(config) };
}

/** A text of an expression, which in SQL may stand between dollars too. */
const TEXT = /'|\$[\p{L}\p{N}_]*\$/u;

/** What names columns, the start of a number, and what asks whether something equals something, in either language of expressions. */
const QUOTED_NAME = /"(?:[^"\\]|\\.)*"/gu;
const NUMBER = /(?<![\p{L}\p{N}_])\.?\d/u;
const EQUALITY = /(?<![<>:])=|<>|\b(?:in|distinct|nullif|case(?!\s+when\b)|\w*(?:contains|position))\b/iu;

/** Other numbers are constants and thresholds. */
function equalsNumber(expression: string): boolean {
  const unnamed = expression.replace(QUOTED_NAME, ' ');
  return NUMBER.test(unnamed) && EQUALITY.test(unnamed);
}

function doubtOf(config: SharedView['config']): string | undefined {
  const expressions = Object.values(config.expressions ?? {});
  if (expressions.some((expression) => TEXT.test(expression))) return 'an expression with texts in it';
  if (expressions.some(equalsNumber)) return 'an expression that asks whether something equals what it has numbers for';
  const unknown = Object.keys(config).find((field) => !Object.hasOwn(savedViewConfig.shape, field));
  if (unknown !== undefined) return `the field ${JSON.stringify(unknown)} of the config, which is not known here,`;
  // A saved view keeps whatever a newer viewer puts into a window, also in a field of a known name.
  const [odd] = Object.entries(config.windows ?? {}).find(([, window]) => !viewWindow.safeParse(window).success) ?? [];
  return odd === undefined ? undefined : `the window ${JSON.stringify(odd)} of the config, of which not everything is known here,`;
}

export function namedByAnnotation({ anchor }: Annotation): Named {
  const { rowKey, row, cell } = anchor;
  const inPivot = cell !== undefined && cell.rowPath.length > 0 ? 'the groups of a pivoted cell' : undefined;
  const doubt = row === undefined ? inPivot : 'the position of a row';
  return { columns: columnsOfAnchor(anchor), values: rowKey === undefined ? [] : [rowKey], doubt };
}
