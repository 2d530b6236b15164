import type { ENGINE_CODES, ENUMS, REQUESTS } from './schema.ts';

/** The types of `schema.ts` as values in JavaScript. Scalars that are absent have their default, messages are null. */

export type PerspectiveType = keyof typeof ENUMS.ColumnType;
export type SortOp = keyof typeof ENUMS.SortOp;
export type GroupRollupMode = keyof typeof ENUMS.GroupRollupMode;
export type SplitRollupMode = keyof typeof ENUMS.SplitRollupMode;
export type StatusCode = keyof typeof ENUMS.StatusCode;
export type EngineCode = keyof typeof ENGINE_CODES;

/** At most one is present; none reads as null. */
export interface WireScalar {
  readonly bool?: boolean;
  readonly float?: number;
  readonly string?: string;
  readonly null?: 'null';
}

export interface WireFilter {
  readonly column: string;
  readonly op: string;
  readonly value: readonly WireScalar[];
}

export interface WireSort {
  readonly column: string;
  readonly op: SortOp;
}

export interface WireWindow {
  readonly source: string;
  readonly op: string;
  readonly partition_by: readonly string[];
  readonly order_by: { readonly column: string; readonly desc: boolean } | null;
  /** At most one of the three is present. */
  readonly rows?: number;
  readonly range?: number;
  readonly cumulative?: 'null';
  readonly offset?: number;
  readonly alpha?: number;
}

/** `columns` that is null, or has `default_columns`, stands for every column of the table. */
export interface WireViewConfig {
  readonly group_by: readonly string[];
  readonly split_by: readonly string[];
  readonly columns: { readonly default_columns?: 'null'; readonly columns?: { readonly columns: readonly string[] } } | null;
  readonly filter: readonly WireFilter[];
  readonly sort: readonly WireSort[];
  readonly expressions: Readonly<Record<string, string>>;
  readonly aggregates: Readonly<Record<string, { readonly aggregations: readonly string[] }>>;
  readonly filter_op: 'and' | 'or';
  readonly group_by_depth?: number;
  readonly group_rollup_mode?: GroupRollupMode;
  readonly windows: Readonly<Record<string, WireWindow>>;
  readonly split_rollup_mode?: SplitRollupMode;
}

export interface WireViewPort {
  readonly start_row?: number;
  readonly start_col?: number;
  readonly end_row?: number;
  readonly end_col?: number;
  readonly emit_legacy_row_path_names?: boolean;
}

export interface WireWindowRequest {
  readonly viewport: WireViewPort | null;
  readonly id?: boolean;
  readonly index?: boolean;
  readonly formatted?: boolean;
}

export type RequestKind = keyof typeof REQUESTS;
type Nothing = Readonly<Record<string, never>>;

/** Bodies that someone looks into; of the other kinds nothing is said but that they are objects. */
interface RequestBodies {
  readonly get_hosted_tables: { readonly subscribe: boolean };
  readonly table_make_view: { readonly view_id: string; readonly config: WireViewConfig | null };
  readonly table_validate_expr: { readonly column_to_expr: Readonly<Record<string, string>> };
  readonly view_column_paths: { readonly start_col?: number; readonly end_col?: number };
  readonly view_to_arrow: { readonly viewport: WireViewPort | null; readonly compression?: string };
  readonly view_collapse: { readonly row_index: number };
  readonly view_expand: { readonly row_index: number };
  readonly view_get_min_max: { readonly column_name: string };
  readonly view_on_update: { readonly mode?: 'row' };
  readonly view_remove_on_update: { readonly id: number };
  readonly view_set_depth: { readonly depth: number };
  readonly view_to_columns_string: WireWindowRequest;
  readonly view_to_rows_string: WireWindowRequest;
  readonly view_to_ndjson_string: WireWindowRequest;
  readonly view_to_csv: { readonly viewport: WireViewPort | null };
  readonly view_remove_delete: { readonly id: number };
  readonly table_remove_delete: { readonly id: number };
  readonly remove_hosted_tables_update: { readonly id: number };
  readonly view_remove_on_remove: { readonly id: number };
}

export type RequestBody<Kind extends RequestKind> = Kind extends keyof RequestBodies ? RequestBodies[Kind] : Readonly<Record<string, unknown>>;

/** Something asked of a table or view (`entityId`; empty where it is about the server). `msgId` returns in the answer. */
export type PerspectiveRequest = {
  [Kind in RequestKind]: { readonly msgId: number; readonly entityId: string; readonly kind: Kind; readonly body: RequestBody<Kind> };
}[RequestKind];

export interface WireFeatures {
  readonly group_by: boolean;
  readonly split_by: boolean;
  readonly expressions: boolean;
  readonly on_update: boolean;
  readonly sort: boolean;
  /** By the number of the type in `ENUMS.ColumnType`, as are the maps below. */
  readonly filter_ops: Readonly<Record<string, { readonly options: readonly string[] }>>;
  readonly aggregates: Readonly<
    Record<string, { readonly aggregates: readonly { readonly name: string; readonly args: readonly PerspectiveType[] }[] }>
  >;
  readonly group_rollup_mode: readonly GroupRollupMode[];
  readonly window_aggregates: Readonly<Record<string, { readonly options: readonly WireWindowAggregate[] }>>;
  readonly unordered: boolean;
  readonly split_rollup_mode: readonly SplitRollupMode[];
}

export interface WireWindowAggregate {
  readonly name: string;
  readonly frames: readonly string[];
  readonly offset: boolean;
  readonly alpha: boolean;
  readonly result_type?: PerspectiveType;
}

interface ResponseBodies {
  readonly get_features: WireFeatures;
  readonly get_hosted_tables: { readonly table_infos: readonly { readonly entity_id: string; readonly index?: string; readonly limit?: number }[] };
  readonly table_make_port: { readonly port_id: number };
  readonly table_make_view: { readonly view_id: string };
  readonly table_schema: { readonly schema: { readonly schema: readonly { readonly name: string; readonly type: PerspectiveType }[] } | null };
  readonly table_size: { readonly size: number };
  readonly table_validate_expr: {
    readonly expression_schema: Readonly<Record<string, PerspectiveType>>;
    readonly errors: Readonly<Record<string, { readonly error_message: string; readonly line: number; readonly column: number }>>;
    readonly expression_alias: Readonly<Record<string, string>>;
  };
  readonly view_column_paths: { readonly paths: readonly string[] };
  readonly view_dimensions: {
    readonly num_table_rows: number;
    readonly num_table_columns: number;
    readonly num_view_rows: number;
    readonly num_view_columns: number;
  };
  readonly view_expression_schema: { readonly schema: Readonly<Record<string, PerspectiveType>> };
  readonly view_get_config: { readonly config: WireViewConfig | null };
  readonly view_schema: { readonly schema: Readonly<Record<string, PerspectiveType>> };
  readonly view_to_arrow: { readonly arrow: Uint8Array };
  readonly server_system_info: { readonly heap_size: number; readonly used_size: number; readonly cpu_time: number; readonly cpu_time_epoch: number };
  readonly view_collapse: { readonly num_changed: number };
  readonly view_expand: { readonly num_changed: number };
  readonly view_get_min_max: { readonly min: WireScalar | null; readonly max: WireScalar | null };
  readonly view_on_update: { readonly delta?: Uint8Array; readonly port_id: number };
  readonly view_to_columns_string: { readonly json_string: string };
  readonly view_to_rows_string: { readonly json_string: string };
  readonly view_to_ndjson_string: { readonly ndjson_string: string };
  readonly view_to_csv: { readonly csv: string };
  readonly server_error: { readonly message: string; readonly status_code: StatusCode };
}

export type ResponseKind = RequestKind | 'server_error';
export type ResponseBody<Kind extends ResponseKind> = Kind extends keyof ResponseBodies ? ResponseBodies[Kind] : Nothing;

export type PerspectiveResponse = {
  [Kind in ResponseKind]: { readonly msgId: number; readonly entityId: string; readonly kind: Kind; readonly body: ResponseBody<Kind> };
}[ResponseKind];
