import * as z from 'zod/v4';
import { versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName } from '../names.ts';
import { record } from '../record.ts';
import { author, entryId, instant, prose } from './fields.ts';
import { jsonOfAtMost } from './json.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const rowKey = record(columnName, scalar)
  .refine((key) => Object.keys(key).length > 0, 'must name at least one column')
  .refine((key) => Object.keys(key).length <= defaultLimits.keyColumnsMax, `must name at most ${defaultLimits.keyColumnsMax} columns`)
  .describe('Values of the key columns; 64-bit integers beyond 2^53 and decimals as texts');

/** A cell of a pivoted view: the values of its row's groups, outermost first, and its column as the view names it. */
export const pivotCell = z.strictObject({
  rowPath: z.array(scalar.nullable()).max(defaultLimits.columnsMax),
  column: z.string().max(defaultLimits.anchorBytesMax),
});

/**
 * What an annotation is about. Nothing: the dataset. `versionId` narrows it to a version. `rowKey` is a row, in every version that has it
 * or in the one of `versionId`; `row` a position from 0 in a version, where rows have no key; `column` a column, or with a row
 * a cell; `viewId` a saved view, and `cell` one of its cells.
 */
export const anchor = z
  .strictObject({
    versionId: versionId.optional(),
    rowKey: rowKey.optional(),
    row: z.int().min(0).optional(),
    column: columnName.optional(),
    viewId: entryId.optional(),
    cell: pivotCell.optional(),
  })
  .refine(({ row, versionId }) => row === undefined || versionId !== undefined, { message: 'goes with versionId only', path: ['row'] })
  .refine(({ row, rowKey }) => row === undefined || rowKey === undefined, { message: 'does not go with rowKey', path: ['row'] })
  .refine(({ cell, viewId }) => cell === undefined || viewId !== undefined, { message: 'goes with viewId only', path: ['cell'] })
  .refine(({ viewId, row, rowKey, column }) => viewId === undefined || (row ?? rowKey ?? column) === undefined, {
    message: 'does not go with row, rowKey or column',
    path: ['viewId'],
  })
  .superRefine(jsonOfAtMost(defaultLimits.anchorBytesMax));

const body = prose(defaultLimits.annotationBodyCharsMax);

/** An element of `replies`: one plain object, which its author may replace by one with another body. */
export const reply = z.strictObject({
  id: entryId,
  author,
  body: body.min(1),
  at: instant,
  editedAt: instant.optional(),
});

/** An entry of `annotations`: a Y.Map whose `body` is a Y.Text without formatting and whose `replies` is a Y.Array of plain objects. */
export const annotation = z.strictObject({
  anchor,
  body,
  replies: z
    .array(reply)
    .max(defaultLimits.annotationRepliesMax)
    .refine((replies) => new Set(replies.map(({ id }) => id)).size === replies.length, 'must not have two replies of one id'),
  author,
  createdAt: instant,
  updatedAt: instant.optional(),
  resolved: z.strictObject({ by: author, at: instant }).nullable(),
});

export type Anchor = z.input<typeof anchor>;
export type Reply = z.output<typeof reply>;
export type Annotation = z.output<typeof annotation>;
