import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { record } from '../record.ts';
import { instant, page, pageInput } from './shared.ts';

const entry = z.object({
  sequence: z.int(),
  at: instant.describe('When it happened; of several at once, the first'),
  actor: z.string().describe('Who; empty where no token was accepted, `*` where several are counted together'),
  operation: z.string().describe('`session.authenticate`: a token was refused; `*`: several operations'),
  datasetId: datasetId.nullable(),
  versionId: versionId.nullable(),
  requestId: z.string().describe('Of several, the first'),
  address: z.string(),
  outcome: z.string().describe('ok, or the code of the error'),
  detail: record(z.string(), z.unknown()),
  count: z.int().describe('How often, where the same was refused again and again'),
  lastAt: instant.describe('When it happened last'),
});

const word = z.string().min(1).max(defaultLimits.subjectCharsMax);

const filters = {
  actor: word.optional(),
  operation: word.optional(),
  outcome: word.optional().describe('ok, the code of an error, or `error` for every error'),
  from: instant.optional(),
  until: instant.optional().describe('Exclusive'),
};

const admins = { action: 'admin', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;

export const auditOperations = {
  list: operation({
    kind: 'query',
    summary: 'Who did what with a dataset or was refused it, newest first',
    input: z.object({ datasetId, ...filters, ...pageInput }),
    output: page(entry),
    errors: [],
    permission: admins,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/audit' },
    example: { input: { datasetId: 1 } },
  }),
  export: operation({
    kind: 'stream',
    summary: 'The whole audit of a dataset, newest first',
    input: z.object({ datasetId, ...filters }),
    output: entry,
    errors: [],
    permission: admins,
    audit: 'access',
    http: { method: 'GET', path: '/api/datasets/{datasetId}/audit/export', response: 'ndjson' },
    example: { input: { datasetId: 1 } },
  }),
  listAll: operation({
    kind: 'query',
    summary: 'Who did what on the server or was refused it, newest first',
    input: z.object({ ...filters, ...pageInput }),
    output: page(entry),
    errors: [],
    permission: { action: 'server-admin' },
    http: { method: 'GET', path: '/api/audit' },
    example: { input: { actor: 'mallory', outcome: 'forbidden' } },
  }),
  exportAll: operation({
    kind: 'stream',
    summary: 'The whole audit of the server, newest first',
    input: z.object(filters),
    output: entry,
    errors: [],
    permission: { action: 'server-admin' },
    audit: 'access',
    http: { method: 'GET', path: '/api/audit/export', response: 'ndjson' },
    example: { input: { actor: 'mallory', outcome: 'error' } },
  }),
};
