import type { Operation } from '../../protocol/define.ts';
import { type JsonSchema, jsonSchemaOf } from '../../protocol/json-schema.ts';

const fieldsOf = new WeakMap<Operation, Readonly<Record<string, JsonSchema>>>();

/** The fields of an operation's input, as JSON Schema. */
export function inputFields(operation: Operation): Readonly<Record<string, JsonSchema>> {
  const known = fieldsOf.get(operation);
  if (known !== undefined) return known;
  const fields = jsonSchemaOf(operation.input, 'input').properties ?? {};
  fieldsOf.set(operation, fields);
  return fields;
}

/**
 * What the texts of a query or path parameter mean for a field: numbers, `true` and `false`, `null` where the field may be
 * null, lists repeated or separated by commas. What fits no type stays a text (or a list of them), for validation to refuse.
 */
export function coerce(schema: JsonSchema | undefined, texts: readonly string[]): unknown {
  if (schema === undefined) return texts.length === 1 ? texts[0] : texts;
  const { type, items, nullable } = unwrap(schema);
  if (nullable && texts.length === 1 && texts[0] === 'null') return null;
  if (type === 'array') return split(texts).map((text) => scalar(items === undefined ? undefined : unwrap(items).type, text));
  return texts.length === 1 ? scalar(type, texts[0] as string) : texts;
}

/** A single empty text is the empty list. */
function split(texts: readonly string[]): string[] {
  if (texts.length > 1) return [...texts];
  const [text] = texts;
  return text === undefined || text === '' ? [] : text.split(',');
}

function scalar(type: string | undefined, text: string): unknown {
  if ((type === 'integer' || type === 'number') && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function unwrap(schema: JsonSchema): { type: string | undefined; items: JsonSchema | undefined; nullable: boolean } {
  const choices = schema.anyOf ?? [schema];
  const main = choices.find(({ type }) => type !== 'null') ?? schema;
  return { type: main.type, items: main.items, nullable: choices.some(({ type }) => type === 'null') };
}
