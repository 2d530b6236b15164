import type { Limits } from '../../../protocol/limits.ts';
import type { PerspectiveRequest, PerspectiveResponse, RequestKind, WireViewConfig } from '../../shared/perspective/types.ts';
import { type CheckedExpression, checkExpression } from './expressions.ts';
import { ExpressionFault } from './exprtk-tokens.ts';
import { DUCKDB_FEATURES } from './features.ts';
import { arrowBytes } from './frame-arrow.ts';
import { columnsJson, csvText, rowsJson, rowsNdjson, type TextOptions } from './frame-text.ts';
import type { Query } from './result.ts';
import type { HostedTable } from './results.ts';
import { TextRoom } from './text-room.ts';
import type { View } from './view.ts';
import { ViewFault } from './view-fault.ts';

type Body<Kind extends RequestKind> = Extract<PerspectiveRequest, { readonly kind: Kind }>['body'];
type Answer = Pick<PerspectiveResponse, 'kind' | 'body'>;

export interface TableRequestContext {
  readonly hosted: HostedTable;
  /** The name under which the table is hosted. */
  readonly key: string;
  readonly limits: Limits;
  readonly query: Query;
}

/** Requests about the server or the table, but for those that make views. */
export const TABLE_REQUESTS: { readonly [Kind in RequestKind]?: (context: TableRequestContext, body: Body<Kind>) => Promise<Answer> | Answer } = {
  get_features: () => ({ kind: 'get_features', body: DUCKDB_FEATURES }),
  get_hosted_tables: ({ key }) => ({ kind: 'get_hosted_tables', body: { table_infos: [{ entity_id: key }] } }),
  remove_hosted_tables_update: () => ({ kind: 'remove_hosted_tables_update', body: {} }),
  table_schema: ({ hosted }) => ({
    kind: 'table_schema',
    body: { schema: { schema: hosted.table.columns.map(({ name, kind }) => ({ name, type: kind })) } },
  }),
  table_size: ({ hosted }) => ({ kind: 'table_size', body: { size: hosted.rows } }),
  table_validate_expr: validateExpressions,
  table_remove_delete: () => ({ kind: 'table_remove_delete', body: {} }),
  server_system_info: () => ({ kind: 'server_system_info', body: { heap_size: 0, used_size: 0, cpu_time: 0, cpu_time_epoch: 0 } }),
};

async function validateExpressions(context: TableRequestContext, { column_to_expr }: Body<'table_validate_expr'>): Promise<Answer> {
  const schema: Record<string, CheckedExpression['kind']> = {};
  const errors: Record<string, { error_message: string; line: number; column: number }> = {};
  for (const [name, source] of Object.entries(column_to_expr)) {
    try {
      schema[name] = (await checkIn(context, name, source)).kind;
    } catch (fault) {
      if (!(fault instanceof ExpressionFault)) throw fault;
      const lines = source.slice(0, fault.at).split('\n');
      errors[name] = { error_message: fault.message, line: lines.length - 1, column: lines.at(-1)?.length ?? 0 };
    }
  }
  return { kind: 'table_validate_expr', body: { expression_schema: schema, errors, expression_alias: { ...column_to_expr } } };
}

const checkIn = ({ query, hosted, limits }: TableRequestContext, name: string, source: string): Promise<CheckedExpression> =>
  query((session) => checkExpression({ session, columns: hosted.table.columns, limits }, name, source));

/** The expressions of a configuration, checked. */
export async function checkedExpressions(context: TableRequestContext, config: WireViewConfig | null): Promise<CheckedExpression[]> {
  const checked: CheckedExpression[] = [];
  for (const [name, source] of Object.entries(config?.expressions ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    try {
      checked.push(await checkIn(context, name, source));
    } catch (fault) {
      if (fault instanceof ExpressionFault) throw new ViewFault(`the expression ${JSON.stringify(name)}: ${fault.message}`);
      throw fault;
    }
  }
  return checked;
}

export interface ViewRequestContext {
  readonly view: View;
  readonly query: Query;
  readonly hosted: HostedTable;
  readonly limits: Limits;
}

const textOptions = ({ limits }: ViewRequestContext, formatted: boolean | undefined): TextOptions => ({
  isFormatted: formatted === true,
  room: new TextRoom(limits.viewBytesMax),
});

/** Requests about a view that was made; which are answered one after the other. */
export const VIEW_REQUESTS: { readonly [Kind in RequestKind]?: (context: ViewRequestContext, body: Body<Kind>) => Promise<Answer> | Answer } = {
  view_schema: ({ view }) => ({ kind: 'view_schema', body: { schema: view.schema } }),
  view_expression_schema: ({ view }) => ({ kind: 'view_expression_schema', body: { schema: view.expressionSchema } }),
  view_get_config: ({ view }) => ({ kind: 'view_get_config', body: { config: view.config } }),
  view_dimensions: ({ view, hosted }) => ({
    kind: 'view_dimensions',
    body: {
      num_table_rows: hosted.rows,
      num_table_columns: hosted.table.columns.length,
      num_view_rows: view.rows,
      num_view_columns: view.columns,
    },
  }),
  view_column_paths: ({ view, limits }, { start_col, end_col }) => ({
    kind: 'view_column_paths',
    body: { paths: view.columnPaths(start_col ?? 0, end_col ?? view.columns, limits.viewBytesMax) },
  }),
  view_get_min_max: async ({ view, query }, { column_name }) => ({ kind: 'view_get_min_max', body: await view.extremes(query, column_name) }),
  view_expand: async ({ view }, { row_index }) => ({ kind: 'view_expand', body: { num_changed: await view.expand(row_index) } }),
  view_collapse: async ({ view }, { row_index }) => ({ kind: 'view_collapse', body: { num_changed: await view.collapse(row_index) } }),
  view_set_depth: async ({ view }, { depth }) => {
    await view.setDepth(depth);
    return { kind: 'view_set_depth', body: {} };
  },
  view_remove_on_update: () => ({ kind: 'view_remove_on_update', body: {} }),
  view_remove_delete: () => ({ kind: 'view_remove_delete', body: {} }),
  view_remove_on_remove: () => ({ kind: 'view_remove_on_remove', body: {} }),
  view_to_columns_string: async (context, { viewport, formatted }) => {
    const frame = await context.view.read(context.query, viewport);
    return { kind: 'view_to_columns_string', body: { json_string: columnsJson(frame, textOptions(context, formatted)) } };
  },
  view_to_rows_string: async (context, { viewport, formatted }) => {
    const frame = await context.view.read(context.query, viewport);
    return { kind: 'view_to_rows_string', body: { json_string: rowsJson(frame, textOptions(context, formatted)) } };
  },
  view_to_ndjson_string: async (context, { viewport, formatted }) => {
    const frame = await context.view.read(context.query, viewport);
    return { kind: 'view_to_ndjson_string', body: { ndjson_string: rowsNdjson(frame, textOptions(context, formatted)) } };
  },
  view_to_csv: async ({ view, query, limits }, { viewport }) => {
    const frame = await view.read(query, viewport);
    return { kind: 'view_to_csv', body: { csv: csvText(frame, view.groupNames(true), new TextRoom(limits.viewBytesMax)) } };
  },
  view_to_arrow: async ({ view, query, limits }, { viewport }) => {
    const frame = await view.read(query, viewport);
    const names = view.groupNames(viewport?.emit_legacy_row_path_names !== false);
    return { kind: 'view_to_arrow', body: { arrow: arrowBytes(frame, names, new TextRoom(limits.viewBytesMax)) } };
  },
};

/** Requests that are answered when something changes, which nothing ever does: the tables are read only. */
export const SUBSCRIPTIONS: readonly RequestKind[] = ['view_on_update', 'view_on_delete', 'view_on_remove', 'table_on_delete'];
