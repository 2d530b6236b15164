import { parentPort } from 'node:worker_threads';
import * as Y from 'yjs';
import { present } from '../shared/assert.ts';
import type { FromDocumentStates, ToDocumentStates } from './document-states.protocol.ts';

const port = present(parentPort, 'the port of the thread that started this one');

function documentOf(updates: readonly Uint8Array[]): Y.Doc {
  const doc = new Y.Doc();
  doc.transact(() => {
    for (const update of updates) Y.applyUpdate(doc, update);
  });
  return doc;
}

function answer(message: ToDocumentStates): FromDocumentStates {
  const doc = documentOf(message.updates);
  if (message.kind === 'compact') return { kind: 'compacted', update: Y.encodeStateAsUpdate(doc) };
  return { kind: 'read', maps: Object.fromEntries(message.maps.map((map) => [map, doc.getMap(map).toJSON()])) };
}

port.on('message', (message: ToDocumentStates) => {
  try {
    const answered = answer(message);
    port.postMessage(answered, answered.kind === 'compacted' ? [answered.update.buffer as ArrayBuffer] : []);
  } catch (error) {
    port.postMessage({ kind: 'failed', message: String(error) } satisfies FromDocumentStates);
  }
});
