import type { RequestKind } from '../../shared/perspective/types.ts';

/**
 * What the guard does with a request. `answer`: knows the answer itself; `view`, `expressions`: checks it and passes it on;
 * `forward`: passes it on; `resize`: too, and the size of the view changes; `window`: passes it on within the view, if it is not too large;
 * `drop`: ends the view; `listen`, `unlisten`: a callback, which the guard keeps.
 */
export type Way = 'answer' | 'view' | 'expressions' | 'forward' | 'resize' | 'window' | 'drop' | 'listen' | 'unlisten';

interface Rule {
  /** What the request must be about: nothing, the session's own table, or a view that it made. */
  readonly about: 'server' | 'table' | 'view';
  readonly way: Way;
}

/** Everything that a session may ask. What is not listed is refused, as is what a later version of the protocol adds. */
export const ALLOWED: ReadonlyMap<RequestKind, Rule> = new Map<RequestKind, Rule>([
  ['get_features', { about: 'server', way: 'answer' }],
  ['get_hosted_tables', { about: 'server', way: 'answer' }],
  ['server_system_info', { about: 'server', way: 'answer' }],
  ['remove_hosted_tables_update', { about: 'server', way: 'unlisten' }],
  ['table_schema', { about: 'table', way: 'answer' }],
  ['table_size', { about: 'table', way: 'answer' }],
  // A viewer asks for a port before it draws anything; nothing can be sent through it, since updates are refused.
  ['table_make_port', { about: 'table', way: 'answer' }],
  ['table_make_view', { about: 'table', way: 'view' }],
  ['table_validate_expr', { about: 'table', way: 'expressions' }],
  ['table_on_delete', { about: 'table', way: 'listen' }],
  ['table_remove_delete', { about: 'table', way: 'unlisten' }],
  ['view_column_paths', { about: 'view', way: 'window' }],
  ['view_dimensions', { about: 'view', way: 'forward' }],
  ['view_expression_schema', { about: 'view', way: 'forward' }],
  ['view_get_config', { about: 'view', way: 'forward' }],
  ['view_get_min_max', { about: 'view', way: 'forward' }],
  ['view_schema', { about: 'view', way: 'forward' }],
  ['view_collapse', { about: 'view', way: 'resize' }],
  ['view_expand', { about: 'view', way: 'resize' }],
  ['view_set_depth', { about: 'view', way: 'resize' }],
  ['view_to_arrow', { about: 'view', way: 'window' }],
  ['view_to_columns_string', { about: 'view', way: 'window' }],
  ['view_to_csv', { about: 'view', way: 'window' }],
  ['view_to_ndjson_string', { about: 'view', way: 'window' }],
  ['view_to_rows_string', { about: 'view', way: 'window' }],
  ['view_delete', { about: 'view', way: 'drop' }],
  ['view_on_delete', { about: 'view', way: 'listen' }],
  ['view_on_remove', { about: 'view', way: 'listen' }],
  ['view_on_update', { about: 'view', way: 'listen' }],
  ['view_remove_delete', { about: 'view', way: 'unlisten' }],
  ['view_remove_on_remove', { about: 'view', way: 'unlisten' }],
  ['view_remove_on_update', { about: 'view', way: 'unlisten' }],
]);
