import { canonicalJson } from '../../shared/canonical.ts';
import { type Aggregate, aggregateOf, canBeWeight, defaultAggregate, type Term } from './aggregates.ts';
import type { ColumnKind } from './column-types.ts';
import type { CheckedExpression } from './expressions.ts';
import { Fields } from './fields.ts';
import { filterSql } from './filters.ts';
import type { Table } from './table.ts';
import type { Sort, ViewConfig } from './view-config.ts';
import { ViewFault } from './view-fault.ts';

/** A column that a view shows. */
export interface PlannedColumn {
  readonly name: string;
  readonly kind: ColumnKind;
}

/** An aggregate under the name that it has in results. */
export interface PlannedAggregate extends Aggregate {
  readonly alias: string;
  readonly column: string;
}

export interface PlannedSort {
  readonly sort: Sort;
  /** What it goes by: a field of a flat view, an aggregate of a grouped one. */
  readonly term: Term;
  readonly alias: string;
  /** Of its values. */
  readonly kind: ColumnKind;
  /** Where rows are sorted by what they are grouped by: its place in `groupBy`, or in `splitBy` for the columns of a split. */
  readonly key: number | undefined;
}

/** A configuration that was checked against its table, in the terms of SQL. */
export interface ViewPlan {
  readonly config: ViewConfig;
  readonly shape: 'flat' | 'splitRows' | 'grouped' | 'split';
  readonly fields: Fields;
  readonly columns: readonly PlannedColumn[];
  /** Of flat views, the fields of `columns`. */
  readonly terms: readonly Term[];
  readonly keys: readonly Term[];
  readonly splits: readonly Term[];
  /** Those of `columns` first, then those that only sorts need. */
  readonly aggregates: readonly PlannedAggregate[];
  readonly sorts: readonly PlannedSort[];
  readonly where: string | undefined;
  /** Whether its rows are those of the table as they come, which need not be copied to be read. */
  readonly isLazy: boolean;
  /** The aggregates that the view came to, by column. */
  readonly resolvedAggregates: Readonly<Record<string, readonly string[]>>;
  readonly expressions: readonly CheckedExpression[];
  /** Equal for views of one table that have equal results. */
  readonly key: string;
}

export function planView(table: Table, config: ViewConfig, expressions: readonly CheckedExpression[]): ViewPlan {
  const fields = new Fields(table.columns, expressions, config.windows);
  const names = config.columns ?? fields.names;
  const shape = shapeOf(config);
  const isFlat = shape === 'flat' || shape === 'splitRows';
  const columns = names.filter((name) => name !== '');
  const where = filterSql(config.filter, config.isAnyFilter, (name) => fields.use(name));
  const aggregates = isFlat ? [] : columns.map((name, index) => aggregateFor(config, fields, name, `a${index}`));
  const terms = isFlat ? columns.map((name) => fields.use(name)) : [];
  const sorts = config.sort.flatMap((sort, index) => planSort({ config, fields, columns, isFlat, aggregates }, sort, index));
  const [keys, splits] = [config.groupBy, config.splitBy].map((list) => list.map((name) => fields.use(name)));
  const own = aggregates.slice(0, columns.length);
  return {
    config,
    shape,
    fields,
    columns: isFlat ? terms.map(({ name, kind }) => ({ name, kind })) : own.map(({ column, kind }) => ({ name: column, kind })),
    terms,
    keys: keys ?? [],
    splits: splits ?? [],
    aggregates,
    sorts,
    where,
    isLazy: isFlat && where === undefined && sorts.length === 0 && !fields.hasWindows,
    resolvedAggregates: isFlat
      ? {}
      : Object.fromEntries(own.map(({ column }) => [column, config.aggregates.get(column) ?? [defaultAggregate(fields.use(column).kind)]])),
    expressions,
    key: keyOf(config, columns),
  };
}

function shapeOf({ groupBy, splitBy, groupRollup }: ViewConfig): ViewPlan['shape'] {
  const isGrouped = groupBy.length > 0 || groupRollup === 'total';
  if (splitBy.length > 0) return isGrouped ? 'split' : 'splitRows';
  return isGrouped ? 'grouped' : 'flat';
}

/** How deep the rows are open belongs to each view of a result. */
function keyOf(config: ViewConfig, columns: readonly string[]): string {
  return canonicalJson({ ...config, aggregates: Object.fromEntries(config.aggregates), columns, groupDepth: null });
}

function aggregateFor(config: ViewConfig, fields: Fields, column: string, alias: string): PlannedAggregate {
  const value = fields.use(column);
  const [name = defaultAggregate(value.kind), by] = config.aggregates.get(column) ?? [];
  const other = by === undefined ? undefined : fields.use(by);
  if (other !== undefined && !canBeWeight(other.kind)) throw new ViewFault(`the aggregate "${name}" of ${column} takes a column of numbers`);
  return { ...aggregateOf(name, { value, by: other }), alias, column };
}

interface SortContext {
  readonly config: ViewConfig;
  readonly fields: Fields;
  readonly columns: readonly string[];
  readonly isFlat: boolean;
  /** Grows by what only sorts need. */
  readonly aggregates: PlannedAggregate[];
}

function planSort(context: SortContext, sort: Sort, index: number): PlannedSort[] {
  const { config, fields, columns, isFlat, aggregates } = context;
  const term = fields.use(sort.column);
  if (isFlat) return sort.isOfColumns ? [] : [{ sort, term, alias: term.sql, kind: term.kind, key: undefined }];
  if (sort.isOfColumns && config.splitBy.length === 0) return [];
  const shown = columns.indexOf(sort.column);
  if (shown >= 0) return [{ sort, term, alias: `a${shown}`, kind: aggregates[shown]?.kind ?? term.kind, key: undefined }];
  const key = (sort.isOfColumns ? config.splitBy : config.groupBy).indexOf(sort.column);
  const alias = `h${index}`;
  const hidden =
    key >= 0 ? { ...aggregateOf('unique', { value: term, by: undefined }), column: sort.column } : aggregateFor(config, fields, sort.column, alias);
  aggregates.push({ ...hidden, alias });
  return [{ sort, term, alias, kind: hidden.kind, key: key >= 0 ? key : undefined }];
}
