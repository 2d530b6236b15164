import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { entryId } from '../documents/fields.ts';
import { documentOpened } from '../documents/messages.ts';
import { documentName, parseDocumentName } from '../documents/name.ts';
import { type DatasetId, datasetId } from '../ids.ts';
import { defaultLimits } from '../limits.ts';
import { plainText } from '../names.ts';
import { instant, page, pageInput } from './shared.ts';

const name = documentName;

/** The dataset whose grants count; null for what belongs to a person, whom the service tells from others. */
const datasetOf = ({ name }: { name: string }): DatasetId | null => {
  const subject = parseDocumentName(name);
  return subject?.kind === 'dataset' ? subject.datasetId : null;
};

const readers = { action: 'read', on: datasetOf } as const;

const author = z.object({
  clientId: z.int().describe('Yjs client id'),
  subject: z.string().nullable().describe('Who its edits are from; null: the server, which restored what a refused edit had overwritten'),
  boundAt: instant,
});

const snapshotId = z.int().min(1);
const scopeId = z
  .string()
  .regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits')
  .describe('Names the grants by which its people see what they see');
const EXAMPLE_SCOPE = '0123456789abcdef0123456789abcdef';

const snapshot = z.object({
  snapshotId,
  label: z
    .string()
    .nullable()
    .describe('Null: one of those that are kept from time to time, or before another is restored; or the caller does not see everything'),
  takenBy: z.string().nullable().describe('Who took it, or restored another after it; null: nobody, it is kept from time to time'),
  takenAt: instant,
  bytes: z.int(),
});

/** An entry of the dataset's document, and those who see less of the dataset. */
const published = z.object({ datasetId, scopeId, map: z.enum(['views', 'annotations']), id: entryId });
const publishedOutput = published.omit({ datasetId: true });

export const documentOperations = {
  connect: operation({
    kind: 'channel',
    summary: 'Open a live document: messages of y-websocket (sync, awareness) both ways',
    input: z.object({
      name,
      receipts: z.boolean().default(false).describe('Whether the messages `durable` and `refused` are wanted, which no y-websocket client knows'),
    }),
    output: documentOpened,
    errors: ['conflict', 'payload_too_large'],
    permission: readers,
    socket: { prefix: '/documents/', field: 'name' },
    example: { input: { name: 'dataset/1' } },
  }),
  attribution: operation({
    kind: 'query',
    summary: 'Whose edits those of the Yjs client ids in a document are',
    input: z.object({ name, ...pageInput }),
    output: page(author),
    errors: [],
    permission: readers,
    http: { method: 'GET', path: '/api/documents/{name}/attribution' },
    example: { input: { name: 'dataset/1' } },
  }),
  saveSnapshot: operation({
    kind: 'command',
    summary: 'Keep the state that a document has now under a label',
    input: z.object({ name, label: plainText(defaultLimits.messageCharsMax).min(1) }),
    output: snapshot,
    errors: ['conflict', 'unprocessable_data'],
    permission: { action: 'write', on: datasetOf },
    http: { method: 'POST', path: '/api/documents/{name}/snapshots', status: 201 },
    example: { input: { name: 'dataset/1', label: 'Before the review' } },
  }),
  snapshots: operation({
    kind: 'query',
    summary: 'List the snapshots of a document, newest first: those with a label, and those that are kept by themselves',
    input: z.object({ name, ...pageInput }),
    output: page(snapshot),
    errors: [],
    permission: readers,
    http: { method: 'GET', path: '/api/documents/{name}/snapshots' },
    example: { input: { name: 'dataset/1' } },
  }),
  scopes: operation({
    kind: 'query',
    summary:
      'List those who see less of a dataset and have opened its document, the document of each scope being one of its own; for who sees everything',
    input: z.object({ datasetId, ...pageInput }),
    output: page(
      z.object({
        scopeId,
        name,
        hiddenColumns: z.array(z.string()).describe('Columns that a grant of theirs hides'),
        filteredBy: z.array(z.string()).describe('Columns by which a grant of theirs picks rows'),
        updatedAt: instant,
      }),
    ),
    errors: [],
    permission: { action: 'read', on: ({ datasetId }) => datasetId },
    http: { method: 'GET', path: '/api/datasets/{datasetId}/scopes' },
    example: { input: { datasetId: 1 } },
  }),
  publish: operation({
    kind: 'command',
    summary: 'Copy a saved view or an annotation to those who see less, if it names nothing that they may not see',
    input: published,
    output: publishedOutput,
    errors: ['conflict', 'unprocessable_data'],
    permission: { action: 'write', on: ({ datasetId }) => datasetId },
    http: { method: 'POST', path: '/api/datasets/{datasetId}/scopes/{scopeId}/{map}/{id}' },
    example: { input: { datasetId: 1, scopeId: EXAMPLE_SCOPE, map: 'views', id: 'by-region' } },
  }),
  withdraw: operation({
    kind: 'command',
    summary: 'Take a published saved view or annotation from those who see less',
    input: published,
    output: publishedOutput,
    errors: [],
    permission: { action: 'write', on: ({ datasetId }) => datasetId },
    http: { method: 'DELETE', path: '/api/datasets/{datasetId}/scopes/{scopeId}/{map}/{id}' },
    example: { input: { datasetId: 1, scopeId: EXAMPLE_SCOPE, map: 'views', id: 'by-region' } },
  }),
  readSnapshot: operation({
    kind: 'query',
    summary: 'What a document held in a snapshot: the entries of one of its maps, by id, as plain JSON',
    input: z.object({ name, snapshotId, map: z.enum(['views', 'annotations', 'preferences']), ...pageInput }),
    output: page(z.object({ id: z.string(), entry: z.unknown() })),
    errors: ['unprocessable_data'],
    permission: readers,
    http: { method: 'GET', path: '/api/documents/{name}/snapshots/{snapshotId}' },
    example: { input: { name: 'dataset/1', snapshotId: 1, map: 'views' } },
  }),
  restoreSnapshot: operation({
    kind: 'command',
    summary:
      'Make the entries of a document what they were in a snapshot, for everybody who has it open; what they are now, if that is something else, is kept as a snapshot first',
    input: z.object({ name, snapshotId }),
    output: z.object({
      snapshotId,
      restored: z.int().describe('Entries that were put back, or are as they were again'),
      removed: z.int().describe('Entries that had come since'),
    }),
    errors: ['unprocessable_data'],
    permission: { action: 'write', on: datasetOf },
    http: { method: 'POST', path: '/api/documents/{name}/snapshots/{snapshotId}/restore' },
    example: { input: { name: 'dataset/1', snapshotId: 1 } },
  }),
};
