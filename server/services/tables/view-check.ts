import type { PerspectiveType, WireFilter, WireScalar, WireViewConfig } from '../../shared/perspective/types.ts';
import { checkExpression } from './expression-check.ts';
import { exprtkForEngine } from './exprtk-dialect.ts';
import { bounded, type CheckedTable, type Columns, checkName, describe, known, optionsOf } from './named-columns.ts';
import { patternFault } from './pattern-check.ts';
import { RequestFault } from './request-fault.ts';
import { addWindows } from './windows-check.ts';

/**
 * Checks a view configuration against the table, so that a bad one gets a clear error and never reaches an engine, and fills
 * in what an engine would have to guess: the columns. Throws RequestFault.
 */
export function checkConfig(config: WireViewConfig | null, checked: CheckedTable): WireViewConfig {
  const given = config ?? EMPTY;
  const { limits, table } = checked;
  const withExpressions = addExpressions(table.schema, given.expressions, checked);
  const columns = addWindows(withExpressions, given.windows, checked);
  const names = given.columns?.columns?.columns ?? [...columns.keys()];
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
  const filter = given.filter.map((one) => (table.singles?.has(one.column) === true ? ofSingles(one) : one));
  return { ...given, columns: { columns: { columns: names } }, filter, expressions: forEngine(given.expressions, checked) };
}

/** A filter of a column of floats of 32 bits: it has no 0.1 but the number of 32 bits that is next to it. */
function ofSingles(filter: WireFilter): WireFilter {
  const value = filter.value.map((scalar) => {
    const single = Math.fround(scalar.float ?? Number.NaN);
    return Number.isFinite(single) && single !== scalar.float ? { float: single } : scalar;
  });
  return value.every((scalar, index) => scalar === filter.value[index]) ? filter : { ...filter, value };
}

/** Expressions as their engine takes them. */
export function forEngine(expressions: Readonly<Record<string, string>>, { dialect }: Pick<CheckedTable, 'dialect'>): Record<string, string> {
  const entries = Object.entries(expressions);
  return Object.fromEntries(dialect === 'exprtk' ? entries.map(([name, text]) => [name, exprtkForEngine(text)]) : entries);
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

function addExpressions(columns: Columns, expressions: WireViewConfig['expressions'], checked: CheckedTable): Columns {
  const names = Object.keys(expressions);
  if (names.length === 0) return columns;
  if (!checked.table.features.expressions) throw new RequestFault('this table offers no expressions');
  bounded('expressions', names, checked.limits.viewEntriesMax);
  for (const [name, text] of Object.entries(expressions)) checkOne(name, text, checked);
  return new Map([...columns, ...names.map((name) => [name, undefined] as const)]);
}

function checkOne(name: string, text: string, { table, dialect, limits }: CheckedTable): void {
  checkName('an expression', name, limits);
  if (table.schema.has(name)) throw new RequestFault(`the expression ${JSON.stringify(name)} has the name of a column`);
  if (text.length > limits.viewTextCharsMax) {
    throw new RequestFault(`the expression ${JSON.stringify(name)} is longer than ${limits.viewTextCharsMax} characters`);
  }
  // Expressions in SQL are parsed by their engine, which has the grammar.
  const fault = dialect === 'exprtk' ? checkExpression(text, [...table.schema.keys()], limits) : undefined;
  if (fault !== undefined) throw new RequestFault(`the expression ${JSON.stringify(name)}: ${fault}`);
}

function checkFilter(columns: Columns, { column, op, value }: WireFilter, { table, limits, dialect }: CheckedTable): void {
  const type = known(columns, column, 'filter');
  const operators = optionsOf(table.features.filter_ops, type).flatMap(({ options }) => options);
  if (!operators.includes(op)) throw new RequestFault(`there is no filter ${JSON.stringify(op)} for ${JSON.stringify(column)}, ${describe(type)}`);
  bounded(`the filter of ${JSON.stringify(column)}`, value, limits.viewValuesMax);
  const isList = op === 'in' || op === 'not in';
  const isNullTest = op === 'is null' || op === 'is not null';
  const fits = isList || value.length === 1 || (isNullTest && value.length === 0);
  if (!fits) throw new RequestFault(`the filter ${op} of ${JSON.stringify(column)} takes one value`);
  for (const scalar of value) checkValue(column, type, scalar, { charsMax: limits.viewTextCharsMax, takesDigits: dialect === 'sql' });
  // Of those that are not too long, since they are read character by character.
  if (PATTERN_FILTERS.includes(op)) for (const { string } of value) checkPattern(column, string ?? '');
}

const PATTERN_FILTERS = ['matches', 'not matches'];

function checkPattern(column: string, pattern: string): void {
  const fault = patternFault(pattern);
  if (fault === undefined) return;
  throw new RequestFault(`the pattern ${JSON.stringify(pattern)} of the filter of ${JSON.stringify(column)} is no regular expression: ${fault}`);
}

/** A value of null is let pass: nothing equals it. `takesDigits`: a number may be a text, which keeps every digit of it. */
function checkValue(
  column: string,
  type: PerspectiveType | undefined,
  scalar: WireScalar,
  { charsMax, takesDigits }: { readonly charsMax: number; readonly takesDigits: boolean },
): void {
  if ((scalar.string?.length ?? 0) > charsMax)
    throw new RequestFault(`a value of the filter of ${JSON.stringify(column)} is longer than ${charsMax} characters`);
  const kinds = type === undefined ? undefined : VALUE_KINDS[type];
  if (kinds === undefined) return;
  const kind = (['bool', 'float', 'string'] as const).find((candidate) => scalar[candidate] !== undefined);
  if (takesDigits && kinds[0] === 'float' && /^[-+]?\d+(?:\.\d+)?$/.test(scalar.string ?? '')) return;
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
    if (aggregate === undefined) {
      throw new RequestFault(`there is no aggregate ${JSON.stringify(name ?? '')} for ${JSON.stringify(column)}, ${describe(type)}`);
    }
    if (others.length !== aggregate.args.length) {
      throw new RequestFault(`the aggregate ${name} of ${JSON.stringify(column)} takes ${aggregate.args.length} more columns`);
    }
    for (const other of others) known(columns, other, `the aggregate ${name} of ${JSON.stringify(column)}`);
  }
}
