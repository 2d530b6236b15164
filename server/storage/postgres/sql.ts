import { createSqlTag, type QuerySqlToken, type ValueExpression } from 'slonik';
import { z } from 'zod';

/** The types of rows are declared, not checked at run time: the schema is ours, and a check would cost more than the query. */
const declared = z.any();

export const tag = createSqlTag();

/** A query whose rows have the type `Row`. */
export function sql<Row extends object>(
  template: TemplateStringsArray,
  ...values: ValueExpression[]
): QuerySqlToken<z.ZodType<Row, z.ZodTypeDef, Row>> {
  return tag.type(declared as z.ZodType<Row, z.ZodTypeDef, Row>)(template, ...values);
}

/** A part of a query. */
export const fragment = tag.fragment;

/** PostgreSQL has neither NUL nor half surrogate pairs in texts; uploaded data can have both. */
const UNSTORABLE = /\\u0000|\\ud[89a-f]/i;

/** A value as JSON for a parameter that is cast to json or jsonb. */
export function json(value: unknown): string {
  const text = JSON.stringify(value);
  if (!UNSTORABLE.test(text)) return text;
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? part.toWellFormed().replaceAll('\0', '\uFFFD') : part));
}

/** An array parameter; null stays null. */
export function array(values: readonly (string | number)[] | null, type: 'text' | 'int4' | 'int8'): ValueExpression {
  return values === null ? null : tag.array(values, type);
}

/** Steps back as the database takes them: no chain is as long as its largest integer, and what lies beyond is past the root. */
export function boundedSteps(steps: number): number {
  return Math.min(steps, 2_147_483_647);
}

/** A bytea parameter, without copying. */
export function binary(bytes: Uint8Array): ValueExpression {
  return tag.binary(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}
