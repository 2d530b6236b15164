import type { SortOp, WireScalar, WireViewConfig, WireWindow } from '../../shared/perspective/types.ts';
import type { Scalar, Sort, ViewConfig, WindowConfig } from './view-config.ts';

/** A configuration as it came, in the terms of this engine. */
export function readWireConfig(wire: WireViewConfig | null): ViewConfig {
  return {
    groupBy: wire?.group_by ?? [],
    splitBy: wire?.split_by ?? [],
    columns: wire?.columns?.columns?.columns ?? null,
    filter: (wire?.filter ?? []).map(({ column, op, value }) => ({ column, operator: op, values: value.map(scalarOf) })),
    isAnyFilter: wire?.filter_op === 'or',
    sort: (wire?.sort ?? []).flatMap(({ column, op }) => sortOf(column, op)),
    aggregates: new Map(Object.entries(wire?.aggregates ?? {}).map(([column, { aggregations }]) => [column, aggregations])),
    expressions: { ...wire?.expressions },
    windows: Object.fromEntries(Object.entries(wire?.windows ?? {}).map(([name, window]) => [name, windowOf(window)])),
    groupRollup: wire?.group_rollup_mode ?? 'rollup',
    splitRollup: wire?.split_rollup_mode ?? 'flat',
    groupDepth: wire?.group_by_depth,
  };
}

function scalarOf({ bool, float, string }: WireScalar): Scalar {
  return bool ?? float ?? string ?? null;
}

function sortOf(column: string, op: SortOp): Sort[] {
  if (op === 'none') return [];
  return [{ column, isDescending: op.includes('desc'), isAbsolute: op.endsWith('abs'), isOfColumns: op.startsWith('col') }];
}

function windowOf({ source, op, partition_by, order_by, rows, range, offset, alpha }: WireWindow): WindowConfig {
  return {
    column: source,
    aggregate: op,
    partitionBy: partition_by,
    orderBy: order_by === null ? undefined : { column: order_by.column, isDescending: order_by.desc },
    frame: rows !== undefined ? { rows } : range !== undefined ? { range } : undefined,
    offset: offset ?? 1,
    alpha,
  };
}

/** What a view came to that its configuration does not say, or that belongs to it alone. */
export interface Resolved {
  readonly columns: readonly string[];
  readonly aggregates: Readonly<Record<string, readonly string[]>>;
  readonly groupDepth: number | undefined;
}

/** The configuration as the view has it. */
export function resolvedWireConfig(wire: WireViewConfig | null, { columns, aggregates, groupDepth }: Resolved): WireViewConfig {
  return {
    group_by: wire?.group_by ?? [],
    split_by: wire?.split_by ?? [],
    columns: { columns: { columns } },
    filter: wire?.filter ?? [],
    sort: wire?.sort ?? [],
    expressions: wire?.expressions ?? {},
    aggregates: Object.fromEntries(Object.entries(aggregates).map(([column, aggregations]) => [column, { aggregations }])),
    filter_op: wire?.filter_op ?? 'and',
    windows: wire?.windows ?? {},
    group_rollup_mode: wire?.group_rollup_mode ?? 'rollup',
    split_rollup_mode: wire?.split_rollup_mode ?? 'flat',
    ...(groupDepth === undefined ? {} : { group_by_depth: groupDepth }),
  };
}
