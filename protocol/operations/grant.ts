import * as z from 'zod/v4';
import { operation, PERMISSIONS } from '../define.ts';
import { datasetId, grantId, principal } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { columnName, plainText } from '../names.ts';
import { empty, instant, page, pageInput } from './shared.ts';

export const grant = z.object({
  grantId,
  datasetId,
  principal,
  permission: z.enum(PERMISSIONS),
  validFrom: instant.nullable(),
  validUntil: instant.nullable(),
  rowFilter: z.string().nullable().describe('The rows it shows, as its author wrote it; null: all'),
  columnMask: z.array(z.string()).nullable().describe('The columns it hides, beside those that came after it; null: none'),
  grantedBy: z.string(),
  grantedAt: instant,
});

const rowFilter = plainText(defaultLimits.filterCharsMax)
  .min(1)
  .describe('SQL condition over the columns of main; {{claim}} stands for the value of a claim of the reader’s token');
const columnMask = z.array(columnName).min(1).max(defaultLimits.columnsMax).describe('Columns to hide');

const admins = { action: 'admin', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;

export const grantOperations = {
  create: operation({
    kind: 'command',
    summary: 'Give a user or group a permission on a dataset, optionally for a time, to some rows or without some columns',
    input: z
      .object({
        datasetId,
        principal,
        permission: z.enum(PERMISSIONS),
        validFrom: instant.nullable().default(null),
        validUntil: instant.nullable().default(null),
        rowFilter: rowFilter.nullable().default(null),
        columnMask: columnMask.nullable().default(null),
      })
      .refine((input) => input.permission === 'read' || (input.rowFilter === null && input.columnMask === null), {
        message: 'who does not see every row and column can be given read only',
        path: ['permission'],
      })
      .refine((input) => input.validFrom === null || input.validUntil === null || Date.parse(input.validFrom) < Date.parse(input.validUntil), {
        message: 'validFrom must lie before validUntil',
        path: ['validUntil'],
      }),
    output: grant,
    errors: ['conflict'],
    permission: admins,
    stepUp: true,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/permissions', status: 201 },
    example: { input: { datasetId: 1, principal: 'user:bob', permission: 'read' } },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the grants of a dataset',
    input: z.object({ datasetId, ...pageInput }),
    output: page(grant),
    errors: [],
    permission: admins,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/permissions' },
    example: { input: { datasetId: 1 } },
  }),
  revoke: operation({
    kind: 'command',
    summary: 'Take a grant back; the last lasting admin grant of a user cannot be',
    input: z.object({ datasetId, grantId }),
    output: empty,
    errors: ['conflict'],
    permission: admins,
    stepUp: true,
    http: { method: 'DELETE', path: '/api/datasets/{datasetId}/permissions/{grantId}', status: 204 },
    example: { input: { datasetId: 1, grantId: 1 } },
  }),
};
