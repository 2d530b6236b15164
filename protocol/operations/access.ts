import * as z from 'zod/v4';
import { operation, PERMISSIONS } from '../define.ts';
import { datasetId, grantId, principal, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { plainText, ref } from '../names.ts';
import { record } from '../record.ts';
import { instant, row, schema } from './shared.ts';

const weighedGrant = z.object({
  grantId,
  principal,
  permission: z.enum(PERMISSIONS),
  validFrom: instant.nullable(),
  validUntil: instant.nullable(),
  counts: z.boolean(),
  obstacle: z
    .enum(['not_yet_valid', 'ended', 'claim_missing', 'claim_unusable', 'does_not_fit'])
    .nullable()
    .describe('Why it does not count; does_not_fit: its filter or mask leaves nothing of the newest version of main'),
  claim: z.string().nullable().describe('The claim that the filter needs and the token does not give'),
  filter: z.string().nullable().describe('The condition of its rows as it runs, with the values of claims; null: all rows, or not shown'),
});

export const explanation = z.object({
  datasetId,
  subject: z.string(),
  permission: z.enum(PERMISSIONS).nullable().describe('null: none'),
  unrestricted: z.boolean().describe('Whether every row and column is visible, whatever comes'),
  columns: z
    .array(z.object({ name: z.string(), type: z.string(), inEveryRow: z.boolean().describe('false: NULL in rows that only other grants show') }))
    .describe('The visible columns of the newest version of main'),
  filter: z.string().nullable().describe('The condition of the visible rows; null: all rows, none, or not shown because it names a hidden column'),
  grants: z.array(weighedGrant).describe('The grants to the person and their groups'),
});

const subject = plainText(defaultLimits.subjectCharsMax).min(1);

const somebody = {
  subject,
  groups: z.array(subject).max(defaultLimits.groupsMax).default([]).describe('Groups that the person’s token has'),
  claims: record(z.string().max(defaultLimits.subjectCharsMax), z.unknown()).default({}).describe('Claims that the person’s token has'),
};

export const accessOperations = {
  get: operation({
    kind: 'query',
    summary: 'What the caller may do on a dataset and see of it, and by which grants',
    input: z.object({ datasetId }),
    output: explanation,
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/access' },
    example: { input: { datasetId: 1 } },
  }),
  explain: operation({
    kind: 'query',
    summary: 'What somebody may do on a dataset and see of it, and by which grants; server admins, who may do anything, are not told from others',
    input: z.object({ datasetId, ...somebody }),
    output: explanation,
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/access' },
    example: { input: { datasetId: 1, subject: 'bob', groups: ['team-b'], claims: { region: 'EU' } } },
  }),
  preview: operation({
    kind: 'query',
    summary: 'The first rows of a version as somebody sees them; none, of no columns, where they see nothing',
    input: z.object({
      datasetId,
      ...somebody,
      ref: ref.default('main'),
      limit: z.int().min(1).max(defaultLimits.pageItemsMax).default(defaultLimits.pageItemsDefault).describe('Most rows'),
    }),
    output: z.object({ versionId, schema, rows: z.array(row), totalRows: z.int().describe('Rows that they see, beyond those listed') }),
    errors: ['unprocessable_data'],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/access/preview' },
    example: { input: { datasetId: 1, subject: 'bob', groups: ['team-b'], claims: { region: 'EU' } } },
  }),
};
