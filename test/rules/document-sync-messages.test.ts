import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { readMessage } from '../../client/documents/wire.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { SyncMessages } from '../../server/services/documents/sync-messages.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';

function documentOf(text: string): Y.Doc {
  const doc = new Y.Doc();
  doc.getMap('views').set('v1', text);
  return doc;
}

/** What a copy has once it was told what it lacks. */
function toldTo(copy: Y.Doc, messages: SyncMessages): unknown {
  const told = readMessage(messages.difference(Y.encodeStateVector(copy)));
  if (told.kind !== 'difference') throw new Error(`a difference, not ${told.kind}`);
  Y.applyUpdate(copy, told.update);
  return copy.getMap('views').toJSON();
}

test('DOC11 copies in one state are told the same, made once, until the document changes', () => {
  const doc = documentOf('one');
  const messages = new SyncMessages(doc, defaultLimits, new CacheCounts());
  const nothing = Y.encodeStateVector(new Y.Doc());
  const first = messages.difference(nothing);
  expect(messages.difference(nothing.slice())).toBe(first);
  expect(messages.ask()).toBe(messages.ask());
  const before = messages.ask();
  doc.getMap('views').set('v2', 'two');
  expect(messages.difference(nothing)).not.toEqual(first);
  expect(readMessage(messages.ask())).toEqual({ kind: 'ask', stateVector: Y.encodeStateVector(doc) });
  expect(messages.ask()).not.toEqual(before);
});

test('DOC11 copies in different states are each told what they lack', () => {
  const doc = documentOf('one');
  const messages = new SyncMessages(doc, defaultLimits, new CacheCounts());
  const old = new Y.Doc();
  expect(toldTo(old, messages)).toEqual({ v1: 'one' });
  doc.getMap('views').delete('v1');
  doc.getMap('views').set('v2', 'two');
  expect(toldTo(new Y.Doc(), messages)).toEqual({ v2: 'two' });
  expect(toldTo(old, messages)).toEqual({ v2: 'two' });
  expect(toldTo(old, messages)).toEqual({ v2: 'two' });
});

test('DOC11 what is kept is small, and a state vector that is none is refused each time', () => {
  const messages = new SyncMessages(documentOf('x'.repeat(1_000)), { documentKeptSyncBytesMax: 500 }, new CacheCounts());
  const nothing = Y.encodeStateVector(new Y.Doc());
  expect(messages.difference(nothing)).not.toBe(messages.difference(nothing));
  expect(messages.difference(nothing)).toEqual(messages.difference(nothing));
  for (let turn = 0; turn < 2; turn += 1) expect(() => messages.difference(Uint8Array.of(255, 255))).toThrow();
});
