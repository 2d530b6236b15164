import type { SavedViewConfig } from '../../../protocol/documents/index.ts';

/** A column as far as a first chart of it is concerned. */
export interface ChartColumn {
  readonly name: string;
  /** A type of Perspective. */
  readonly type: string;
  /** About how many values it has; undefined: not known. */
  readonly distinct: number | undefined;
}

interface Suggestion {
  readonly plugin: string;
  readonly columns: readonly ChartColumn[];
  readonly key: readonly string[] | null;
}

/** More groups than this are no longer told apart; a pie, a stack or a legend is read up to the second. */
const GROUPS_MAX = 60;
const COLOURS_MAX = 10;
/** Points in time along one axis. */
const TIMES_MAX = 3_000;

/** Groups that each kind of chart begins with along its axis, and beside it, and the measures that it needs. */
const NEEDS: Readonly<Record<string, { readonly groups: number; readonly splits: number; readonly measures: number; readonly inTime?: boolean }>> = {
  'X Bar': { groups: 1, splits: 0, measures: 1 },
  'Y Bar': { groups: 1, splits: 1, measures: 1 },
  'Y Line': { groups: 1, splits: 0, measures: 1, inTime: true },
  'Y Area': { groups: 1, splits: 0, measures: 1, inTime: true },
  'Y Scatter': { groups: 1, splits: 0, measures: 1 },
  'X/Y Scatter': { groups: 1, splits: 0, measures: 2 },
  Heatmap: { groups: 1, splits: 1, measures: 1 },
  Treemap: { groups: 2, splits: 0, measures: 1 },
  Sunburst: { groups: 2, splits: 0, measures: 1 },
};

/**
 * What a chart begins with when a plain grid becomes one: what tells few groups apart, and a number to measure them by. Undefined
 * where the columns give nothing that a chart could be made of.
 */
export function suggest({ plugin, columns, key }: Suggestion): SavedViewConfig | undefined {
  const needs = NEEDS[plugin];
  if (needs === undefined) return undefined;
  const isKey = ({ name }: ChartColumn): boolean => key?.includes(name) === true;
  const measures = columns.filter((column) => isMeasure(column) && !isKey(column)).sort((one, other) => rank(one) - rank(other));
  const groups = columns.filter((column) => isGroup(column) && !isKey(column)).sort((one, other) => (one.distinct ?? 0) - (other.distinct ?? 0));
  const times = columns.filter(({ type, distinct }) => isTime(type) && distinct !== undefined && distinct > 1 && distinct <= TIMES_MAX);
  const fine = groups.findLast(({ distinct = 0 }) => distinct <= GROUPS_MAX / 2) ?? groups.at(-1);
  const coarse = groups.find((group) => group !== fine && (group.distinct ?? 0) <= COLOURS_MAX);
  const along = needs.inTime === true ? (times[0] ?? fine) : fine;
  if (along === undefined || measures.length === 0) return undefined;
  // What is nested goes from the coarse to the fine; what stands beside each other has the fine along the axis.
  const nested = needs.groups > 1 && coarse !== undefined ? [coarse.name, along.name] : [along.name];
  return {
    group_by: nested,
    split_by: needs.splits > 0 && coarse !== undefined ? [coarse.name] : [],
    columns: measures.slice(0, needs.measures).map(({ name }) => name),
    sort: [],
  };
}

const isMeasure = ({ type }: ChartColumn): boolean => type === 'float' || type === 'integer';
const isTime = (type: string): boolean => type === 'date' || type === 'datetime';
const isGroup = ({ type, distinct }: ChartColumn): boolean =>
  (type === 'string' || type === 'boolean') && distinct !== undefined && distinct > 1 && distinct <= GROUPS_MAX;

/** Numbers with a fraction are measures more often than whole ones, which may be codes. */
const rank = ({ type }: ChartColumn): number => (type === 'float' ? 0 : 1);
