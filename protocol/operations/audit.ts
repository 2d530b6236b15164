import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { instant, page, pageInput } from './shared.ts';

const entry = z.object({
  sequence: z.int(),
  at: instant,
  actor: z.string(),
  operation: z.string(),
  datasetId: datasetId.nullable(),
  versionId: versionId.nullable(),
  requestId: z.string(),
  address: z.string(),
  outcome: z.string().describe('ok, or the code of the error'),
  detail: z.record(z.string(), z.unknown()),
});

export const auditOperations = {
  list: operation({
    kind: 'query',
    summary: 'Who changed what in a dataset, newest first',
    input: z.object({ datasetId, ...pageInput }),
    output: page(entry),
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/audit' },
    example: { input: { datasetId: 1 } },
  }),
};
