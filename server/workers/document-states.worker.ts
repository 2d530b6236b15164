import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import * as Y from 'yjs';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import { applyStored } from '../shared/conflict-steps.ts';
import type { EntriesPage, PagedEntry } from '../shared/document-entries.ts';
import { createLog } from '../shared/log.ts';
import { updatesOf } from '../shared/stored-updates.ts';
import type { DocumentLease, DocumentStore } from '../storage/stores.ts';
import type { DocumentStatesSettings, FromDocumentStates, ToDocumentStates } from './document-states.protocol.ts';

const { limits, databaseUrl } = workerData as DocumentStatesSettings;
const { documentLoadStepsMax: stepsMax } = limits;
const port = present(parentPort, 'the port of the thread that started this one');

function documentOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  applyStored(doc, updates, { stepsMax });
  return doc;
}

/** A state has the edits in another order than that in which they came. One that nobody could open takes the place of no log. */
function stateOf(updates: readonly Uint8Array[]): Uint8Array {
  const doc = documentOf(updates);
  const state = Y.encodeStateAsUpdate(doc);
  const structs = [...doc.store.clients.values()].reduce((sum, { length }) => sum + length, 0);
  // No more than each past all, which few have too few for.
  if (structs ** 2 > stepsMax / 2) applyStored(new Y.Doc(), [state], { stepsMax: stepsMax / 2 });
  return state;
}

function pageOf({ updates, map, after, limit, unchangedIn }: EntriesPage): PagedEntry[] {
  const entries = documentOf(updates).getMap(map);
  const now = unchangedIn && documentOf(unchangedIn).getMap(map);
  const found: PagedEntry[] = [];
  for (const id of [...entries.keys()].filter((key) => key > after).sort()) {
    if (found.length === limit) break;
    const entry = plain(entries.get(id));
    if (now === undefined || isDeepStrictEqual(plain(now.get(id)), entry)) found.push({ id, entry });
  }
  return found;
}

const plain = (entry: unknown): unknown => (entry instanceof Y.AbstractType ? entry.toJSON() : entry);

/** Made for the first that needs it: others wait for no connection. */
let store: DocumentStore | undefined;

async function openStore(): Promise<DocumentStore> {
  const [{ openDatabase }, { PostgresDocumentStore }] = await Promise.all([
    import('../storage/postgres/database.ts'),
    import('../storage/postgres/documents.ts'),
  ]);
  const url = present(databaseUrl, 'the database of the documents');
  // What goes wrong is told to who asks.
  return new PostgresDocumentStore(await openDatabase({ url, limits: { ...limits, databasePoolMax: 1 }, log: createLog('silent', false) }));
}

async function compactStored(lease: DocumentLease): Promise<FromDocumentStates> {
  store ??= await openStore();
  const stored = await store.updates(lease.documentId);
  const last = stored.batches.at(-1);
  if (last === undefined) return { kind: 'compactedStored', state: undefined };
  const update = stateOf(updatesOf(stored));
  const isPut = await store.compact(lease, { sequence: last.sequence, update });
  return { kind: 'compactedStored', state: isPut ? { sequence: last.sequence, bytes: update.length } : undefined };
}

async function answer(message: ToDocumentStates): Promise<FromDocumentStates> {
  if (message.kind === 'compactStored') return compactStored(message.lease);
  if (message.kind === 'page') return { kind: 'paged', entries: pageOf(message) };
  if (message.kind === 'compact') return { kind: 'compacted', update: stateOf(message.updates) };
  const doc = documentOf(message.updates);
  return { kind: 'read', maps: Object.fromEntries(message.maps.map((map) => [map, doc.getMap(map).toJSON()])) };
}

async function reply(message: ToDocumentStates): Promise<void> {
  try {
    const answered = await answer(message);
    port.postMessage(answered, answered.kind === 'compacted' ? [answered.update.buffer as ArrayBuffer] : []);
  } catch (error) {
    const fault = error instanceof CovistaError ? error : new CovistaError('internal', String(error));
    port.postMessage({ kind: 'failed', error: errorBody(fault) } satisfies FromDocumentStates);
  }
}

/** One thing after the other: answers are told apart by their order. */
let turn = Promise.resolve();
port.on('message', (message: ToDocumentStates) => {
  turn = turn.then(() => reply(message));
});
