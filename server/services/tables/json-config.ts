import type { ViewConfigInput } from '../../../protocol/operations/view.ts';
import type { WireScalar, WireViewConfig, WireWindow } from '../../shared/perspective/types.ts';

type JsonScalar = string | number | boolean | null;
type JsonWindow = NonNullable<ViewConfigInput['windows']>[string];

/** A view configuration as Perspective writes it in JSON, as its protocol carries it. */
export function wireConfigOf(config: ViewConfigInput): WireViewConfig {
  const { columns, group_by_depth, group_rollup_mode, split_rollup_mode } = config;
  // Viewers leave null where a column was taken away.
  const names = columns?.filter((name) => name !== null);
  return {
    group_by: config.group_by ?? [],
    split_by: config.split_by ?? [],
    columns: names === undefined ? { default_columns: 'null' } : { columns: { columns: names } },
    filter: (config.filter ?? []).map(([column, op, value]) => ({ column, op, value: termOf(value).map(wireScalarOf) })),
    sort: (config.sort ?? []).map(([column, op]) => ({ column, op })),
    expressions: config.expressions ?? {},
    aggregates: Object.fromEntries(
      Object.entries(config.aggregates ?? {}).map(([column, aggregate]) => [column, { aggregations: [aggregate].flat(2) }]),
    ),
    filter_op: config.filter_op ?? 'and',
    windows: Object.fromEntries(Object.entries(config.windows ?? {}).map(([name, window]) => [name, wireWindowOf(window)])),
    ...(group_by_depth === undefined || group_by_depth === null ? {} : { group_by_depth }),
    ...(group_rollup_mode === undefined ? {} : { group_rollup_mode }),
    ...(split_rollup_mode === undefined ? {} : { split_rollup_mode }),
  };
}

function termOf(value: JsonScalar | JsonScalar[] | undefined): JsonScalar[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function wireScalarOf(value: JsonScalar): WireScalar {
  if (value === null) return { null: 'null' };
  if (typeof value === 'boolean') return { bool: value };
  return typeof value === 'number' ? { float: value } : { string: value };
}

/** A frame that is not given, or null, is not there. */
function wireWindowOf({ column, aggregate, partition_by, order_by, rows, range, cumulative, offset, alpha }: JsonWindow): WireWindow {
  return {
    source: column,
    op: aggregate,
    partition_by: partition_by ?? [],
    order_by: order_by === undefined || order_by === null ? null : { column: order_by[0], desc: order_by[1] === 'desc' },
    ...(typeof rows === 'number' ? { rows } : {}),
    ...(typeof range === 'number' ? { range } : {}),
    ...(cumulative === true ? { cumulative: 'null' as const } : {}),
    ...(typeof offset === 'number' ? { offset } : {}),
    ...(typeof alpha === 'number' ? { alpha } : {}),
  };
}
