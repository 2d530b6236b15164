import fc from 'fast-check';
import { CELLS, type Cell, type ModelSide, rowTexts } from './diff-model.ts';
import type { TypedColumn } from './parquet.ts';

/** Two versions in pieces: rows of a file that both share, and files of their own around it. */
export interface DiffCase {
  readonly from: ModelSide;
  readonly to: ModelSide;
  readonly key: readonly string[] | null;
  /** The rows of each side are those before the shared file, in it, and behind it. */
  readonly sharedRows: number;
  readonly before: { readonly from: number; readonly to: number };
}

const ID = 'id';
const OTHER_NAMES = ['a"b', 'select', '🙂 x', 'Größe', "q'; --"];
const ID_TYPES = ['INTEGER', 'BIGINT', 'DOUBLE', 'VARCHAR', 'DECIMAL(10,2)'];

/** A cell by its number: of `id` the number itself, otherwise one of the few values of the type. */
function cellOf({ name, type }: TypedColumn, number: number): Cell {
  const choices = CELLS[type] ?? [];
  if (name !== ID) return choices[number % choices.length] as Cell;
  if (type === 'VARCHAR') return { sql: `'${number}'`, json: String(number), text: String(number), value: String(number) };
  const text = type === 'DOUBLE' ? `${number}.0` : type === 'DECIMAL(10,2)' ? `${number}.00` : String(number);
  return { sql: text, json: type === 'DECIMAL(10,2)' ? text : number, text, value: number };
}

type NumberRow = readonly number[];

const typePair = (types: readonly string[]) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...types).map((type) => ({ from: type as string | null, to: type as string | null })) },
    { weight: 1, arbitrary: fc.record({ from: fc.constantFrom(...types, null), to: fc.constantFrom(...types, null) }) },
  );

const numberRow = fc.tuple(fc.nat(40), ...OTHER_NAMES.map(() => fc.nat(11)));
const edit = fc.oneof(
  { weight: 6, arbitrary: fc.constant('keep' as const) },
  { weight: 1, arbitrary: fc.constantFrom('change' as const, 'drop' as const, 'move' as const, 'insert' as const) },
);

const shape = fc.record({
  id: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...ID_TYPES).map((type) => ({ from: type, to: type })) },
    { weight: 1, arbitrary: fc.record({ from: fc.constantFrom(...ID_TYPES), to: fc.constantFrom(...ID_TYPES) }) },
  ),
  others: fc.tuple(...OTHER_NAMES.map(() => typePair(Object.keys(CELLS)))),
  swapsColumns: fc.boolean(),
  keyed: fc.constantFrom('id' as const, 'pair' as const, 'other' as const),
});

/** `edited` rows with some dropped, changed, moved to the end or new. */
function applyEdits(rows: readonly NumberRow[], edits: readonly string[], fresh: readonly NumberRow[]): NumberRow[] {
  const [kept, moved]: [NumberRow[], NumberRow[]] = [[], []];
  rows.forEach((row, index) => {
    const what = edits[index] ?? 'keep';
    const other = fresh[index % Math.max(1, fresh.length)] ?? row;
    if (what === 'move') moved.push(row);
    else if (what === 'change') kept.push([row[0] ?? 0, ...other.slice(1)]);
    else if (what !== 'drop') kept.push(row, ...(what === 'insert' ? [other] : []));
  });
  return [...kept, ...moved];
}

function columnsOf({ id, others, swapsColumns }: typeof shape extends fc.Arbitrary<infer S> ? S : never): { from: TypedColumn[]; to: TypedColumn[] } {
  const pairs = [{ name: ID, ...id }, ...OTHER_NAMES.map((name, index) => ({ name, ...(others[index] ?? { from: null, to: null }) }))];
  const side = (which: 'from' | 'to') => pairs.flatMap((pair) => (pair[which] === null ? [] : [{ name: pair.name, type: pair[which] }]));
  return { from: side('from'), to: swapsColumns ? side('to').reverse() : side('to') };
}

/** Rows of which no two on a side have the same key and none has NULL in it. */
function withoutRepeats(rows: readonly NumberRow[], taken: Set<string>, keyText: (row: NumberRow) => string): NumberRow[] {
  return rows.filter((row) => {
    const text = keyText(row);
    if (text.includes('"null"') || taken.has(text)) return false;
    taken.add(text);
    return true;
  });
}

export function diffCases(isKeyed: boolean): fc.Arbitrary<DiffCase> {
  const rows = fc.array(numberRow, { maxLength: 12 });
  const input = fc.record({ shape, before: rows, shared: rows, behind: rows, fresh: rows, edits: fc.array(edit, { minLength: 24, maxLength: 24 }) });
  return input.map(({ shape: chosen, before, shared, behind, fresh, edits }) => {
    const columns = columnsOf(chosen);
    const isAlike = JSON.stringify(columns.from) === JSON.stringify(columns.to);
    const parts = {
      from: [before, isAlike ? shared : [], behind],
      to: [applyEdits(before, edits, fresh), isAlike ? shared : [], [...applyEdits(behind, edits.slice(12), fresh), ...fresh]],
    };
    const common = columns.from.map(({ name }) => name).filter((name) => name !== ID && columns.to.some((column) => column.name === name));
    const key = isKeyed ? keyOf(chosen.keyed, common) : null;
    const cells = (side: 'from' | 'to', row: NumberRow): Cell[] =>
      columns[side].map((column) => cellOf(column, row[[ID, ...OTHER_NAMES].indexOf(column.name)] ?? 0));
    const made = (side: 'from' | 'to'): NumberRow[][] => (key === null ? parts[side] : unique(side, parts[side], key));
    const unique = (side: 'from' | 'to', [first = [], middle = [], last = []]: NumberRow[][], names: readonly string[]): NumberRow[][] => {
      const other = { columns: columns[side === 'from' ? 'to' : 'from'], rows: [] };
      const keyText = (row: NumberRow): string => rowTexts({ columns: columns[side], rows: [cells(side, row)] }, other, names)[0] ?? '';
      const taken = new Set<string>();
      const inner = withoutRepeats(middle, taken, keyText);
      return [withoutRepeats(first, taken, keyText), inner, withoutRepeats(last, taken, keyText)];
    };
    const [from, to] = [made('from'), made('to')];
    const model = (side: 'from' | 'to', all: NumberRow[][]): ModelSide => ({
      columns: columns[side],
      rows: all.flat().map((row) => cells(side, row)),
    });
    return {
      key,
      from: model('from', from),
      to: model('to', to),
      sharedRows: from[1]?.length ?? 0,
      before: { from: from[0]?.length ?? 0, to: to[0]?.length ?? 0 },
    };
  });
}

function keyOf(kind: 'id' | 'pair' | 'other', common: readonly string[]): string[] {
  if (kind === 'id' || common.length === 0) return [ID];
  return kind === 'pair' ? [common[0] ?? ID, ID] : [...common.slice(0, 2)];
}
