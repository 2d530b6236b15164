import * as z from 'zod/v4';
import { defaultLimits } from '../limits.ts';

/** Fields that several kinds of entries share. */

/** As a field of an object it would be no field. */
export const isFieldName = (name: string): boolean => name !== '__proto__';

export const entryId = z
  .string()
  .regex(new RegExp(`^[A-Za-z0-9_-]{1,${defaultLimits.documentEntryIdCharsMax}}$`), 'must be letters, digits, "-" and "_" only')
  .max(defaultLimits.documentEntryIdCharsMax)
  .refine(isFieldName, 'must not be "__proto__"')
  .describe('Chosen by whoever makes the entry, unique in its map');

export const author = z.string().min(1).max(defaultLimits.subjectCharsMax).describe('`sub` of the token');

/** Fixed form and width, so that entries sort by it as text. */
export const instant = z.iso.datetime({ precision: 3 }).describe('ISO 8601, UTC, in milliseconds');

/** A text of one line that people read. */
export const label = (charsMax: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(charsMax)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not contain control characters');

/** A text of several lines that people read. */
export const prose = (charsMax: number): z.ZodString =>
  z
    .string()
    .max(charsMax)
    .regex(/^(?:[^\p{Cc}\p{Cs}]|[\n\r\t])*$/u, 'must not contain control characters');
