import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { NO_AGGREGATE } from '../documents/view-config.ts';
import { tableId, viewId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName } from '../names.ts';
import { record } from '../record.ts';
import { bytes, empty } from './shared.ts';
import { readsTable, tableSchema } from './table.ts';
import { fileHead } from './version.ts';

export const DATA_FORMATS = ['json', 'arrow', 'csv', 'ndjson'] as const;
export const EXPORT_FORMATS = ['csv', 'arrow', 'parquet', 'ndjson'] as const;
export const SORTS = ['none', 'asc', 'desc', 'col asc', 'col desc', 'asc abs', 'desc abs', 'col asc abs', 'col desc abs'] as const;

const columns = z.array(columnName).max(defaultLimits.columnsMax);
const scalar = z.union([z.string().max(defaultLimits.viewTextCharsMax), z.number(), z.boolean(), z.null()]);
const text = z.string().max(defaultLimits.viewTextCharsMax);
const name = z.string().max(100);
const few = <Value extends z.ZodType>(value: Value) =>
  record(columnName, value).refine(
    (entries) => Object.keys(entries).length <= defaultLimits.viewEntriesMax,
    `must have at most ${defaultLimits.viewEntriesMax} entries`,
  );

/** What makes a column of neighbouring rows. */
export const viewWindow = z
  .object({
    column: columnName,
    aggregate: name,
    partition_by: columns.optional(),
    order_by: z
      .tuple([columnName, z.enum(['asc', 'desc'])])
      .nullable()
      .optional(),
    rows: z.int().min(0).max(4_294_967_295).nullable().optional(),
    range: z.number().nullable().optional(),
    cumulative: z.boolean().nullable().optional(),
    offset: z.int().min(0).max(4_294_967_295).nullable().optional(),
    alpha: z.number().nullable().optional(),
  })
  .strict();

/** A view configuration, field by field as Perspective 5.5 writes it in JSON. */
export const viewConfig = {
  columns: z.array(columnName.nullable()).max(defaultLimits.columnsMax).optional().describe('Absent: all columns of the table'),
  group_by: columns.optional(),
  split_by: columns.optional(),
  filter: z
    .array(z.union([z.tuple([columnName, name]), z.tuple([columnName, name, z.union([scalar, z.array(scalar).max(defaultLimits.viewValuesMax)])])]))
    .max(defaultLimits.viewEntriesMax)
    .optional(),
  filter_op: z.enum(['and', 'or']).optional(),
  sort: z
    .array(z.tuple([columnName, z.enum(SORTS)]))
    .max(defaultLimits.viewEntriesMax)
    .optional(),
  aggregates: record(columnName, z.union([name, z.tuple([name, z.array(columnName).max(8)])], NO_AGGREGATE)).optional(),
  expressions: few(text).optional(),
  windows: few(viewWindow).optional(),
  group_by_depth: z.int().min(0).max(1_000).nullable().optional(),
  group_rollup_mode: z.enum(['rollup', 'flat', 'total']).optional(),
  split_rollup_mode: z.enum(['flat', 'rollup']).optional(),
};

export const config = z.object(viewConfig);
export type ViewConfigInput = z.output<typeof config>;

const view = { tableId, viewId };
const EXAMPLE = { tableId: 'dataset_1_v1_0123456789abcdef0123456789abcdef', viewId: 'view_0123456789abcdef0123456789abcdef' };

const rowWindow = {
  startRow: z.int().min(0).max(4_294_967_295).default(0),
  endRow: z.int().min(0).max(4_294_967_295).optional().describe('Exclusive; absent: one page'),
};

export const viewOperations = {
  create: operation({
    kind: 'command',
    summary: 'Make a view on an open table; it is the caller’s own and ends when it is not used for `viewIdleMs`',
    input: z.object({ tableId, ...viewConfig }),
    output: z.object({ viewId, schema: tableSchema.describe('Columns with the types of their aggregates'), rows: z.int() }),
    errors: ['payload_too_large', 'memory_limit'],
    permission: readsTable,
    audit: 'access',
    http: { method: 'POST', path: '/api/explore/perspective/table/{tableId}/view', status: 201 },
    example: { input: { tableId: EXAMPLE.tableId, columns: ['price'], group_by: ['name'], aggregates: { price: 'sum' } } },
  }),
  data: operation({
    kind: 'query',
    summary: 'Read a window of a view: rows, or bytes of a format',
    input: z.object({ ...view, ...rowWindow, format: z.enum(DATA_FORMATS).default('json') }),
    output: z.union([
      z.object({
        rows: z.array(record(z.string(), z.unknown())).describe('`__ROW_PATH__` is the group of a row; columns of a split view are joined by |'),
        startRow: z.int(),
        endRow: z.int(),
        totalRows: z.int().describe('Rows of the view'),
        truncated: z.boolean().describe('Fewer rows than asked for, because of a limit'),
      }),
      z.object({ contentType: z.string(), content: bytes }),
    ]),
    errors: ['payload_too_large', 'memory_limit'],
    permission: readsTable,
    http: { method: 'GET', path: '/api/explore/perspective/table/{tableId}/view/{viewId}/data', response: 'content' },
    example: { input: { ...EXAMPLE, startRow: 0, endRow: 10 } },
  }),
  export: operation({
    kind: 'stream',
    summary: 'Download all rows of a view: first a head, then bytes',
    input: z.object({ ...view, format: z.enum(EXPORT_FORMATS).default('csv') }),
    output: z.union([fileHead, bytes]),
    errors: ['payload_too_large', 'unprocessable_data', 'memory_limit'],
    permission: readsTable,
    audit: 'access',
    http: { method: 'GET', path: '/api/explore/perspective/table/{tableId}/view/{viewId}/export', response: 'file' },
    example: { input: { ...EXAMPLE, format: 'csv' } },
  }),
  close: operation({
    kind: 'command',
    summary: 'End a view',
    input: z.object(view),
    output: empty,
    errors: [],
    permission: readsTable,
    audit: 'access',
    http: { method: 'DELETE', path: '/api/explore/perspective/table/{tableId}/view/{viewId}', status: 204 },
    example: { input: EXAMPLE },
  }),
};

export type ViewPage = Extract<z.output<(typeof viewOperations)['data']['output']>, { readonly rows: unknown }>;
