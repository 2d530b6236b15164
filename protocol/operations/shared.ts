import * as z from 'zod/v4';
import { versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName, plainText } from '../names.ts';
import { record } from '../record.ts';

/** Shapes that several resources share. */

export const instant = z.iso.datetime({ offset: true }).describe('ISO 8601 time; answers are in UTC');

export const key = z
  .array(columnName)
  .min(1)
  .max(defaultLimits.keyColumnsMax)
  .refine((columns) => new Set(columns).size === columns.length, 'must not name a column twice')
  .describe('Key columns, in order');

export const message = plainText(defaultLimits.messageCharsMax).describe('Commit message');

export const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
  .describe('SHA-256 of the bytes');

export const cursor = z.string().max(100_000).describe('The `next` of the page before');
export const pageLimit = z.int().min(1).max(defaultLimits.pageItemsMax).default(defaultLimits.pageItemsDefault);
export const pageInput = { limit: pageLimit, cursor: cursor.optional() };
export const page = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item), next: cursor.optional() });

export const expectedHead = versionId.nullable().describe('The head that the branch must have; null: the branch must not exist');

export const column = z.object({
  columnId: z.int().describe('Stable through renames within a dataset'),
  name: z.string(),
  type: z.string().describe('DuckDB SQL type, such as BIGINT, VARCHAR or TIMESTAMP'),
  nullable: z.boolean(),
});
export const schema = z.array(column);

/** A row: 64-bit integers beyond 2^53 and decimals are strings, times ISO 8601 UTC, binary base64. */
export const row = record(z.string(), z.unknown());

export const FORMATS = ['csv', 'tsv', 'json', 'ndjson', 'parquet', 'arrow'] as const;
export const fileFormat = z.enum(FORMATS);
export const bytes: z.ZodType<Uint8Array> = z.instanceof(Uint8Array);
export const empty = z.object({});
