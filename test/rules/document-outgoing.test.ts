import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { Outgoing } from '../../client/documents/outgoing.ts';
import { readMessage } from '../../client/documents/wire.ts';
import { defaultLimits } from '../../protocol/limits.ts';

const { documentUpdateBytesMax: BYTES_MAX } = defaultLimits;

/** What a message leaves in a document that has what came before it. */
function take(doc: Y.Doc, message: Uint8Array): void {
  const read = readMessage(message);
  if (read.kind !== 'difference' && read.kind !== 'update') throw new Error(`a message of ${read.kind}`);
  Y.applyUpdate(doc, read.update);
}

test('LIVE2 what is made while edits are held is whole in one message', () => {
  const doc = new Y.Doc();
  const outgoing = new Outgoing(0, () => undefined);
  doc.on('update', (update: Uint8Array) => outgoing.note(update));
  const notes = doc.getMap('notes');
  // So that the first of two edits would just fit in beside it.
  notes.set('large', 'x'.repeat(BYTES_MAX - 12_000));
  outgoing.hold();
  notes.set('step', 'y'.repeat(8_000));
  notes.set('signature', 'z'.repeat(8_000));
  outgoing.release();
  const messages = outgoing.difference(doc, Y.encodeStateVector(new Y.Doc()));
  const server = new Y.Doc();
  const seen = messages.map((message) => {
    take(server, message);
    return [...server.getMap('notes').keys()].sort();
  });
  expect(seen).toEqual([['large'], ['large', 'signature', 'step']]);
});
