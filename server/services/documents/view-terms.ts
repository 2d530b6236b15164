/** What saved views have of words that are the same whatever the data are: those of Perspective, of its plugins, and types. */

export const AGGREGATE_NAMES: readonly string[] = [
  'sum',
  'sum not null',
  'sum abs',
  'abs sum',
  'gmv',
  'pct sum parent',
  'pct sum total',
  'mul',
  'count',
  'distinct count',
  'distinct leaf',
  'avg',
  'mean',
  'weighted mean',
  'median',
  'q1',
  'q3',
  'stddev',
  'var',
  'high',
  'max',
  'low',
  'min',
  'high minus low',
  'last minus first',
  'any',
  'or',
  'and',
  'first',
  'last',
  'last by index',
  'max by',
  'min by',
  'dominant',
  'unique',
  'join',
];

export const WINDOW_NAMES: readonly string[] = ['sum', 'avg', 'count', 'min', 'max', 'stddev', 'var', 'lag', 'lead', 'diff', 'rate', 'ema'];

export const FILTER_OPERATORS: readonly string[] = [
  '==',
  '!=',
  '>',
  '>=',
  '<',
  '<=',
  'begins with',
  'not begins with',
  'contains',
  'not contains',
  'ends with',
  'not ends with',
  'matches',
  'not matches',
  'in',
  'not in',
  'is null',
  'is not null',
];

export const PLUGIN_NAMES: readonly string[] = [
  'Datagrid',
  'X Bar',
  'Y Bar',
  'Y Line',
  'X/Y Line',
  'Y Area',
  'Y Scatter',
  'X/Y Scatter',
  'OHLC',
  'Candlestick',
  'Treemap',
  'Sunburst',
  'Heatmap',
];

const TABLE_TYPE = /^(?:string|integer|float|boolean|date|datetime)$/;
const SQL_TYPE =
  /^(?:VARCHAR|BOOLEAN|U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|DATE|TIME|INTERVAL|UUID|BLOB|TIMESTAMP(?:_S|_MS|_NS| WITH TIME ZONE)?)$/;

/** Whether it is the name of a type, of tables or of versions, that has no names in it. */
export const isPlainType = (type: string): boolean => TABLE_TYPE.test(type) || SQL_TYPE.test(type);
