import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId, versionId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { ref } from '../names.ts';
import { column, cursor, key, row } from './shared.ts';

const sides = { datasetId, from: ref, to: ref };
const reads = { action: 'read', on: (input: { datasetId: z.output<typeof datasetId> }) => input.datasetId } as const;

const counts = z.object({ added: z.int(), removed: z.int(), changed: z.int() });

/** With a key: one row's difference; `changed` names the cells. Without: how often more (or less) a row occurs. */
export const change = z.union([
  z.object({
    kind: z.enum(['added', 'removed', 'changed']),
    key: row,
    before: row.optional(),
    after: row.optional(),
    changed: z.array(z.string()).optional(),
  }),
  z.object({ kind: z.enum(['added', 'removed']), row, count: z.int() }),
]);

const classed = { compatible: z.boolean().describe('Whether readers of `from` can read `to` in spite of this') };

const retyped = z.object({
  name: z.string(),
  from: z.string(),
  to: z.string(),
  compatible: z.boolean().describe('Whether every value of the old type fits the new'),
});

export const schemaComparison = z.object({
  fromVersionId: versionId,
  toVersionId: versionId,
  added: z.array(column.extend(classed)),
  removed: z.array(column.extend(classed)),
  retyped: z.array(retyped),
  reordered: z.array(z.object({ name: z.string(), from: z.int(), to: z.int(), ...classed })),
  keyChanged: z.boolean(),
  compatible: z.boolean().describe('Whether readers of `from` can read `to`: nothing removed, nothing retyped lossily'),
  dataLoss: z.boolean().describe('Whether columns were dropped or retyped lossily, or rows are fewer'),
  rows: z.object({ from: z.int(), to: z.int() }),
});

const summary = z.object({
  fromVersionId: versionId,
  toVersionId: versionId,
  key: z.array(z.string()).nullable().describe('The key columns used; null: rows were compared as a multiset'),
  keyChanged: z.boolean().describe('Whether the two versions recorded different keys'),
  counts,
  columns: z.object({ added: z.array(z.string()), removed: z.array(z.string()), retyped: z.array(z.string()) }),
});

const rowInput = z.object({
  ...sides,
  key: key.nullable().optional().describe('Absent: the key of the versions or the dataset; null: compare as a multiset'),
});

export const diffOperations = {
  schema: operation({
    kind: 'query',
    summary: 'Compare the columns and row counts of two versions',
    input: z.object(sides),
    output: schemaComparison,
    errors: [],
    permission: reads,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/schema/compare' },
    example: { input: { datasetId: 1, from: 'main~1', to: 'main' } },
  }),
  rows: operation({
    kind: 'query',
    summary: 'Compare the rows of two versions: exact counts with every page, and a page of changes',
    input: rowInput.extend({
      limit: z.int().min(0).max(defaultLimits.rowsPerPageMax).default(defaultLimits.pageItemsDefault),
      cursor: cursor.optional(),
    }),
    output: summary.extend({ changes: z.array(change), next: cursor.optional() }),
    errors: ['unprocessable_data', 'memory_limit'],
    permission: reads,
    http: { method: 'POST', path: '/api/datasets/{datasetId}/diff' },
    example: { input: { datasetId: 1, from: 'main~1', to: 'main', limit: 10 } },
  }),
  stream: operation({
    kind: 'stream',
    summary: 'Compare the rows of two versions: first the counts, then every change',
    input: rowInput,
    output: z.union([summary, z.object({ changes: z.array(change) })]),
    errors: ['unprocessable_data', 'memory_limit'],
    permission: reads,
    audit: 'access',
    http: { method: 'POST', path: '/api/datasets/{datasetId}/diff/stream', response: 'ndjson' },
    example: { input: { datasetId: 1, from: 'main~1', to: 'main' } },
  }),
};
