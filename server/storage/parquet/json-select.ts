import type { Column } from '../stores.ts';
import { identifier, literal } from './quote.ts';
import { parseType, type TypeTree } from './type-tree.ts';

/** A SELECT whose columns DuckDB writes as JSON in the same way in which rows are answered: see `json-values.ts`. */
export function jsonSelect(sql: string, schema: readonly Column[]): string {
  const columns = schema.map(({ name, type }) => `${jsonValue(identifier(name), parseType(type))} AS ${identifier(name)}`);
  return `SELECT ${columns.join(', ')} FROM (${sql})`;
}

/** An expression for a value of a type; the value itself where DuckDB's own JSON says the same. */
export function jsonValue(value: string, type: TypeTree, depth = 0): string {
  switch (type.kind) {
    case 'plain':
      return plainValue(value, type.name);
    case 'list': {
      const element = `e${depth}`;
      const converted = jsonValue(element, type.item, depth + 1);
      return converted === element ? value : `list_transform(${value}, lambda ${element}: ${converted})`;
    }
    case 'struct': {
      const fields = type.fields.map(({ name, type: fieldType }) => {
        const field = `struct_extract(${value}, ${literal(name)})`;
        return { field, converted: jsonValue(field, fieldType, depth), name };
      });
      if (fields.every(({ field, converted }) => field === converted)) return value;
      return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${fields.map(({ name, converted }) => `${identifier(name)} := ${converted}`).join(', ')}) END`;
    }
    case 'map':
      return mapValue(value, type, depth);
  }
}

/** A map whose keys are texts is an object, any other a list of entries. */
function mapValue(value: string, type: TypeTree & { kind: 'map' }, depth: number): string {
  const entry = `e${depth}`;
  const part = (name: 'key' | 'value'): string => jsonValue(`${entry}.${name}`, type[name], depth + 1);
  if (type.key.kind !== 'plain' || type.key.name !== 'VARCHAR') {
    return `list_transform(map_entries(${value}), lambda ${entry}: struct_pack("key" := ${part('key')}, "value" := ${part('value')}))`;
  }
  const converted = part('value');
  if (converted === `${entry}.value`) return value;
  return `map(map_keys(${value}), list_transform(map_entries(${value}), lambda ${entry}: ${converted}))`;
}

const SAFE_MAX = Number.MAX_SAFE_INTEGER;

/** What JSON has no exact form for becomes a text. */
function plainValue(value: string, type: string): string {
  if (type === 'BIGINT' || type === 'UBIGINT') {
    const isSafe = type === 'BIGINT' ? `${value} BETWEEN -${SAFE_MAX} AND ${SAFE_MAX}` : `${value} <= ${SAFE_MAX}`;
    return `CASE WHEN ${isSafe} THEN to_json(${value}) WHEN ${value} IS NOT NULL THEN to_json(CAST(${value} AS VARCHAR)) END`;
  }
  if (type.startsWith('DECIMAL')) return `CAST(${value} AS VARCHAR)`;
  if (type === 'BLOB') return `to_base64(${value})`;
  if (type === 'FLOAT' || type === 'DOUBLE') return floatValue(value);
  return timeValue(value, type) ?? value;
}

/** ISO 8601 in UTC, with as many digits of the second as there are; what a JavaScript date cannot hold is as the engine writes it. */
function timeValue(value: string, type: string): string | undefined {
  const utc = type === 'TIMESTAMP WITH TIME ZONE' ? `timezone('UTC', ${value})` : value;
  const format = (pattern: string): string => isoText(utc, `-%m-%dT%H:%M:%S${pattern}`);
  const orElse = (text: string): string =>
    `CASE WHEN year(${value}) BETWEEN -271820 AND 275759 THEN ${text} WHEN ${value} IS NOT NULL THEN CAST(${value} AS VARCHAR) END`;
  if (type === 'DATE') return orElse(isoText(value, '-%m-%d'));
  if (type === 'TIMESTAMP' || type === 'TIMESTAMP WITH TIME ZONE') {
    const micros = `epoch_us(${value}) % 1000000`;
    return orElse(`CASE WHEN ${micros} = 0 THEN ${format('Z')} WHEN ${micros} % 1000 = 0 THEN ${format('.%gZ')} ELSE ${format('.%fZ')} END`);
  }
  if (type !== 'TIMESTAMP_NS') return undefined;
  // The engine's own format for nanoseconds writes beyond them.
  const nanos = `((epoch_ns(${value}) % 1000000000) + 1000000000) % 1000000000`;
  return orElse(`${format('')} || CASE WHEN ${nanos} = 0 THEN 'Z' ELSE '.' || lpad(CAST(${nanos} AS VARCHAR), 9, '0') || 'Z' END`);
}

/** A time by a format that begins after the year, which has a sign and six digits where it is not one of four. */
function isoText(time: string, rest: string): string {
  return `CASE WHEN year(${time}) BETWEEN 0 AND 9999 THEN strftime(${time}, '%Y${rest}') ELSE printf('%+07d', year(${time})) || strftime(${time}, '${rest}') END`;
}

/** Numbers that JSON does not have are texts, spelt as JavaScript spells them. */
function floatValue(value: string): string {
  const name = `CASE WHEN isnan(${value}) THEN 'NaN' WHEN ${value} > 0 THEN 'Infinity' ELSE '-Infinity' END`;
  return `CASE WHEN isfinite(${value}) THEN to_json(${value}) WHEN ${value} IS NOT NULL THEN to_json(${name}) END`;
}
