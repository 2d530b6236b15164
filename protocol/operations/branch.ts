import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { pointerName, ref } from '../names.ts';
import { empty, expectedHead, instant, message, page, pageInput } from './shared.ts';

export const branch = z.object({
  name: z.string(),
  kind: z.literal('branch'),
  versionId: versionId.describe('The head'),
  protected: z.boolean().describe('Whether only dataset admins may commit to it directly'),
  createdBy: z.string(),
  createdAt: instant,
  movedAt: instant,
});

/** One movement of a branch; `from` null is its creation, `to` null its deletion. */
const movement = z.object({
  sequence: z.int(),
  branch: z.string().describe('Its name at the time'),
  action: z.enum(['create', 'commit', 'reset', 'rename', 'delete']),
  from: versionId.nullable(),
  to: versionId.nullable(),
  actor: z.string(),
  at: instant,
  message: z.string(),
});

const one = z.object({ datasetId, branch: pointerName });
const reads = { action: 'read', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;
const writes = { action: 'write', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;

export const branchOperations = {
  create: operation({
    kind: 'command',
    summary: 'Create a branch at a ref',
    input: z.object({ datasetId, name: pointerName, from: ref.default('main') }),
    output: branch,
    errors: ['conflict'],
    permission: writes,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/branches', status: 201 },
    example: { input: { datasetId: 1, name: 'experiment', from: 'main' } },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the branches of a dataset by name',
    input: z.object({ datasetId, ...pageInput }),
    output: page(branch),
    errors: [],
    permission: reads,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/branches' },
    example: { input: { datasetId: 1 } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read a branch',
    input: one,
    output: branch,
    errors: [],
    permission: reads,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/branches/{branch}' },
    example: { input: { datasetId: 1, branch: 'main' } },
  }),
  rename: operation({
    kind: 'command',
    summary: 'Rename a branch; its log goes with it. `main` keeps its name',
    input: one.extend({ name: pointerName.describe('The new name') }),
    output: branch,
    errors: ['conflict'],
    permission: writes,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/branches/{branch}/rename' },
    example: { input: { datasetId: 1, branch: 'experiment', name: 'trial' } },
  }),
  reset: operation({
    kind: 'command',
    summary: 'Move a branch to any version, to undo a mistake; the movement is logged like any other',
    input: one.extend({ to: ref, expectedHead: versionId.optional(), message: message.default('') }),
    output: branch,
    errors: ['conflict'],
    permission: writes,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/branches/{branch}/reset' },
    example: { input: { datasetId: 1, branch: 'main', to: 'main~1' } },
  }),
  delete: operation({
    kind: 'command',
    summary: 'Delete a branch; its versions and its log stay. `main` and protected branches cannot be deleted',
    input: one.extend({ expectedHead: expectedHead.optional() }),
    output: empty,
    errors: ['conflict'],
    permission: writes,
    http: { method: 'DELETE', path: '/api/datasets/{datasetId}/branches/{branch}', status: 204 },
    example: { input: { datasetId: 1, branch: 'experiment' } },
  }),
  protect: operation({
    kind: 'command',
    summary: 'Set or lift the protection of a branch',
    input: one.extend({ protected: z.boolean() }),
    output: branch,
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    stepUp: true,
    http: { method: 'PUT', path: '/api/datasets/{datasetId}/branches/{branch}/protection' },
    example: { input: { datasetId: 1, branch: 'main', protected: true } },
  }),
  log: operation({
    kind: 'query',
    summary: 'Every movement of a branch, newest first, of deleted branches of that name too',
    input: one.extend(pageInput),
    output: page(movement),
    errors: [],
    permission: reads,
    http: { method: 'GET', path: '/api/datasets/{datasetId}/branches/{branch}/log' },
    example: { input: { datasetId: 1, branch: 'main' } },
  }),
};
