import { isDeepStrictEqual } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import * as Y from 'yjs';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { present } from '../shared/assert.ts';
import { applyStored } from '../shared/conflict-steps.ts';
import type { EntriesPage, PagedEntry } from '../shared/document-entries.ts';
import type { DocumentStatesSettings, FromDocumentStates, ToDocumentStates } from './document-states.protocol.ts';

const { stepsMax } = workerData as DocumentStatesSettings;
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

function answer(message: ToDocumentStates): FromDocumentStates {
  if (message.kind === 'page') return { kind: 'paged', entries: pageOf(message) };
  if (message.kind === 'compact') return { kind: 'compacted', update: stateOf(message.updates) };
  const doc = documentOf(message.updates);
  return { kind: 'read', maps: Object.fromEntries(message.maps.map((map) => [map, doc.getMap(map).toJSON()])) };
}

port.on('message', (message: ToDocumentStates) => {
  try {
    const answered = answer(message);
    port.postMessage(answered, answered.kind === 'compacted' ? [answered.update.buffer as ArrayBuffer] : []);
  } catch (error) {
    const fault = error instanceof CovistaError ? error : new CovistaError('internal', String(error));
    port.postMessage({ kind: 'failed', error: errorBody(fault) } satisfies FromDocumentStates);
  }
});
