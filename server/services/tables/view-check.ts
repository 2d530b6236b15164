import type { Limits } from '../../../protocol/limits.ts';
import { ENUMS } from '../../shared/perspective/schema.ts';
import type { PerspectiveType, StatusCode, WireFilter, WireScalar, WireViewConfig, WireWindow } from '../../shared/perspective/types.ts';
import type { EngineTable, TableEngine } from './engine.ts';
import { checkExpression } from './expression-check.ts';

/** What is wrong with a request, in words for whoever sent it. */
export class RequestFault extends Error {
  override readonly name = 'RequestFault';
  readonly status: StatusCode;

  constructor(message: string, status: StatusCode = 'server_error') {
    super(message);
    this.status = status;
  }
}

export interface CheckedTable {
  readonly table: Pick<EngineTable, 'schema' | 'features'>;
  readonly dialect: TableEngine['dialect'];
  readonly limits: Pick<Limits, 'columnsMax' | 'viewEntriesMax' | 'viewValuesMax' | 'viewTextCharsMax' | 'viewGroupsMax'>;
}

/** The columns that a configuration can name: those of the table, and those that it makes itself, whose type only the engine knows. */
type Columns = ReadonlyMap<string, PerspectiveType | undefined>;

/**
 * Checks a view configuration against the table, so that a bad one gets a clear error and never reaches an engine, and fills
 * in what an engine would have to guess: the columns. Throws RequestFault.
 */
export function checkConfig(config: WireViewConfig | null, checked: CheckedTable): WireViewConfig {
  const given = config ?? EMPTY;
  const { limits, table } = checked;
  const own = new Map<string, PerspectiveType | undefined>(Object.entries(table.schema));
  const withExpressions = addExpressions(own, given.expressions, checked);
  const columns = addWindows(withExpressions, given.windows, checked);
  const names = given.columns?.columns?.columns ?? [...own.keys()];
  bounded('columns', names, limits.columnsMax);
  for (const name of names) known(columns, name, 'columns');
  for (const field of ['group_by', 'split_by'] as const) {
    bounded(field, given[field], limits.viewGroupsMax);
    for (const name of given[field]) known(columns, name, field);
  }
  if (!offers(table.features.group_by, given.group_by)) throw new RequestFault('this table offers no group_by');
  if (!offers(table.features.split_by, given.split_by)) throw new RequestFault('this table offers no split_by');
  bounded('sort', given.sort, limits.viewEntriesMax);
  for (const { column } of given.sort) known(columns, column, 'sort');
  bounded('filter', given.filter, limits.viewEntriesMax);
  for (const filter of given.filter) checkFilter(columns, filter, checked);
  checkAggregates(columns, given.aggregates, checked);
  if (given.group_rollup_mode !== undefined && !table.features.group_rollup_mode.includes(given.group_rollup_mode)) {
    throw new RequestFault(`this table offers no group_rollup_mode ${JSON.stringify(given.group_rollup_mode)}`);
  }
  if (given.split_rollup_mode === 'rollup' && !table.features.split_rollup_mode.includes('rollup')) {
    throw new RequestFault('this table offers no split_rollup_mode "rollup"');
  }
  return { ...given, columns: { columns: { columns: names } } };
}

/** Checks the expressions of a request that only asks whether they are good; returns what is wrong with each that is not. */
export function checkExpressions(expressions: Readonly<Record<string, string>>, checked: CheckedTable): Map<string, string> {
  bounded('expressions', Object.keys(expressions), checked.limits.viewEntriesMax);
  const faults = new Map<string, string>();
  for (const [name, text] of Object.entries(expressions)) {
    try {
      checkOne(name, text, checked);
    } catch (fault) {
      if (!(fault instanceof RequestFault)) throw fault;
      faults.set(name, fault.message);
    }
  }
  return faults;
}

const EMPTY: WireViewConfig = {
  group_by: [],
  split_by: [],
  columns: null,
  filter: [],
  sort: [],
  expressions: {},
  aggregates: {},
  filter_op: 'and',
  windows: {},
};

const offers = (isOffered: boolean, asked: readonly unknown[]): boolean => isOffered || asked.length === 0;

function bounded(what: string, items: readonly unknown[], most: number): void {
  if (items.length > most) throw new RequestFault(`${what} has ${items.length} entries; at most ${most} are allowed`);
}

function known(columns: Columns, name: string, where: string): PerspectiveType | undefined {
  if (!columns.has(name)) throw new RequestFault(`${where} names a column that does not exist: ${JSON.stringify(name)}`);
  return columns.get(name);
}

function addExpressions(columns: Columns, expressions: WireViewConfig['expressions'], checked: CheckedTable): Columns {
  const names = Object.keys(expressions);
  if (names.length === 0) return columns;
  if (!checked.table.features.expressions) throw new RequestFault('this table offers no expressions');
  bounded('expressions', names, checked.limits.viewEntriesMax);
  for (const [name, text] of Object.entries(expressions)) checkOne(name, text, checked);
  return new Map([...columns, ...names.map((name) => [name, undefined] as const)]);
}

function checkOne(name: string, text: string, { table, dialect, limits }: CheckedTable): void {
  if (name in table.schema) throw new RequestFault(`the expression ${JSON.stringify(name)} has the name of a column`);
  if (text.length > limits.viewTextCharsMax) {
    throw new RequestFault(`the expression ${JSON.stringify(name)} is longer than ${limits.viewTextCharsMax} characters`);
  }
  // Expressions in SQL are parsed by their engine, which has the grammar.
  const fault = dialect === 'exprtk' ? checkExpression(text, Object.keys(table.schema)) : undefined;
  if (fault !== undefined) throw new RequestFault(`the expression ${JSON.stringify(name)}: ${fault}`);
}

function addWindows(columns: Columns, windows: WireViewConfig['windows'], checked: CheckedTable): Columns {
  const entries = Object.entries(windows);
  bounded('windows', entries, checked.limits.viewEntriesMax);
  for (const [name, window] of entries) {
    if (columns.has(name)) throw new RequestFault(`the window ${JSON.stringify(name)} has the name of another column`);
    checkWindow(columns, name, window, checked);
  }
  return new Map([...columns, ...entries.map(([name]) => [name, undefined] as const)]);
}

function checkWindow(columns: Columns, name: string, window: WireWindow, { table, limits }: CheckedTable): void {
  const where = `the window ${JSON.stringify(name)}`;
  const type = known(columns, window.source, where);
  bounded(`${where}: partition_by`, window.partition_by, limits.viewGroupsMax);
  for (const column of window.partition_by) known(columns, column, where);
  if (window.order_by !== null) known(columns, window.order_by.column, where);
  const offered = optionsOf(table.features.window_aggregates, type).flatMap(({ options }) => options);
  const aggregate = offered.find((candidate) => candidate.name === window.op);
  if (aggregate === undefined) throw new RequestFault(`${where}: there is no ${JSON.stringify(window.op)} for ${describe(type)}`);
  const frame = (['rows', 'range', 'cumulative'] as const).find((kind) => window[kind] !== undefined);
  if (frame !== undefined && !aggregate.frames.includes(frame)) throw new RequestFault(`${where}: ${window.op} takes no frame ${frame}`);
}

/** The options for a type; for a column whose type is not known those of every type. */
function optionsOf<Options>(byType: Readonly<Record<string, Options>>, type: PerspectiveType | undefined): Options[] {
  if (type === undefined) return Object.values(byType);
  const options = byType[ENUMS.ColumnType[type]];
  return options === undefined ? [] : [options];
}

const describe = (type: PerspectiveType | undefined): string => (type === undefined ? 'such a column' : `a column of type ${type}`);

function checkFilter(columns: Columns, { column, op, value }: WireFilter, { table, limits }: CheckedTable): void {
  const type = known(columns, column, 'filter');
  const operators = optionsOf(table.features.filter_ops, type).flatMap(({ options }) => options);
  if (!operators.includes(op)) throw new RequestFault(`there is no filter ${JSON.stringify(op)} for ${describe(type)}`);
  bounded(`the filter of ${JSON.stringify(column)}`, value, limits.viewValuesMax);
  const isList = op === 'in' || op === 'not in';
  if (!isList && value.length > 1) throw new RequestFault(`the filter ${op} of ${JSON.stringify(column)} takes one value`);
  for (const scalar of value) checkValue(column, type, scalar, limits.viewTextCharsMax);
}

/** A filter that is not filled in yet has no value or null, and filters nothing. */
function checkValue(column: string, type: PerspectiveType | undefined, scalar: WireScalar, charsMax: number): void {
  if ((scalar.string?.length ?? 0) > charsMax)
    throw new RequestFault(`a value of the filter of ${JSON.stringify(column)} is longer than ${charsMax} characters`);
  const kinds = type === undefined ? undefined : VALUE_KINDS[type];
  if (kinds === undefined) return;
  const kind = (['bool', 'float', 'string'] as const).find((candidate) => scalar[candidate] !== undefined);
  if (kind !== undefined && !kinds.includes(kind))
    throw new RequestFault(`the filter of ${JSON.stringify(column)}, ${describe(type)}, has a value of another type`);
}

/** What filters compare columns with; times come as texts or as milliseconds. */
const VALUE_KINDS: Readonly<Record<PerspectiveType, readonly string[]>> = {
  string: ['string'],
  date: ['string', 'float'],
  datetime: ['string', 'float'],
  integer: ['float'],
  float: ['float'],
  boolean: ['bool'],
};

function checkAggregates(columns: Columns, aggregates: WireViewConfig['aggregates'], { table, limits }: CheckedTable): void {
  const entries = Object.entries(aggregates);
  bounded('aggregates', entries, limits.columnsMax);
  for (const [column, { aggregations }] of entries) {
    const type = known(columns, column, 'aggregates');
    const [name, ...others] = aggregations;
    const offered = optionsOf(table.features.aggregates, type).flatMap((options) => options.aggregates);
    const aggregate = offered.find((candidate) => candidate.name === name);
    if (aggregate === undefined) throw new RequestFault(`there is no aggregate ${JSON.stringify(name ?? '')} for ${describe(type)}`);
    if (others.length !== aggregate.args.length) {
      throw new RequestFault(`the aggregate ${name} of ${JSON.stringify(column)} takes ${aggregate.args.length} more columns`);
    }
    for (const other of others) known(columns, other, `the aggregate ${name} of ${JSON.stringify(column)}`);
  }
}
