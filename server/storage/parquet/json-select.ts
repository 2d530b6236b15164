import type { Column } from '../stores.ts';
import { identifier } from './quote.ts';

/** A SELECT whose columns DuckDB writes as JSON in the same way in which rows are answered: see `json-values.ts`. */
export function jsonSelect(sql: string, schema: readonly Column[]): string {
  const columns = schema.map(({ name, type }) => `${jsonValue(identifier(name), type)} AS ${identifier(name)}`);
  return `SELECT ${columns.join(', ')} FROM (${sql})`;
}

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** An expression for a value of a type. What JSON has no exact form for becomes a text. */
function jsonValue(value: string, type: string): string {
  if (type === 'BIGINT' || type === 'UBIGINT') {
    const isSafe = type === 'BIGINT' ? `${value} BETWEEN -${SAFE_MAX} AND ${SAFE_MAX}` : `${value} <= ${SAFE_MAX}`;
    return `CASE WHEN ${isSafe} THEN to_json(${value}) WHEN ${value} IS NOT NULL THEN to_json(CAST(${value} AS VARCHAR)) END`;
  }
  if (type.endsWith(']') && !type.endsWith('STRUCT[]')) return listValue(value, type);
  if (type.startsWith('DECIMAL') || type.endsWith('HUGEINT')) return `CAST(${value} AS VARCHAR)`;
  if (type === 'TIMESTAMP' || type === 'TIMESTAMP WITH TIME ZONE') return timeValue(value, type);
  if (type === 'BLOB') return `to_base64(${value})`;
  if (type === 'FLOAT' || type === 'DOUBLE') return floatValue(value);
  return value;
}

function listValue(value: string, type: string): string {
  const element = type.replace(/\[\d*\]$/, '');
  const converted = jsonValue('element', element);
  return converted === 'element' ? value : `list_transform(${value}, lambda element: ${converted})`;
}

/** ISO 8601 in UTC, with as many digits of the second as there are: none, three or six. */
function timeValue(value: string, type: string): string {
  const utc = type === 'TIMESTAMP' ? value : `timezone('UTC', ${value})`;
  const micros = `epoch_us(${value}) % 1000000`;
  const format = `CASE WHEN ${micros} = 0 THEN '%Y-%m-%dT%H:%M:%SZ' WHEN ${micros} % 1000 = 0 THEN '%Y-%m-%dT%H:%M:%S.%gZ' ELSE '%Y-%m-%dT%H:%M:%S.%fZ' END`;
  return `CASE WHEN isfinite(${value}) THEN strftime(${utc}, ${format}) ELSE CAST(${value} AS VARCHAR) END`;
}

/** Numbers that JSON does not have are texts, spelt as JavaScript spells them. */
function floatValue(value: string): string {
  const name = `CASE WHEN isnan(${value}) THEN 'NaN' WHEN ${value} > 0 THEN 'Infinity' ELSE '-Infinity' END`;
  return `CASE WHEN isfinite(${value}) THEN to_json(${value}) WHEN ${value} IS NOT NULL THEN to_json(${name}) END`;
}
