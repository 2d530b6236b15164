import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { pointerName, ref } from '../names.ts';
import { instant, message, page, pageInput } from './shared.ts';

export const tag = z.object({
  name: z.string(),
  kind: z.literal('tag'),
  versionId,
  message: z.string(),
  createdBy: z.string(),
  createdAt: instant,
});

export const tagOperations = {
  create: operation({
    kind: 'command',
    summary: 'Name a version for good: a tag never moves',
    input: z.object({ datasetId, name: pointerName, ref: ref.default('main'), message: message.default('') }),
    output: tag,
    errors: ['conflict'],
    permission: { action: 'write', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/tags', status: 201 },
    example: { input: { datasetId: 1, name: 'v1.0', ref: 'main' } },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the tags of a dataset by name',
    input: z.object({ datasetId, ...pageInput }),
    output: page(tag),
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/tags' },
    example: { input: { datasetId: 1 } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read a tag',
    input: z.object({ datasetId, tag: pointerName }),
    output: tag,
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/tags/{tag}' },
    example: { input: { datasetId: 1, tag: 'v1.0' } },
  }),
};
