import type { Change, Row } from '../../server/storage/content-store.ts';
import type { TypedColumn } from './parquet.ts';

/**
 * What a diff has to say, computed the plain way. Cells are written as SQL literals, and what they are as JSON and as texts
 * is written beside them by hand, so that nothing here depends on the code under test or on DuckDB.
 */
export interface Cell {
  readonly sql: string;
  readonly json: unknown;
  /** How the value reads as a text. */
  readonly text: string;
  /** What is compared when the types are the same, or both numbers or both times. */
  readonly value: number | string | boolean | null;
}

const cell = (sql: string, json: unknown, text: string, value: Cell['value']): Cell => ({ sql, json, text, value });
const NULL = cell('NULL', null, '', null);

/** Some values of each type, close enough to each other to meet often. */
export const CELLS: Readonly<Record<string, readonly Cell[]>> = {
  INTEGER: [NULL, cell('0', 0, '0', 0), cell('1', 1, '1', 1), cell('-7', -7, '-7', -7)],
  BIGINT: [NULL, cell('0', 0, '0', 0), cell('1', 1, '1', 1), cell('9007199254740993', '9007199254740993', '9007199254740993', '9007199254740993')],
  DOUBLE: [
    NULL,
    cell("'nan'::DOUBLE", 'NaN', 'nan', 'nan'),
    cell('0.0', 0, '0.0', 0),
    cell("'-0.0'::DOUBLE", -0, '-0.0', 0),
    cell('1.0', 1, '1.0', 1),
    cell('1.5', 1.5, '1.5', 1.5),
  ],
  'DECIMAL(10,2)': [NULL, cell('0.00', '0.00', '0.00', 0), cell('1.00', '1.00', '1.00', 1), cell('1.50', '1.50', '1.50', 1.5)],
  VARCHAR: [
    NULL,
    cell("''", '', '', ''),
    cell("'1'", '1', '1', '1'),
    cell("'it''s'", "it's", "it's", "it's"),
    cell("'ü 🙂'", 'ü 🙂', 'ü 🙂', 'ü 🙂'),
  ],
  BOOLEAN: [NULL, cell('true', true, 'true', true), cell('false', false, 'false', false)],
  DATE: [NULL, cell("'2024-02-29'", '2024-02-29', '2024-02-29', 1_709_164_800), cell("'1999-12-31'", '1999-12-31', '1999-12-31', 946_598_400)],
  TIMESTAMP: [
    NULL,
    cell("'2024-02-29 00:00:00'", '2024-02-29T00:00:00Z', '2024-02-29 00:00:00', 1_709_164_800),
    cell("'2024-02-29 12:30:00.5'", '2024-02-29T12:30:00.500Z', '2024-02-29 12:30:00.5', 1_709_209_800.5),
  ],
  'INTEGER[]': [NULL, cell('[]', [], '[]', '[]'), cell('[1, NULL]', [1, null], '[1, NULL]', '[1, NULL]')],
};

const KINDS: Readonly<Record<string, string>> = {
  INTEGER: 'number',
  BIGINT: 'number',
  DOUBLE: 'number',
  'DECIMAL(10,2)': 'number',
  DATE: 'time',
  TIMESTAMP: 'time',
};

/** A side: rows of cells, by position of the column. */
export interface ModelSide {
  readonly columns: readonly TypedColumn[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What a cell is compared by with a column of another type: equal texts mean equal cells. */
function comparisonText(cell: Cell | undefined, type: string, otherType: string): string {
  if (cell === undefined || cell.value === null) return 'null';
  const isSame = type === otherType || (KINDS[type] !== undefined && KINDS[type] === KINDS[otherType]);
  if (!isSame) return `text ${cell.text}`;
  const isInexact = type !== otherType && [type, otherType].includes('DOUBLE');
  return `value ${isInexact && cell.value !== 'nan' ? Number(cell.value) : cell.value}`;
}

export function rowOf({ columns }: ModelSide, row: readonly Cell[]): Row {
  return Object.fromEntries(columns.map(({ name }, index) => [name, row[index]?.json]));
}

const indexOf = ({ columns }: ModelSide, name: string): number => columns.findIndex((column) => column.name === name);
const typeOf = (side: ModelSide, name: string): string | undefined => side.columns[indexOf(side, name)]?.type;

/** A text per row that is the same for rows of either side whose cells in these columns are equal. */
export function rowTexts(side: ModelSide, other: ModelSide, names: readonly string[]): string[] {
  return side.rows.map((row) =>
    JSON.stringify(
      names.map((name) => {
        const type = typeOf(side, name) ?? typeOf(other, name) ?? '';
        return comparisonText(row[indexOf(side, name)], type, typeOf(other, name) ?? type);
      }),
    ),
  );
}

/** The changes in the order in which they must come. */
export function diffByKey(from: ModelSide, to: ModelSide, key: readonly string[]): Change[] {
  const common = from.columns.map(({ name }) => name).filter((name) => indexOf(to, name) >= 0 && !key.includes(name));
  const [oldKeys, newKeys] = [rowTexts(from, to, key), rowTexts(to, from, key)];
  const oldCells = common.map((name) => rowTexts(from, to, [name]));
  const newCells = common.map((name) => rowTexts(to, from, [name]));
  const keyOf = (row: Row): Row => Object.fromEntries(key.map((name) => [name, row[name]]));
  const changes: Change[] = [];
  for (const [index, cells] of from.rows.entries()) {
    const before = rowOf(from, cells);
    const counterpart = newKeys.indexOf(oldKeys[index] ?? '');
    if (counterpart < 0) changes.push({ kind: 'removed', key: keyOf(before), before });
    else {
      const after = rowOf(to, to.rows[counterpart] ?? []);
      const changed = common.filter((_name, column) => oldCells[column]?.[index] !== newCells[column]?.[counterpart]);
      if (changed.length > 0) changes.push({ kind: 'changed', key: keyOf(after), before, after, changed });
    }
  }
  for (const [index, cells] of to.rows.entries()) {
    const after = rowOf(to, cells);
    if (!oldKeys.includes(newKeys[index] ?? '')) changes.push({ kind: 'added', key: keyOf(after), after });
  }
  return changes;
}

export function diffAsMultiset(from: ModelSide, to: ModelSide): Change[] {
  const names = [...new Set([...from.columns, ...to.columns].map(({ name }) => name))];
  const [oldRows, newRows] = [rowTexts(from, to, names), rowTexts(to, from, names)];
  const surplus = (side: ModelSide, texts: readonly string[], others: readonly string[], kind: 'added' | 'removed'): Change[] =>
    texts.flatMap((text, index) => {
      const count = texts.filter((other) => other === text).length - others.filter((other) => other === text).length;
      const isFirst = texts.indexOf(text) === index;
      return isFirst && count > 0 ? [{ kind, row: rowOf(side, side.rows[index] ?? []), count }] : [];
    });
  return [...surplus(from, oldRows, newRows, 'removed'), ...surplus(to, newRows, oldRows, 'added')];
}
