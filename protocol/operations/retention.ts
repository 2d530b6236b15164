import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { instant } from './shared.ts';

export const retentionPolicy = z
  .object({
    keepLast: z.int().min(0).max(1_000_000).nullable().default(null).describe('So many of the newest other versions are kept'),
    keepDays: z
      .int()
      .min(0)
      .max(36_500)
      .nullable()
      .default(null)
      .describe('Versions that were made, or were the head of a branch, within so many days are kept'),
  })
  .strict()
  .refine(({ keepLast, keepDays }) => keepLast !== null || keepDays !== null, 'must have keepLast, keepDays or both')
  .describe('Heads of branches and tags are always kept; of the other versions, those that keepLast or keepDays says');

const versionIds = z.array(versionId).max(defaultLimits.retentionStepVersionsMax);

export const storageUse = z.object({
  versions: z.int(),
  removedVersions: z.int(),
  files: z.int().describe('Data files and originals, shared ones once'),
  bytes: z.int(),
  removedBytes: z.int().describe('Of these, what only removed versions refer to, which can still be brought back'),
  condemnedFiles: z.int().describe('Files that nothing refers to any more and that are about to go'),
  condemnedBytes: z.int(),
});

const current = z.object({
  datasetId,
  policy: retentionPolicy.nullable().describe('Null: every version is kept'),
  setBy: z.string().nullable(),
  setAt: instant.nullable(),
});

export const retentionRun = z.object({
  datasetId,
  dryRun: z.boolean(),
  policy: retentionPolicy.nullable(),
  versionIds: versionIds.describe('Removed now, or that would be, oldest first'),
  remaining: z.int().describe('Further ones that the policy does not keep; the server goes on with them by itself'),
  files: z.int().describe('Files that only these versions have, which go after the grace'),
  bytes: z.int(),
});

export const retentionOperations = {
  get: operation({
    kind: 'query',
    summary: 'Read which versions of a dataset are kept, and what it takes on disk',
    input: z.object({ datasetId }),
    output: current.extend({ graceMs: z.int().describe('How long what was removed can be brought back'), storage: storageUse }),
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/retention' },
    example: { input: { datasetId: 1 } },
  }),
  set: operation({
    kind: 'command',
    summary: 'Say which versions of a dataset are kept; others are removed from then on. Preview it first with retention.run and dryRun',
    input: z.object({ datasetId, policy: retentionPolicy.nullable() }),
    output: current,
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    stepUp: true,
    http: { method: 'PUT', path: '/api/datasets/{datasetId}/retention' },
    example: { input: { datasetId: 1, policy: { keepLast: 100, keepDays: 365 } } },
  }),
  run: operation({
    kind: 'command',
    summary: 'Remove now what the policy does not keep, or, with dryRun, tell what that would be, also of a policy that is not set',
    input: z.object({
      datasetId,
      dryRun: z.boolean().default(false),
      policy: retentionPolicy.optional().describe('To try; with dryRun only'),
    }),
    output: retentionRun,
    errors: ['conflict'],
    permission: { action: 'admin', on: (input) => input.datasetId },
    stepUp: true,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/retention/run' },
    example: { input: { datasetId: 1 } },
  }),
  restore: operation({
    kind: 'command',
    summary: 'Bring removed versions back, as long as the grace lasts; a policy that does not keep them removes them again',
    input: z.object({ datasetId, versionIds: versionIds.min(1).optional().describe('Absent: all that can be') }),
    output: z.object({ datasetId, versionIds: z.array(versionId).describe('Those that came back') }),
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/retention/restore' },
    example: { input: { datasetId: 1 } },
  }),
};
