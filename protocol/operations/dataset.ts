import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { datasetId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { datasetName, plainText } from '../names.ts';
import { record } from '../record.ts';
import { retentionRun } from './retention.ts';
import { empty, instant, key, page, pageInput } from './shared.ts';

const label = plainText(defaultLimits.labelCharsMax).min(1);
const labels = z.array(label).max(defaultLimits.labelsMax);
const description = plainText(defaultLimits.descriptionCharsMax);

export const dataset = z.object({
  datasetId,
  name: z.string(),
  description: z.string(),
  labels: z.array(z.string()),
  key: z.array(z.string()).nullable().describe('Default key columns for diff, upsert and delete'),
  createdBy: z.string(),
  createdAt: instant,
  updatedAt: instant,
});

/** What a dataset is made from. */
export const newDataset = { name: datasetName, description: description.default(''), labels: labels.default([]), key: key.nullable().default(null) };

const one = z.object({ datasetId });

export const datasetEvent = z.object({
  sequence: z
    .int()
    .describe(
      'Rises by one per event of the dataset; give it as `after` to resume. Of `watching`, which comes first where `after` was not given: that of the event before',
    ),
  kind: z.enum([
    'watching',
    'dataset.updated',
    'dataset.deleted',
    'dataset.restored',
    'version.created',
    'version.removed',
    'version.restored',
    'branch.created',
    'branch.moved',
    'branch.renamed',
    'branch.deleted',
    'branch.protected',
    'tag.created',
    'grant.changed',
    'schedule.changed',
    'schedule.ran',
  ]),
  at: instant,
  actor: z.string(),
  data: record(z.string(), z.unknown()),
});

const sample = { name: 'Superstore', description: 'Orders of a retailer', labels: ['demo'], key: ['Row ID'] };

export const datasetOperations = {
  create: operation({
    kind: 'command',
    summary: 'Create an empty dataset; its creator becomes its admin',
    input: z.object(newDataset),
    output: dataset,
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'POST', path: '/api/datasets', status: 201 },
    example: { input: sample },
  }),
  list: operation({
    kind: 'query',
    summary: 'List the datasets that the caller may read, newest first; search matches name, description and labels',
    input: z.object({ search: z.string().max(200).optional(), label: label.optional(), ...pageInput }),
    output: page(dataset),
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'GET', path: '/api/datasets' },
    example: { input: { search: 'store', limit: 10 } },
  }),
  get: operation({
    kind: 'query',
    summary: 'Read the metadata of a dataset',
    input: one,
    output: dataset,
    errors: [],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}' },
    example: { input: { datasetId: 1 } },
  }),
  update: operation({
    kind: 'command',
    summary: 'Change name, description, labels or default key columns; what is absent stays',
    input: one.extend({
      name: datasetName.optional(),
      description: description.optional(),
      labels: labels.optional(),
      key: key.nullable().optional(),
    }),
    output: dataset,
    errors: [],
    permission: { action: 'write', on: (input) => input.datasetId },
    http: { method: 'PATCH', path: '/api/datasets/{datasetId}' },
    example: { input: { datasetId: 1, labels: ['demo', 'retail'] } },
  }),
  delete: operation({
    kind: 'command',
    summary: 'Delete a dataset with all it has. Its open tables end; until the grace has passed, dataset.undelete brings it back',
    input: one,
    output: empty,
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId },
    stepUp: true,
    http: { method: 'DELETE', path: '/api/datasets/{datasetId}', status: 204 },
    example: { input: { datasetId: 1 } },
  }),
  undelete: operation({
    kind: 'command',
    summary: 'Bring a deleted dataset back, with everything that it had; for its admins, as long as the grace lasts',
    input: one,
    output: dataset,
    errors: [],
    permission: { action: 'admin', on: (input) => input.datasetId, ofDeleted: true },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/undelete' },
    example: { input: { datasetId: 1 } },
  }),
  listDeleted: operation({
    kind: 'query',
    summary: 'List the deleted datasets that the caller can bring back, newest first',
    input: z.object(pageInput),
    output: page(dataset.extend({ deletedAt: instant, deletedBy: z.string(), goneAt: instant.describe('When it can be brought back no longer') })),
    errors: [],
    permission: { action: 'authenticated' },
    http: { method: 'GET', path: '/api/datasets/deleted' },
    example: { input: { limit: 10 } },
  }),
  cleanup: operation({
    kind: 'command',
    summary: 'Close tables of the dataset that nobody uses, and then remove the versions that its policy does not keep',
    input: one.extend({ dryRun: z.boolean().default(false).describe('Only tell what would happen') }),
    output: z.object({
      closedTables: z.array(z.string()).describe('Tables that were closed, or would be'),
      usedTables: z.array(z.object({ tableId: z.string(), connections: z.int() })).describe('Tables that stay because they have connections'),
      retention: retentionRun,
    }),
    errors: ['conflict'],
    permission: { action: 'admin', on: (input) => input.datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/cleanup' },
    example: { input: { datasetId: 1 } },
  }),
  watch: operation({
    kind: 'stream',
    summary: 'Follow the events of a dataset, optionally from a sequence on; without `after`, from now',
    input: one.extend({ after: z.int().min(0).optional() }),
    output: datasetEvent,
    duration: 'endless',
    errors: ['slow_consumer'],
    permission: { action: 'read', on: (input) => input.datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/events', response: 'ndjson' },
    example: { input: { datasetId: 1, after: 0 } },
  }),
};
