import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { pointerName, ref } from '../names.ts';

export const refOperations = {
  resolve: operation({
    kind: 'query',
    summary: 'Which version a ref means now',
    input: z.object({ datasetId, ref }),
    output: z.object({
      ref: z.string(),
      versionId,
      kind: z.enum(['branch', 'tag', 'version']),
      immutable: z.boolean().describe('Whether it can never mean another version'),
    }),
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/resolve' },
    example: { input: { datasetId: 1, ref: 'main~1' } },
  }),
  pointer: operation({
    kind: 'query',
    summary: 'Read a branch or tag by name',
    input: z.object({ datasetId, name: pointerName }),
    output: z.object({ name: z.string(), kind: z.enum(['branch', 'tag']), versionId }),
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/pointers/{name}' },
    example: { input: { datasetId: 1, name: 'main' } },
  }),
};
