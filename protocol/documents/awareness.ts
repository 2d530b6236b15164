import * as z from 'zod/v4';
import { versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName, ref } from '../names.ts';
import { rowKey } from './annotation.ts';
import { author, entryId, label } from './fields.ts';
import { json, jsonOfAtMost } from './json.ts';

/** `user` is spelt as every editor binding for Yjs spells it, so that their cursors show the right name. */
const person = z.looseObject({
  subject: author.optional().describe('If given, the `sub` of the token'),
  name: label(defaultLimits.presenceNameCharsMax).optional(),
  color: z
    .string()
    .regex(/^#[0-9a-fA-F]{6}$/, 'must be "#" and six hexadecimal digits')
    .optional(),
});

/**
 * The awareness state of one client: who is here and what they look at. Fields that are not listed are let through within
 * the size, since other programs keep their own there; null leaves a field out.
 */
export const presence = z
  .looseObject({
    user: person.optional(),
    tableId: z.string().max(defaultLimits.presenceIdCharsMax).nullable().optional(),
    viewId: entryId.nullable().optional().describe('A saved view'),
    ref: ref.nullable().optional(),
    versionId: versionId.nullable().optional(),
    selection: z
      .looseObject({ row: z.int().min(0).optional(), rowKey: rowKey.optional(), column: columnName.optional() })
      .nullable()
      .optional(),
    viewConfig: json(defaultLimits.awarenessStateBytesMax).optional().describe('For those who follow: the view config that is shown'),
    editing: entryId.nullable().optional().describe('The annotation that is being written'),
  })
  .superRefine(jsonOfAtMost(defaultLimits.awarenessStateBytesMax));

export type Presence = z.output<typeof presence>;
