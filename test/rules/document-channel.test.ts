import { createEncoder, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { annotation, savedView } from '../support/entries.ts';
import { type MemoryClient, memoryDocument, quiet } from '../support/live-document.ts';
import { seededRandom } from '../support/random.ts';

async function shared(limits: Parameters<typeof memoryDocument>[0] = {}) {
  const memory = memoryDocument(limits);
  const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
  await quiet();
  alice.views().set('v1', savedView('alice'));
  alice.annotations().set('a1', annotation('alice'));
  await quiet();
  return { memory, alice, bob };
}

const bodyOf = (client: MemoryClient): Y.Text => client.annotations().get('a1')?.get('body') as Y.Text;
const entries = (doc: Y.Doc): unknown => [doc.getMap('views').toJSON(), doc.getMap('annotations').toJSON()];

describe('a reader', () => {
  test('DOC13 is refused what they add, and their copy loses it again', async () => {
    const { memory, alice } = await shared();
    const reader = memory.connect('carol', { canWrite: false });
    await quiet();
    expect(entries(reader.doc)).toEqual(entries(alice.doc));
    reader.views().set('mine', savedView('carol'));
    bodyOf(reader).insert(0, 'Not ');
    await quiet();
    expect(reader.refusals).toMatchObject([
      { rule: 'DOC13', code: 'forbidden', rebuild: false },
      { rule: 'DOC13', code: 'forbidden', rebuild: false },
    ]);
    expect(reader.durable).toBe(reader.edits);
    expect(entries(reader.doc)).toEqual(entries(alice.doc));
    alice.views().get('v1')?.set('name', 'Renamed');
    await quiet();
    expect(entries(reader.doc)).toEqual(entries(alice.doc));
    expect(reader.isClosed).toBe(false);
  });

  test.each([
    ['removes', (reader: MemoryClient) => reader.views().delete('v1')],
    ['overwrites', (reader: MemoryClient) => reader.views().get('v1')?.set('name', 'Mine')],
  ])('DOC13 who %s something is told and loses the channel, since their copy cannot be put right', async (_, edit) => {
    const { memory, alice } = await shared();
    const before = entries(alice.doc);
    const reader = memory.connect('carol', { canWrite: false, receipts: false });
    await quiet();
    edit(reader);
    await quiet();
    expect(reader.denials).toEqual(['DOC13: needs write permission']);
    expect(reader.closedBy).toMatchObject({ code: 'forbidden', details: { rebuild: true } });
    expect(entries(memory.document.doc)).toEqual(before);
    expect(entries(alice.doc)).toEqual(before);
  });

  test('DOC13 who comes back with a copy that changed nothing is welcome', async () => {
    const { memory, alice } = await shared();
    alice.views().delete('v1');
    const reader = memory.connect('carol', { canWrite: false });
    await quiet();
    reader.close();
    const back = memory.connect('carol', { canWrite: false, doc: reader.doc });
    await quiet();
    expect(back.refusals).toEqual([]);
    expect(back.isClosed).toBe(false);
  });
});

describe('edits that build on others', () => {
  /** Edits of one document, one by one. */
  function editsOf(doc: Y.Doc, edit: () => void): Uint8Array[] {
    const updates: Uint8Array[] = [];
    const keep = (update: Uint8Array): number => updates.push(update);
    doc.on('update', keep);
    edit();
    doc.off('update', keep);
    return updates;
  }

  test('DOC14 are refused while those are missing, and taken when they have come', async () => {
    const { memory, alice, bob } = await shared();
    const offline = new Y.Doc();
    Y.applyUpdate(offline, Y.encodeStateAsUpdate(memory.document.doc));
    const [first, second] = editsOf(offline, () => {
      offline.getMap('views').set('o1', savedView('bob'));
      (offline.getMap('views').get('o1') as Y.Map<unknown>).set('name', 'Second');
    }) as [Uint8Array, Uint8Array];
    const before = entries(memory.document.doc);
    bob.sendEdit(second);
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC14', code: 'conflict' }]);
    expect(entries(memory.document.doc)).toEqual(before);
    expect(memory.document.doc.store.pendingStructs).toBeNull();
    bob.sendEdit(first);
    await quiet();
    bob.sendEdit(second);
    await quiet();
    expect(alice.views().get('o1')?.get('name')).toBe('Second');
  });

  test('DOC14 a removal of what is not there yet is refused too', async () => {
    const { memory, bob } = await shared();
    const offline = new Y.Doc();
    const [, removal] = editsOf(offline, () => {
      offline.getMap('views').set('o1', 1);
      offline.getMap('views').delete('o1');
    }) as [Uint8Array, Uint8Array];
    bob.sendEdit(removal);
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC14' }]);
    expect(memory.document.doc.store.pendingDs).toBeNull();
  });

  test('DOC14 a client that edits before it has told of what it did offline loses nothing', async () => {
    const { memory, alice } = await shared();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(memory.document.doc));
    doc.getMap('views').set('offline', savedView('dave'));
    const dave = memory.connect('dave', { doc });
    dave.views().get('offline')?.set('name', 'Told at once');
    dave.views().set('later', savedView('dave'));
    await quiet();
    expect(dave.refusals).toEqual([]);
    expect(alice.views().get('offline')?.get('name')).toBe('Told at once');
    expect(alice.views().has('later')).toBe(true);
  });
});

describe('Yjs client ids', () => {
  test('DOC16 belong to whoever they first came from', async () => {
    const { memory, alice, bob } = await shared();
    const forged = new Y.Doc();
    Y.applyUpdate(forged, Y.encodeStateAsUpdate(memory.document.doc));
    forged.clientID = alice.doc.clientID;
    const before = Y.encodeStateVector(forged);
    (forged.getMap('annotations').get('a1') as Y.Map<unknown>).set('resolved', { by: 'bob', at: '2026-11-23T00:00:00.000Z' });
    const state = entries(memory.document.doc);
    bob.sendEdit(Y.encodeStateAsUpdate(forged, before));
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC16', code: 'forbidden', rebuild: true }]);
    expect(bob.closedBy).toMatchObject({ code: 'forbidden' });
    expect(entries(memory.document.doc)).toEqual(state);
    const bindings = memory.batches.flatMap((batch) => batch.bindings);
    expect(bindings).toContainEqual({ clientId: alice.doc.clientID, subject: 'alice' });
  });

  test('DOC16 of somebody who is present are theirs before their first edit, whoever else edits under them', async () => {
    const { memory, bob } = await shared();
    const carol = memory.connect('carol');
    carol.awareness.setLocalState({ user: { name: 'Carol' } });
    await quiet();
    const squatting = new Y.Doc();
    squatting.clientID = [...bob.awareness.getStates().keys()].find((clientId) => clientId === carol.doc.clientID) ?? 0;
    squatting.getMap('views').set('v9', savedView('bob'));
    bob.sendEdit(Y.encodeStateAsUpdate(squatting));
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC16', code: 'forbidden', rebuild: true }]);
    expect(bob.closedBy).toMatchObject({ code: 'forbidden' });
    carol.views().set('v2', savedView('carol'));
    await quiet();
    expect(carol.refusals).toEqual([]);
    expect(memory.batches.flatMap((batch) => batch.bindings)).toContainEqual({ clientId: carol.doc.clientID, subject: 'carol' });
  });

  test('DOC16 what others wrote may be told again by anybody who has it', async () => {
    const { memory, bob, alice } = await shared();
    bob.sendEdit(Y.encodeStateAsUpdate(alice.doc));
    await quiet();
    expect(bob.refusals).toEqual([]);
    expect(memory.batches.flatMap((batch) => batch.bindings).map(({ subject }) => subject)).not.toContain('bob');
  });

  test('DOC16 that of the server is nobody’s, and what it puts back is bound to nobody and keeps the author that the entry names', async () => {
    const { memory, bob } = await shared();
    const forged = new Y.Doc();
    forged.clientID = memory.document.doc.clientID;
    forged.getMap('views').set('x', savedView('bob'));
    bob.views().get('v1')?.set('name', 0);
    await quiet();
    expect(memory.batches.flatMap((batch) => batch.bindings)).toContainEqual({ clientId: memory.document.doc.clientID, subject: null });
    bob.annotations().get('a1')?.set('author', 'bob');
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC4' }, { rule: 'DOC7' }]);
    const put = memory.document.doc.getMap<Y.Map<unknown>>('annotations').get('a1');
    expect(put?.get('author')).toBe('alice');
    expect(put?._map.get('author')?.id.client).toBe(memory.document.doc.clientID);
    bob.sendEdit(Y.encodeStateAsUpdate(forged));
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'forbidden' });
  });
});

describe('bounds', () => {
  test('DOC15 an edit that is too large is refused, and the channel ends', async () => {
    const { memory, bob, alice } = await shared({ documentUpdateBytesMax: 20_000 });
    bob.views().set('big', savedView('bob', { description: 'x'.repeat(9_000), columnsConfig: { text: 'y'.repeat(30_000) } }));
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large', rebuild: true }]);
    expect(bob.closedBy).toMatchObject({ code: 'payload_too_large' });
    expect(entries(alice.doc)).toEqual(entries(memory.document.doc));
  });

  test('DOC15 a document that is full takes removals only', async () => {
    const { memory, alice, bob } = await shared({ documentBytesMax: 5_000, documentUpdateBytesMax: 5_000 });
    bob.views().delete('v1');
    await quiet();
    bob.views().set('big', savedView('bob', { description: 'x'.repeat(4_500) }));
    await quiet();
    expect(bob.refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large' }]);
    expect(alice.views().toJSON()).toEqual({});
    expect(memory.document.doc.getMap('views').toJSON()).toEqual({});
  });

  test('DOC15 too many edits at once end the channel with rate_limited', async () => {
    const { alice } = await shared({ documentUpdatesPerSecond: 2 });
    for (let index = 0; index < 30; index += 1) alice.views().get('v1')?.set('name', `Name ${index}`);
    await quiet();
    expect(alice.closedBy).toMatchObject({ code: 'rate_limited' });
  });

  test('DOC17 a reader who is too far behind loses the channel and finds everything when coming back', async () => {
    const { memory, alice, bob } = await shared({ documentQueuedBytesMax: 1_000 });
    bob.queuedBytes = 1_001;
    alice.views().get('v1')?.set('name', 'While bob slept');
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'unavailable' });
    const back = memory.connect('bob', { doc: bob.doc });
    await quiet();
    expect(entries(back.doc)).toEqual(entries(alice.doc));
  });

  test('DOC18 types at the root that are not the document’s own are kept and synced, up to a number', async () => {
    const { memory, alice, bob } = await shared({ documentRootsMax: 5 });
    alice.doc.getText('notes').insert(0, 'free');
    await quiet();
    expect(bob.doc.getText('notes').toString()).toBe('free');
    for (let index = 0; index < 5; index += 1) bob.doc.getMap(`root ${index}`).set('a', 1);
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'unprocessable_data' });
    expect(memory.document.doc.share.size).toBeLessThanOrEqual(5);
  });
});

describe('bytes that are no message', () => {
  const message = (...parts: readonly (number | string | Uint8Array)[]): Uint8Array => {
    const encoder = createEncoder();
    for (const part of parts) {
      if (typeof part === 'number') writeVarUint(encoder, part);
      else if (typeof part === 'string') writeVarString(encoder, part);
      else writeVarUint8Array(encoder, part);
    }
    return toUint8Array(encoder);
  };

  test.each([
    ['nothing', new Uint8Array()],
    ['an unknown kind', message(77)],
    ['an unknown kind of sync', message(0, 9)],
    ['a length that lies', Uint8Array.from([0, 2, 200, 1, 1])],
    ['structs that are claimed and not there', message(0, 2, message(1, 1_000_000_000, 5, 0))],
    ['a state vector that is none', message(0, 0, Uint8Array.from([255, 255, 1]))],
    ['presence that is cut off', message(1, message(1, 5))],
  ])('DOC19 %s ends the channel with invalid_input', async (_, bytes) => {
    const { memory, alice, bob } = await shared();
    bob.send(bytes);
    await quiet();
    expect(bob.closedBy).toMatchObject({ code: 'invalid_input' });
    alice.views().get('v1')?.set('name', 'Goes on');
    await quiet();
    expect(memory.document.doc.getMap<Y.Map<unknown>>('views').get('v1')?.get('name')).toBe('Goes on');
  });

  test('DOC19 mutated edits never take the document down, and everybody ends in one state', async () => {
    const seed = Date.now() % 1_000_000;
    const random = seededRandom(seed);
    const { memory, alice } = await shared({ documentRefusalsPerMinute: 600_000 });
    const source = new Y.Doc();
    const sourceUpdates: Uint8Array[] = [];
    source.on('update', (update: Uint8Array) => sourceUpdates.push(update));
    for (let round = 0; round < 300; round += 1) {
      const mallory = memory.connect('mallory');
      Y.applyUpdate(source, Y.encodeStateAsUpdate(memory.document.doc));
      sourceUpdates.length = 0;
      source.getMap('views').set('m', savedView('mallory', { name: `Round ${round}` }));
      source.getMap<Y.Map<unknown>>('annotations').get('a1')?.set('resolved', null);
      const bytes = (sourceUpdates[random.below(sourceUpdates.length)] as Uint8Array).slice();
      for (let change = 0; change <= random.below(3); change += 1) bytes[random.below(bytes.length)] = random.below(256);
      mallory.sendEdit(bytes);
      await quiet();
      mallory.close();
      expect(memory.document.isLost, `seed ${seed}, round ${round}`).toBe(false);
    }
    await quiet();
    expect(entries(alice.doc), `seed ${seed}`).toEqual(entries(memory.document.doc));
    expect(entries(memory.reloaded()), `seed ${seed}`).toEqual(entries(memory.document.doc));
  });
});
