import type { SavedViewConfig } from '../../../protocol/documents/index.ts';
import type { OpenedTable } from './open-table.ts';
import type { ViewerConfig } from './viewer.ts';

/** What is drawn, apart from where its rows come from. */
export interface Drawing {
  readonly config: SavedViewConfig;
  /** The language of its expressions; absent: that of the table it is drawn on. */
  readonly dialect?: OpenedTable['dialect'] | undefined;
  readonly plugin: string;
  readonly pluginConfig?: unknown;
  readonly columnsConfig?: unknown;
  /** What it is called, such as the name of a saved view. */
  readonly title?: string | undefined;
  /** The columns that it was made on, by type, where they are known. */
  readonly columnTypes?: Readonly<Record<string, string>> | undefined;
}

/** Whether a drawing has columns in SQL, which only some engines read; who reads SQL reads the other language as well. */
export const isSql = (drawing: Drawing | undefined): boolean =>
  drawing?.dialect === 'sql' && Object.keys(drawing.config.expressions ?? {}).length > 0;

export const reads = ({ dialect }: OpenedTable, drawing: Drawing | undefined): boolean => dialect === 'sql' || !isSql(drawing);

/** What a drawing that does not say otherwise has nothing of. */
export const EMPTY: SavedViewConfig = { group_by: [], split_by: [], filter: [], sort: [], expressions: {}, aggregates: {} };

export const plainGrid = ({ schema }: OpenedTable): Drawing => ({ config: { columns: schema.map(({ name }) => name) }, plugin: 'Datagrid' });

const VIEW_FIELDS = [
  'columns',
  'group_by',
  'split_by',
  'filter',
  'filter_op',
  'sort',
  'aggregates',
  'expressions',
  'windows',
  'group_by_depth',
  'group_rollup_mode',
] as const;

export function drawingOf(saved: ViewerConfig, table: OpenedTable | undefined): Drawing {
  const config = Object.fromEntries(
    VIEW_FIELDS.flatMap((field) => (saved[field] === undefined || saved[field] === null ? [] : [[field, saved[field]]])),
  );
  return {
    config,
    dialect: table?.dialect,
    plugin: saved.plugin ?? 'Datagrid',
    pluginConfig: saved.plugin_config,
    columnsConfig: saved.columns_config,
  };
}
