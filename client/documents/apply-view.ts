import type { SavedView } from '../../protocol/documents/saved-view.ts';
import { columnsOfAggregate, columnsOfConfig, type DerivedColumn, derivedColumns } from '../../protocol/documents/view-columns.ts';
import type { SavedViewConfig } from '../../protocol/documents/view-config.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import type { PERSPECTIVE_TYPES } from '../../protocol/operations/table.ts';

/** The columns of a version or of a table, in either of the forms in which they are told. */
export type ColumnsOfTable = readonly { readonly name: string; readonly type: string }[] | Readonly<Record<string, string>>;

/** A saved view on a table that may have other columns than the one it was made on. */
export interface AppliedView {
  /** What of the config fits the table. */
  readonly config: SavedViewConfig;
  /** Columns that the view names and the table does not have. */
  readonly missing: readonly string[];
  /** Columns whose type is another than when the view was saved; one of a version is the same as what tables tell it as. */
  readonly retyped: readonly { readonly column: string; readonly from: string; readonly to: string }[];
  /** What was left out of the config for want of a column, or because its type is of another kind. */
  readonly dropped: readonly { readonly field: string; readonly entry: string; readonly column: string }[];
}

/** Types of many fields or values are longer than a view may say: it has the beginning of them. */
function typesOf(columns: ColumnsOfTable): ReadonlyMap<string, string> {
  const types: [string, string][] = Array.isArray(columns) ? columns.map(({ name, type }) => [name, type]) : Object.entries(columns);
  return new Map(types.map(([name, type]) => [name, type.slice(0, defaultLimits.savedViewPluginCharsMax)]));
}

/** The types of the columns that a config names, as they are now. */
export function columnTypesOf(config: SavedViewConfig, dialect: SavedView['dialect'], columns: ColumnsOfTable): Record<string, string> {
  const types = typesOf(columns);
  const used = columnsOfConfig(config, dialect, new Set(types.keys()));
  return Object.fromEntries(used.flatMap((column) => (types.has(column) ? [[column, types.get(column) ?? '']] : [])));
}

type AppliedFrom = Pick<SavedView, 'config' | 'dialect' | 'columnTypes'>;

/** Fits a saved view to a table: what needs columns that are missing, or are of another kind now, is left out and reported. */
export function applyView(view: AppliedFrom, columns: ColumnsOfTable): AppliedView {
  const { config, dialect, columnTypes = {} } = view;
  const types = typesOf(columns);
  const known = new Set(Object.keys(columnTypes));
  const used = columnsOfConfig(config, dialect, known);
  const retyped = used.flatMap((column) => {
    const from = Object.hasOwn(columnTypes, column) ? columnTypes[column] : undefined;
    const to = types.get(column);
    return from === undefined || to === undefined || isSameType(from, to) ? [] : [{ column, from, to }];
  });
  const unfit = new Set(retyped.filter(({ from, to }) => kindOf(from) !== kindOf(to)).map(({ column }) => column));
  const fitting = new Fitting(types, unfit, derivedColumns(config, dialect, known));
  return { config: fitting.fit(config), missing: used.filter((column) => !types.has(column)), retyped, dropped: fitting.dropped };
}

class Fitting {
  readonly dropped: { field: string; entry: string; column: string }[] = [];
  readonly #types: ReadonlyMap<string, string>;
  readonly #unfit: ReadonlySet<string>;
  /** Columns of the view's own making that can still be made. */
  readonly #made: ReadonlySet<string>;
  readonly #derived: readonly DerivedColumn[];

  constructor(types: ReadonlyMap<string, string>, unfit: ReadonlySet<string>, derived: readonly DerivedColumn[]) {
    this.#types = types;
    this.#unfit = unfit;
    this.#derived = derived;
    this.#made = makeable(types, unfit, derived);
  }

  fit(config: SavedViewConfig): SavedViewConfig {
    const groups = this.#names('group_by', config.group_by);
    const columns = this.#names('columns', config.columns);
    const fitted = {
      ...config,
      columns: columns?.some((column) => column !== null) === true ? columns : undefined,
      group_by: groups,
      split_by: this.#names('split_by', config.split_by),
      filter: config.filter?.filter(([column]) => this.#keep('filter', column, [column], true)),
      sort: config.sort?.filter(([column]) => this.#keep('sort', column, [column])),
      aggregates: this.#record(config.aggregates, (entry) => this.#keep('aggregates', entry[0], columnsOfAggregate(entry), true)),
      expressions: this.#record(config.expressions, ([name]) => this.#keepDerived('expressions', name)),
      windows: this.#record(config.windows, ([name]) => this.#keepDerived('windows', name)),
      group_by_depth: groups?.length === config.group_by?.length ? config.group_by_depth : undefined,
    };
    return Object.fromEntries(Object.entries(fitted).filter(([, value]) => value !== undefined));
  }

  #names<Name extends string | null>(field: string, names: readonly Name[] | undefined): Name[] | undefined {
    return names?.filter((name) => name === null || this.#keep(field, name, [name]));
  }

  #record<Value>(record: Readonly<Record<string, Value>> | undefined, keep: (entry: [string, Value]) => boolean): Record<string, Value> | undefined {
    return record === undefined ? undefined : Object.fromEntries(Object.entries(record).filter(keep));
  }

  #keepDerived(field: DerivedColumn['field'], name: string): boolean {
    if (this.#made.has(name)) return true;
    const { columns = [] } = this.#derived.find((column) => column.field === field && column.name === name) ?? {};
    this.dropped.push({ field, entry: name, column: columns.find((column) => !this.#has(column) || this.#unfit.has(column)) ?? name });
    return false;
  }

  #keep(field: string, entry: string, columns: readonly string[], needsKind = false): boolean {
    const column = columns.find((name) => !this.#has(name) || (needsKind && this.#unfit.has(name)));
    if (column !== undefined) this.dropped.push({ field, entry, column });
    return column === undefined;
  }

  #has(column: string): boolean {
    return this.#types.has(column) || this.#made.has(column);
  }
}

/** Derived columns may be made of each other, in any order; one whose name the table has itself by now is not made. */
function makeable(types: ReadonlyMap<string, string>, unfit: ReadonlySet<string>, derived: readonly DerivedColumn[]): ReadonlySet<string> {
  const made = new Set<string>();
  let size: number;
  do {
    size = made.size;
    for (const { name, columns } of derived) {
      const isMakeable = columns.every((column) => made.has(column) || (types.has(column) && !unfit.has(column)));
      if (isMakeable && !types.has(name)) made.add(name);
    }
  } while (made.size > size);
  return made;
}

type TableType = (typeof PERSPECTIVE_TYPES)[number];

/** What the types of tables have in common, as far as a filter or an aggregate is concerned. */
const KINDS: Readonly<Record<TableType, 'number' | 'text' | 'time' | 'boolean'>> = {
  integer: 'number',
  float: 'number',
  string: 'text',
  date: 'time',
  datetime: 'time',
  boolean: 'boolean',
};

/** What tables tell the types of versions as; all others, lists among them, are text to them. */
const TOLD: readonly (readonly [told: TableType, pattern: RegExp])[] = [
  ['integer', /^U?(TINY|SMALL|BIG)?INT(EGER)?$/],
  ['float', /^(U?HUGEINT|DECIMAL(\(.*\))?|FLOAT|DOUBLE)$/],
  ['date', /^DATE$/],
  ['datetime', /^TIMESTAMP(_\w+| WITH TIME ZONE)?$/],
  ['boolean', /^BOOLEAN$/],
];

const isTold = (type: string): type is TableType => Object.hasOwn(KINDS, type);

const toldAs = (type: string): TableType => (isTold(type) ? type : (TOLD.find(([, pattern]) => pattern.test(type))?.[0] ?? 'string'));

/** Whether they are one type, each in either of the forms in which types are told. */
const isSameType = (one: string, other: string): boolean => one === other || (isTold(one) !== isTold(other) && toldAs(one) === toldAs(other));

/** Whether a filter or an aggregate made for one type makes sense for another. */
const kindOf = (type: string): string => KINDS[toldAs(type)];
