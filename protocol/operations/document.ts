import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { documentOpened } from '../documents/messages.ts';
import { documentName, parseDocumentName } from '../documents/name.ts';
import type { DatasetId } from '../ids.ts';
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

const snapshot = z.object({
  snapshotId: z.int(),
  label: z.string().nullable().describe('Null: one of those that are kept from time to time'),
  takenBy: z.string().nullable(),
  takenAt: instant,
  bytes: z.int(),
});

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
    errors: ['conflict'],
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
};
