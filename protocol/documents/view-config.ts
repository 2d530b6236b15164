import * as z from 'zod/v4';
import { defaultLimits } from '../limits.ts';
import { columnName } from '../names.ts';
import { record } from '../record.ts';
import { jsonOfAtMost } from './json.ts';

/** What is said of a value that names no aggregate. */
export const NO_AGGREGATE = 'must be the name of an aggregate, or a list of one and of columns';

const columns = z.array(columnName).max(defaultLimits.columnsMax);
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const window = z.looseObject({
  column: columnName,
  aggregate: z.string(),
  partition_by: columns.optional(),
  order_by: z.tuple([columnName, z.string()]).nullable().optional(),
});

/**
 * A Perspective view config as a saved view keeps it. The fields that Perspective 5.5 has are checked; others are kept as
 * they are, so that a view of a newer viewer is not lost. Whether columns exist is asked when the view is applied.
 */
export const savedViewConfig = z
  .looseObject({
    columns: z.array(columnName.nullable()).max(defaultLimits.columnsMax).optional(),
    group_by: columns.optional(),
    split_by: columns.optional(),
    filter: z.array(z.tuple([columnName, z.string(), z.union([scalar, z.array(scalar)]).optional()])).optional(),
    filter_op: z.enum(['and', 'or']).optional(),
    sort: z.array(z.tuple([columnName, z.string()])).optional(),
    aggregates: record(columnName, z.union([z.string(), z.tuple([z.string(), z.array(z.string())])], NO_AGGREGATE)).optional(),
    expressions: record(columnName, z.string()).optional(),
    windows: record(columnName, window).optional(),
    group_by_depth: z.int().min(0).nullable().optional(),
    group_rollup_mode: z.string().optional(),
  })
  .superRefine(jsonOfAtMost(defaultLimits.savedViewConfigBytesMax));

export type SavedViewConfig = z.output<typeof savedViewConfig>;
