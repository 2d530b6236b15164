/**
 * The messages of Perspective's protocol, version 5.5.1 (protocol buffers over a message transport): field names and numbers
 * as perspective.proto defines them, and of the two messages that came after it was last published, as its client sends them.
 * Only what is listed here can be decoded; anything else is refused, so that what a later version adds is refused too.
 */
export interface FieldShape {
  readonly id: number;
  /** A scalar type of protocol buffers, or a message or enumeration of this schema. */
  readonly type: string;
  readonly repeated?: true;
  /** Of a map: the type of its keys. */
  readonly keyType?: string;
  /** Whether the absence of the value means something else than its default. */
  readonly optional?: true;
}

export interface MessageShape {
  readonly fields: Readonly<Record<string, FieldShape>>;
  /** Groups of fields of which at most one is present, by name. */
  readonly oneofs?: Readonly<Record<string, readonly string[]>>;
}

const one = (type: string, id: number): FieldShape => ({ type, id });
const maybe = (type: string, id: number): FieldShape => ({ type, id, optional: true });
const many = (type: string, id: number): FieldShape => ({ type, id, repeated: true });
const map = (type: string, id: number, keyType = 'string'): FieldShape => ({ type, id, keyType });
const message = (fields: MessageShape['fields'], oneofs?: MessageShape['oneofs']): MessageShape => (oneofs ? { fields, oneofs } : { fields });
const either = (name: string, fields: MessageShape['fields']): MessageShape => message(fields, { [name]: Object.keys(fields) });

/** Codes of `errors.ts` that an engine tells the guard. They are no part of the protocol, so that no session gets them. */
export const ENGINE_CODES = { payload_too_large: 1000, memory_limit: 1001, rate_limited: 1002, timeout: 1003, storage_full: 1004 } as const;

export const isEngineCode = (code: string): code is keyof typeof ENGINE_CODES => Object.hasOwn(ENGINE_CODES, code);

/** Names of enumerations are those that configurations have in JSON. */
export const ENUMS = {
  StatusCode: { server_error: 0, view_not_found: 1, transport_error: 2, ...ENGINE_CODES },
  NullValue: { null: 0 },
  ColumnType: { string: 0, date: 1, datetime: 2, integer: 3, float: 4, boolean: 5 },
  SortOp: { none: 0, asc: 1, desc: 2, 'col asc': 3, 'col desc': 4, 'asc abs': 5, 'desc abs': 6, 'col asc abs': 7, 'col desc abs': 8 },
  GroupRollupMode: { rollup: 0, flat: 1, total: 2 },
  SplitRollupMode: { flat: 0, rollup: 1 },
  FilterReducer: { and: 0, or: 1 },
  UpdateMode: { row: 0 },
  ListFlatten: { zip: 0, cartesian: 1, stringify: 2 },
  JoinType: { inner: 0, left: 1, outer: 2 },
} as const;

/** What can be asked, with the number of its field in Request and of its answer in Response. */
export const REQUESTS = {
  get_features: 3,
  get_hosted_tables: 4,
  table_make_port: 5,
  table_make_view: 6,
  table_schema: 7,
  table_size: 8,
  table_validate_expr: 9,
  view_column_paths: 10,
  view_delete: 11,
  view_dimensions: 12,
  view_expression_schema: 13,
  view_get_config: 14,
  view_schema: 15,
  view_to_arrow: 16,
  server_system_info: 17,
  view_collapse: 18,
  view_expand: 19,
  view_get_min_max: 20,
  view_on_update: 21,
  view_remove_on_update: 22,
  view_set_depth: 23,
  view_to_columns_string: 24,
  view_to_csv: 25,
  view_to_rows_string: 26,
  make_table: 27,
  table_delete: 28,
  table_on_delete: 29,
  table_remove_delete: 30,
  table_remove: 31,
  table_replace: 32,
  table_update: 33,
  view_on_delete: 34,
  view_remove_delete: 35,
  view_to_ndjson_string: 36,
  remove_hosted_tables_update: 37,
  make_join_table: 38,
  view_on_remove: 39,
  view_remove_on_remove: 40,
} as const;

const SERVER_ERROR = 50;

const window = {
  viewport: one('ViewPort', 1),
  id: maybe('bool', 2),
  index: maybe('bool', 3),
  formatted: maybe('bool', 4),
};

const shared: Record<string, MessageShape> = {
  ServerError: message({ message: one('string', 1), status_code: one('StatusCode', 2) }),
  SchemaField: message({ name: one('string', 1), type: one('ColumnType', 2) }),
  Schema: message({ schema: many('SchemaField', 1) }),
  MakeTableData: either('data', {
    from_schema: one('Schema', 1),
    from_csv: one('string', 2),
    from_arrow: one('bytes', 3),
    from_rows: one('string', 4),
    from_cols: one('string', 5),
    from_view: one('string', 6),
    from_ndjson: one('string', 7),
  }),
  Scalar: either('scalar', { bool: one('bool', 1), float: one('double', 4), string: one('string', 6), null: one('NullValue', 7) }),
  ViewPort: message({
    start_row: maybe('uint32', 1),
    start_col: maybe('uint32', 2),
    end_row: maybe('uint32', 3),
    end_col: maybe('uint32', 4),
    emit_legacy_row_path_names: maybe('bool', 5),
  }),
  WindowAggregate: message({
    name: one('string', 1),
    frames: many('string', 2),
    offset: one('bool', 3),
    alpha: one('bool', 4),
    result_type: maybe('ColumnType', 5),
  }),
  WindowAggregates: message({ options: many('WindowAggregate', 1) }),
  FilterOperators: message({ options: many('string', 1) }),
  Aggregate: message({ name: one('string', 1), args: many('ColumnType', 2) }),
  Aggregates: message({ aggregates: many('Aggregate', 1) }),
  HostedTable: message({ entity_id: one('string', 1), index: maybe('string', 2), limit: maybe('uint32', 3) }),
  ExpressionError: message({ error_message: one('string', 1), line: one('uint32', 2), column: one('uint32', 3) }),
  TableOptions: message(
    { make_index_table: one('string', 1), make_limit_table: one('uint32', 2), page_to_disk: maybe('bool', 3), list_flatten: maybe('ListFlatten', 4) },
    { make_table_type: ['make_index_table', 'make_limit_table'] },
  ),
  WindowOrder: message({ column: one('string', 1), desc: one('bool', 2) }),
  WindowSpec: message(
    {
      source: one('string', 2),
      op: one('string', 3),
      partition_by: many('string', 4),
      order_by: one('WindowOrder', 5),
      rows: one('uint32', 6),
      range: one('double', 7),
      cumulative: one('NullValue', 8),
      offset: maybe('uint32', 9),
      alpha: maybe('double', 10),
    },
    { frame: ['rows', 'range', 'cumulative'] },
  ),
  AggregateList: message({ aggregations: many('string', 1) }),
  Sort: message({ column: one('string', 1), op: one('SortOp', 2) }),
  Filter: message({ column: one('string', 1), op: one('string', 2), value: many('Scalar', 3) }),
  Columns: message({ columns: many('string', 1) }),
  ColumnsUpdate: either('opt_columns', { default_columns: one('NullValue', 1), columns: one('Columns', 2) }),
  ViewConfig: message({
    group_by: many('string', 1),
    split_by: many('string', 2),
    columns: one('ColumnsUpdate', 3),
    filter: many('Filter', 4),
    sort: many('Sort', 5),
    expressions: map('string', 6),
    aggregates: map('AggregateList', 7),
    filter_op: one('FilterReducer', 8),
    group_by_depth: maybe('uint32', 9),
    group_rollup_mode: maybe('GroupRollupMode', 10),
    windows: map('WindowSpec', 11),
    split_rollup_mode: maybe('SplitRollupMode', 12),
  }),
};

/** Bodies of requests; those that are not listed have no fields. */
const requestBodies: Readonly<Record<string, MessageShape['fields']>> = {
  get_hosted_tables: { subscribe: one('bool', 1) },
  table_make_view: { view_id: one('string', 1), config: one('ViewConfig', 2) },
  table_validate_expr: { column_to_expr: map('string', 1) },
  view_column_paths: { start_col: maybe('uint32', 1), end_col: maybe('uint32', 2) },
  view_to_arrow: { viewport: one('ViewPort', 1), compression: maybe('string', 2) },
  view_collapse: { row_index: one('uint32', 1) },
  view_expand: { row_index: one('uint32', 1) },
  view_get_min_max: { column_name: one('string', 1) },
  view_on_update: { mode: maybe('UpdateMode', 1) },
  view_remove_on_update: { id: one('uint32', 1) },
  view_set_depth: { depth: one('uint32', 1) },
  view_to_columns_string: window,
  view_to_rows_string: window,
  view_to_ndjson_string: window,
  view_to_csv: { viewport: one('ViewPort', 1) },
  make_table: { data: one('MakeTableData', 1), options: maybe('TableOptions', 2) },
  make_join_table: {
    left_table_id: one('string', 1),
    right_table_id: one('string', 2),
    on_column: one('string', 3),
    join_type: one('JoinType', 4),
    right_on_column: one('string', 5),
  },
  table_delete: { is_immediate: one('bool', 1) },
  table_remove_delete: { id: one('uint32', 1) },
  table_remove: { data: one('MakeTableData', 1) },
  table_replace: { data: one('MakeTableData', 1) },
  table_update: { data: one('MakeTableData', 1), port_id: one('uint32', 2) },
  view_remove_delete: { id: one('uint32', 1) },
  remove_hosted_tables_update: { id: one('uint32', 1) },
  view_remove_on_remove: { id: one('uint32', 1) },
};

/** Bodies of responses; those that are not listed have no fields. */
const responseBodies: Readonly<Record<string, MessageShape['fields']>> = {
  get_features: {
    group_by: one('bool', 1),
    split_by: one('bool', 2),
    expressions: one('bool', 3),
    on_update: one('bool', 4),
    sort: one('bool', 5),
    filter_ops: map('FilterOperators', 6, 'uint32'),
    aggregates: map('Aggregates', 7, 'uint32'),
    group_rollup_mode: many('GroupRollupMode', 8),
    window_aggregates: map('WindowAggregates', 9, 'uint32'),
    unordered: one('bool', 10),
    split_rollup_mode: many('SplitRollupMode', 11),
  },
  get_hosted_tables: { table_infos: many('HostedTable', 1) },
  table_make_port: { port_id: one('uint32', 1) },
  table_make_view: { view_id: one('string', 1) },
  table_schema: { schema: one('Schema', 1) },
  table_size: { size: one('uint32', 2) },
  table_validate_expr: { expression_schema: map('ColumnType', 1), errors: map('ExpressionError', 2), expression_alias: map('string', 3) },
  view_column_paths: { paths: many('string', 1) },
  view_dimensions: {
    num_table_rows: one('uint32', 1),
    num_table_columns: one('uint32', 2),
    num_view_rows: one('uint32', 3),
    num_view_columns: one('uint32', 4),
  },
  view_expression_schema: { schema: map('ColumnType', 1) },
  view_get_config: { config: one('ViewConfig', 1) },
  view_schema: { schema: map('ColumnType', 1) },
  view_to_arrow: { arrow: one('bytes', 1) },
  server_system_info: { heap_size: one('uint64', 1), used_size: one('uint64', 2), cpu_time: one('uint32', 3), cpu_time_epoch: one('uint32', 4) },
  view_collapse: { num_changed: one('uint32', 1) },
  view_expand: { num_changed: one('uint32', 1) },
  view_get_min_max: { min: one('Scalar', 1), max: one('Scalar', 2) },
  view_on_update: { delta: maybe('bytes', 1), port_id: one('uint32', 2) },
  view_to_columns_string: { json_string: one('string', 1) },
  view_to_rows_string: { json_string: one('string', 1) },
  view_to_ndjson_string: { ndjson_string: one('string', 1) },
  view_to_csv: { csv: one('string', 1) },
};

const named = (direction: 'Req' | 'Resp', bodies: Readonly<Record<string, MessageShape['fields']>>): [string, MessageShape][] =>
  Object.keys(REQUESTS).map((kind) => [`${kind}_${direction}`, message(bodies[kind] ?? {})]);

const envelope = (direction: 'Req' | 'Resp', more: MessageShape['fields']): MessageShape => {
  const bodies = Object.entries(REQUESTS).map(([kind, id]) => [kind, one(`${kind}_${direction}`, id)] as const);
  const body = { ...Object.fromEntries(bodies), ...more };
  return message({ msg_id: one('uint32', 1), entity_id: one('string', 2), ...body }, { body: Object.keys(body) });
};

export const MESSAGES: Readonly<Record<string, MessageShape>> = {
  ...shared,
  ...Object.fromEntries(named('Req', requestBodies)),
  ...Object.fromEntries(named('Resp', responseBodies)),
  Request: envelope('Req', {}),
  Response: envelope('Resp', { server_error: one('ServerError', SERVER_ERROR) }),
};
