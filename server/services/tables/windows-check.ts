import type { PerspectiveType, WireViewConfig, WireWindow } from '../../shared/perspective/types.ts';
import { bounded, type CheckedTable, type Columns, checkName, describe, known, optionsOf } from './named-columns.ts';
import { RequestFault } from './request-fault.ts';

/** Columns that are numbers or times, so that there is a distance between their values. */
const MEASURED: readonly PerspectiveType[] = ['integer', 'float', 'date', 'datetime'];

/** Checks the windows of a configuration, which are columns computed from neighbouring rows; returns the columns with theirs. */
export function addWindows(columns: Columns, windows: WireViewConfig['windows'], checked: CheckedTable): Columns {
  const entries = Object.entries(windows);
  bounded('windows', entries, checked.limits.viewEntriesMax);
  for (const [name, window] of entries) {
    checkName('a window', name, checked.limits);
    if (columns.has(name)) throw new RequestFault(`the window ${JSON.stringify(name)} has the name of another column`);
    checkWindow(columns, name, window, checked);
  }
  return new Map([...columns, ...entries.map(([name]) => [name, undefined] as const)]);
}

function checkWindow(columns: Columns, name: string, window: WireWindow, { table, limits }: CheckedTable): void {
  const where = `the window ${JSON.stringify(name)}`;
  const type = known(columns, window.source, where);
  bounded(`${where}: partition_by`, window.partition_by, limits.viewGroupsMax);
  for (const column of [...window.partition_by, ...(window.order_by === null ? [] : [window.order_by.column])]) {
    known(columns, column, where);
    if (!table.schema.has(column)) throw new RequestFault(`${where}: rows go by columns of the table, which ${JSON.stringify(column)} is not`);
  }
  const offered = optionsOf(table.features.window_aggregates, type).flatMap(({ options }) => options);
  const aggregate = offered.find((candidate) => candidate.name === window.op);
  if (aggregate === undefined) throw new RequestFault(`${where}: there is no ${JSON.stringify(window.op)} for ${describe(type)}`);
  const frame = (['rows', 'range', 'cumulative'] as const).find((kind) => window[kind] !== undefined);
  if (frame !== undefined && !aggregate.frames.includes(frame)) throw new RequestFault(`${where}: ${window.op} takes no frame ${frame}`);
  if (frame === undefined && aggregate.frames.length === 1) throw new RequestFault(`${where}: ${window.op} needs a frame ${aggregate.frames[0]}`);
  if (frame === 'range') checkRange(where, window, table.schema);
  if (aggregate.alpha && !(window.alpha !== undefined && window.alpha > 0 && window.alpha <= 1)) {
    throw new RequestFault(`${where}: ${window.op} needs an alpha above 0 and at most 1`);
  }
}

function checkRange(where: string, { range, order_by: order }: WireWindow, schema: CheckedTable['table']['schema']): void {
  const type = order === null ? undefined : schema.get(order.column);
  if (type === undefined || !MEASURED.includes(type)) throw new RequestFault(`${where}: a range needs order_by a column of numbers or times`);
  if (!(range !== undefined && range > 0 && Number.isFinite(range))) throw new RequestFault(`${where}: a range is a number above 0`);
}
