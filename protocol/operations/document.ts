import * as z from 'zod/v4';
import { operation } from '../define.ts';
import { documentOpened } from '../documents/messages.ts';
import { documentName, parseDocumentName } from '../documents/name.ts';
import type { DatasetId } from '../ids.ts';
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
};
