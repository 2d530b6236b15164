/** What a viewer wants to know of a plugin before it draws anything with it. */
export interface PluginConfig {
  readonly name: string;
  readonly category: string;
  readonly select_mode: string;
  readonly min_config_columns: number;
  readonly config_column_names: readonly string[];
  readonly max_cells: number;
  readonly max_columns: number;
  readonly group_rollup_modes: readonly string[];
}

type Kind = Pick<PluginConfig, 'name' | 'category' | 'max_cells'> & Partial<PluginConfig>;

/** Places for columns in a chart of prices, and in one whose areas mean something. */
const PRICES = ['Open', 'Close', 'High', 'Low', 'Tooltip'];
const AREAS = ['Size', 'Color', 'Tooltip'];

const KINDS: readonly Kind[] = [
  { name: 'X Bar', category: 'X Chart', config_column_names: ['X Axis'], max_cells: 1_000 },
  { name: 'Y Bar', category: 'Y Chart', max_cells: 1_000 },
  { name: 'Y Line', category: 'Y Chart', max_cells: 4_000 },
  {
    name: 'X/Y Line',
    category: 'X/Y Chart',
    select_mode: 'toggle',
    min_config_columns: 2,
    config_column_names: ['X Axis', 'Y Axis', 'Tooltip'],
    max_cells: 50_000,
  },
  { name: 'Y Area', category: 'Y Chart', max_cells: 4_000 },
  { name: 'Y Scatter', category: 'Y Chart', max_cells: 4_000 },
  {
    name: 'X/Y Scatter',
    category: 'X/Y Chart',
    select_mode: 'toggle',
    min_config_columns: 2,
    config_column_names: ['X Axis', 'Y Axis', 'Color', 'Size', 'Symbol', 'Label', 'Tooltip'],
    max_cells: 50_000,
  },
  { name: 'OHLC', category: 'Y Chart', select_mode: 'toggle', config_column_names: PRICES, max_cells: 3_500 },
  { name: 'Candlestick', category: 'Y Chart', select_mode: 'toggle', config_column_names: PRICES, max_cells: 4_000 },
  { name: 'Treemap', category: 'Hierarchial Chart', config_column_names: AREAS, max_cells: 3_000, group_rollup_modes: ['rollup', 'flat'] },
  { name: 'Sunburst', category: 'Hierarchial Chart', config_column_names: AREAS, max_cells: 7_500, group_rollup_modes: ['rollup', 'flat'] },
  { name: 'Heatmap', category: 'Hierarchial Chart', config_column_names: ['Color'], max_cells: 50_000, max_columns: 500 },
];

/** The charts of the package as it says itself, category and all, in its order; what most of them have in common is filled in. */
export const CHART_KINDS: readonly PluginConfig[] = KINDS.map((kind) => ({
  select_mode: 'select',
  min_config_columns: 1,
  config_column_names: ['Y Axis'],
  max_columns: 50,
  group_rollup_modes: ['flat', 'rollup'],
  ...kind,
}));

export const CHART_PREFIX = 'perspective-viewer-d3fc-';

/** The element that the package calls so. */
export const tagOfChart = (name: string): string => CHART_PREFIX + name.toLowerCase().replaceAll(/[ /]/g, '');
