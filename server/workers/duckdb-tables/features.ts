import { ENUMS } from '../../shared/perspective/schema.ts';
import type { PerspectiveType, WireFeatures } from '../../shared/perspective/types.ts';
import { aggregatesOf } from './aggregates.ts';
import { FILTER_OPERATORS } from './filters.ts';
import { windowsOf } from './windows.ts';

const KINDS = Object.entries(ENUMS.ColumnType) as [PerspectiveType, number][];

/** What views of this engine can do. */
export const DUCKDB_FEATURES: WireFeatures = {
  group_by: true,
  split_by: true,
  expressions: true,
  on_update: true,
  sort: true,
  filter_ops: Object.fromEntries(KINDS.map(([kind, number]) => [number, { options: FILTER_OPERATORS[kind] }])),
  aggregates: Object.fromEntries(
    KINDS.map(([kind, number]) => [number, { aggregates: aggregatesOf(kind).map(({ name, takes }) => ({ name, args: takes })) }]),
  ),
  group_rollup_mode: ['rollup', 'flat', 'total'],
  window_aggregates: Object.fromEntries(KINDS.map(([kind, number]) => [number, { options: windowsOf(kind) }])),
  unordered: false,
  split_rollup_mode: ['flat', 'rollup'],
};
