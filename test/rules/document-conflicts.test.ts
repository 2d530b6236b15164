import { createEncoder, toUint8Array, writeAny, writeUint8, writeVarString, writeVarUint } from 'lib0/encoding';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';
import { applyStored, countConflictSteps } from '../../server/shared/conflict-steps.ts';
import { DocumentStatesThread } from '../../server/workers/document-states.client.ts';
import { type MemoryClient, type MemoryDocument, memoryDocument, quiet } from '../support/live-document.ts';
import { seededRandom } from '../support/random.ts';

/** The places of items: where several were put between the same two, and those that there cannot be. */

const ALICE = 100;
const MALLORY = 200;
const STEPS = 1_000;

type Item = (encoder: ReturnType<typeof createEncoder>) => void;

/** An update by hand: some items of one Yjs client, from its first clock. */
function updateOf(clientId: number, items: readonly Item[]): Uint8Array {
  const encoder = createEncoder();
  for (const number of [1, items.length, clientId, 0]) writeVarUint(encoder, number);
  for (const write of items) write(encoder);
  writeVarUint(encoder, 0);
  return toUint8Array(encoder);
}

/** Something embedded in a list, between its beginning and an item. */
const before =
  (right: Y.ID): Item =>
  (encoder) => {
    writeUint8(encoder, 5 | 0x40);
    for (const number of [right.client, right.clock]) writeVarUint(encoder, number);
    writeVarString(encoder, '{}');
  };

/** A value of a key, as if the key had none. */
const firstOf =
  (root: string, key: string): Item =>
  (encoder) => {
    writeUint8(encoder, 8 | 0x20);
    writeVarUint(encoder, 1);
    for (const text of [root, key]) writeVarString(encoder, text);
    writeVarUint(encoder, 1);
    writeAny(encoder, 1);
  };

const times = (count: number, item: Item): Item[] => Array.from({ length: count }, () => item);

/** A list of so many items that do not become one. */
function listOf(count: number, clientId = ALICE): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = clientId;
  doc.transact(() => {
    for (let at = 0; at < count; at += 1) doc.getText('own').insertEmbed(at, {});
  });
  return doc;
}

const lastOf = (count: number, clientId = ALICE): Y.ID => Y.createID(clientId, count - 1);

/** What it takes to put a document together from what it is stored as. */
const loadingSteps = ({ batches }: MemoryDocument): number =>
  countConflictSteps(Number.POSITIVE_INFINITY, () => {
    Y.applyUpdate(new Y.Doc(), Y.mergeUpdates(batches.flatMap(({ updates }) => updates)));
  });

async function shared(limits = {}): Promise<{ readonly memory: MemoryDocument; readonly alice: MemoryClient; readonly mallory: MemoryClient }> {
  const memory = memoryDocument({ documentConflictStepsMax: STEPS, ...limits });
  const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
  await quiet();
  Y.applyUpdate(alice.doc, Y.encodeStateAsUpdate(listOf(100)));
  await quiet();
  return { memory, alice, mallory };
}

const merged = (...docs: readonly Y.Doc[]): Uint8Array => Y.mergeUpdates(docs.map((doc) => Y.encodeStateAsUpdate(doc)));

test.each<[string, Uint8Array]>([
  ['of which each goes past a list', updateOf(MALLORY, times(100, before(lastOf(100))))],
  ['of which each is the first value of a key', updateOf(MALLORY, times(100, firstOf('own map', 'key')))],
  ['that go past each other', Y.mergeUpdates([merged(listOf(100, 300)), updateOf(MALLORY, times(100, before(lastOf(100, 300))))])],
])('DOC15 an edit of items %s is refused, and leaves nobody as much to do', async (_, update) => {
  const { memory, alice, mallory } = await shared();
  mallory.sendEdit(update);
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large', rebuild: true }]);
  expect(mallory.closedBy).toMatchObject({ code: 'payload_too_large', details: { rule: 'DOC15', rebuild: true } });
  expect(memory.document.doc.getText('own').length).toBe(100);
  expect(memory.document.doc.getMap('own map').size).toBe(0);
  expect(loadingSteps(memory)).toBeLessThanOrEqual(STEPS);
  alice.doc.getText('own').insert(100, 'x');
  await quiet();
  expect([alice.isClosed, alice.refusals]).toEqual([false, []]);
  for (const doc of [alice.doc, memory.reloaded()]) expect(doc.getText('own').toDelta()).toEqual(memory.document.doc.getText('own').toDelta());
});

test('DOC15 an edit goes past as many items as it may', async () => {
  const { memory, mallory } = await shared();
  mallory.sendEdit(updateOf(MALLORY, times(10, before(lastOf(100)))));
  await quiet();
  expect([mallory.refusals, mallory.isClosed]).toEqual([[], false]);
  expect(memory.document.doc.getText('own').length).toBe(110);
});

test('DOC15 the edits of a connection go past so many items a second, of whichever edits', async () => {
  const { memory, mallory } = await shared({ documentConflictStepsPerSecond: 1_000 / 10 });
  mallory.sendEdit(updateOf(MALLORY, times(6, before(lastOf(100)))));
  await quiet();
  expect(mallory.isClosed).toBe(false);
  mallory.sendEdit(updateOf(MALLORY + 1, times(6, before(lastOf(100)))));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'rate_limited', details: { documentConflictStepsPerSecond: 100 } });
  // Whoever comes back finds it taken.
  expect(memory.document.doc.getText('own').length).toBe(112);
});

test('DOC15 who sends an edit that goes past too many items, and too many a second, hears that it was refused', async () => {
  const { mallory } = await shared({ documentConflictStepsPerSecond: 1 });
  mallory.sendEdit(updateOf(MALLORY, times(100, before(lastOf(100)))));
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC15', rebuild: true }]);
  expect(mallory.closedBy).toMatchObject({ code: 'payload_too_large', details: { rule: 'DOC15', rebuild: true } });
});

test('DOC15 what an edit may go past bounds what is done, however much more it would be', () => {
  const doc = listOf(2_000);
  const stepsMax = defaultLimits.documentConflictStepsMax;
  const hostile = updateOf(MALLORY, times(2_000, before(lastOf(2_000))));
  expect(countConflictSteps(stepsMax, () => Y.applyUpdate(doc, hostile))).toBe(stepsMax + 1);
  expect(Y.getState(doc.store, MALLORY)).toBe(2_000);
  const state = Y.encodeStateAsUpdate(doc);
  expect(countConflictSteps(Number.POSITIVE_INFINITY, () => Y.applyUpdate(new Y.Doc(), state))).toBeLessThanOrEqual(stepsMax);
});

const { below } = seededRandom(7);

/** A copy of what somebody has, and what they make of it while they are away. */
function awayWith(base: Uint8Array, edit: (doc: Y.Doc) => void): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = below(2 ** 32);
  Y.applyUpdate(doc, base);
  const known = Y.encodeStateVector(doc);
  edit(doc);
  return Y.encodeStateAsUpdate(doc, known);
}

function typeAround(doc: Y.Doc): void {
  const text = doc.getText('own');
  for (let at = 0; at < 2_000; at += 1) {
    if (at % 7 === 0 && text.length > 0) text.delete(below(text.length), 1);
    else text.insert(below(text.length + 1), 'ab');
  }
}

const repeat =
  (count: number, edit: (doc: Y.Doc, at: number) => void) =>
  (doc: Y.Doc): void => {
    for (let at = 0; at < count; at += 1) edit(doc, at);
  };

describe('DOC15 what programs that use Yjs do goes past few items:', () => {
  const text = new Y.Doc();
  text.getText('own').insert(0, 'A long text. '.repeat(500));
  const base = Y.encodeStateAsUpdate(text);
  const push = (doc: Y.Doc, at: number): void => doc.getArray('own list').push([new Y.Map([['at', at]])]);
  const unshift = (doc: Y.Doc, at: number): void => doc.getArray('own list').unshift([at]);
  const paste = (doc: Y.Doc): void => doc.getArray('own list').push(Array.from({ length: 5_000 }, (_, at) => new Y.Map([['at', at]])));
  const set = (doc: Y.Doc, at: number): void => void doc.getMap('own map').set('key', at);

  test.each<[string, ((doc: Y.Doc) => void)[]]>([
    ['two type all over a text', [typeAround, typeAround]],
    ['one of many pushes much, two some', [repeat(3_000, push), repeat(300, push), repeat(300, push)]],
    ['two put some at the beginning of a list', [repeat(300, unshift), repeat(300, unshift)]],
    ['two paste a large list', [paste, paste]],
    ['a thousand set one key for the first time', Array.from({ length: 1_000 }, () => repeat(1, set))],
    ['three set one key very often', [repeat(3_000, set), repeat(3_000, set), repeat(3_000, set)]],
  ])('%s', (_, edits) => {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, base);
    for (const edit of edits) {
      const update = awayWith(base, edit);
      const steps = countConflictSteps(Number.POSITIVE_INFINITY, () => Y.applyUpdate(doc, update));
      expect(steps).toBeLessThan(defaultLimits.documentConflictStepsMax / 2);
    }
  });
});

test('DOC15 all edits together go past so many items that what is stored can be opened again', async () => {
  const { memory, mallory } = await shared({ documentLoadStepsMax: 2 * STEPS });
  for (const clientId of [MALLORY, MALLORY + 1]) mallory.sendEdit(updateOf(clientId, times(6, before(lastOf(100)))));
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC15', rebuild: true }]);
  const others = ['bob', 'carol'].map((name) => memory.connect(name));
  await quiet();
  for (const [at, { doc }] of others.entries()) doc.getText('own').insertEmbed(50 + at, {});
  await quiet();
  expect(others.map(({ refusals }) => refusals)).toEqual([[], []]);
  expect(memory.document.doc.getText('own').length).toBe(108);
  expect(loadingSteps(memory)).toBeLessThanOrEqual(2 * STEPS);
  expect(memory.reloaded().getText('own').length).toBe(108);
});

/** Items that come in few steps each, and go past all of each other in the order in which a state has them. */
function costlyInOrder(count: number): readonly Uint8Array[] {
  const [first, second] = [Y.createID(ALICE, 0), Y.createID(ALICE, 1)];
  const behindOneself =
    (clock: number): Item =>
    (encoder) => {
      writeUint8(encoder, 5 | 0x80 | 0x40);
      for (const number of [MALLORY + 1, clock, first.client, first.clock]) writeVarUint(encoder, number);
      writeVarString(encoder, '{}');
    };
  const chain = Array.from({ length: count }, (_, at) => (at === 0 ? before(first) : behindOneself(at - 1)));
  return [Y.encodeStateAsUpdate(listOf(2)), updateOf(MALLORY, times(count, before(second))), updateOf(MALLORY + 1, chain)];
}

test('DOC23 what takes too many steps to put together takes the place of no log, and is refused where it is stored', async () => {
  const updates = costlyInOrder(100);
  const bound = { stepsMax: 1_000 };
  expect(() => applyStored(new Y.Doc(), updates, bound)).not.toThrow();
  const state = Y.mergeUpdates([...updates]);
  expect(() => applyStored(new Y.Doc(), [state], bound)).toThrow(expect.objectContaining({ code: 'unprocessable_data', details: bound }));
  const states = new DocumentStatesThread({ limits: { ...defaultLimits, documentLoadStepsMax: bound.stepsMax }, databaseUrl: undefined });
  try {
    await expect(states.compact(updates)).rejects.toMatchObject({ code: 'unprocessable_data', details: { stepsMax: 500 } });
    await expect(states.compact([Y.encodeStateAsUpdate(listOf(100))])).resolves.toBeInstanceOf(Uint8Array);
  } finally {
    await states.close();
  }
});

/** What stands for so many items that are gone. */
const gone =
  (count: number): Item =>
  (encoder) => {
    writeUint8(encoder, 0);
    writeVarUint(encoder, count);
  };

/** So many values in one item, in a list or beside an item. */
const values =
  (count: number, place: string | { readonly origin: Y.ID } | { readonly rightOrigin: Y.ID } | { readonly parent: Y.ID }): Item =>
  (encoder) => {
    const id = typeof place === 'string' ? undefined : 'origin' in place ? place.origin : 'parent' in place ? place.parent : place.rightOrigin;
    const isBeside = typeof place !== 'string' && !('parent' in place);
    writeUint8(encoder, 8 | (isBeside ? ('origin' in place ? 0x80 : 0x40) : 0));
    if (!isBeside) writeVarUint(encoder, id === undefined ? 1 : 0);
    if (typeof place === 'string') writeVarString(encoder, place);
    for (const number of id === undefined ? [] : [id.client, id.clock]) writeVarUint(encoder, number);
    writeVarUint(encoder, count);
    for (let at = 0; at < count; at += 1) writeAny(encoder, at);
  };

const own = (clock: number): Y.ID => Y.createID(MALLORY, clock);
const gonePlace = Y.createID(MALLORY + 1, 0);

test.each<[string, readonly Item[], readonly Item[]]>([
  ['the rest of what is gone, in a list', [gone(10)], [values(20, 'own list')]],
  ['the rest of what is gone, in a list that is new', [gone(10)], [values(20, 'new')]],
  ['the rest of what is gone, beside what is there', [gone(10)], [values(20, { rightOrigin: lastOf(100) })]],
  ['the rest of what is gone, beside what comes with it', [gone(10)], [values(20, { origin: own(20) }), values(1, 'own list')]],
  ['the rest of what is in another list', [values(10, 'own list')], [values(20, 'other list')]],
  ['behind itself', [gone(1)], [gone(1), values(1, { origin: own(1) })]],
  ['before what follows', [gone(1)], [gone(1), values(1, { rightOrigin: own(2) }), values(1, 'own list')]],
  ['within what follows', [gone(1)], [gone(1), values(1, { parent: own(2) }), values(1, 'own list')]],
  ['behind what follows, and there already', [values(2, 'own list')], [values(2, { origin: own(2) }), values(1, 'own list')]],
  ['without a length', [gone(1)], [gone(1), values(0, 'own list'), values(1, 'own list')]],
])('DOC19 an item that is %s ends the channel that it came on, and no other', async (_, first, second) => {
  const { memory, alice, mallory } = await shared();
  mallory.sendEdit(updateOf(MALLORY, first));
  await quiet();
  const before = Y.encodeStateAsUpdate(memory.document.doc);
  mallory.sendEdit(updateOf(MALLORY, second));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'invalid_input' });
  expect(alice.isClosed).toBe(false);
  expect(Y.encodeStateAsUpdate(memory.document.doc)).toEqual(before);
});

test.each<[string, readonly Item[], readonly Item[]]>([
  ['in a list', [values(10, 'own list')], [values(20, 'own list')]],
  ['beside an item', [values(10, { rightOrigin: lastOf(100) })], [values(20, { rightOrigin: lastOf(100) })]],
  ['in what is gone', [gone(10)], [values(20, { parent: gonePlace })]],
])('DOC19 an item of which the beginning is there already is continued %s', async (_, first, second) => {
  const { memory, alice, mallory } = await shared();
  for (const update of [updateOf(gonePlace.client, [gone(1)]), updateOf(MALLORY, first), updateOf(MALLORY, second)]) {
    mallory.sendEdit(update);
    await quiet();
  }
  expect([mallory.isClosed, alice.isClosed]).toEqual([false, false]);
  expect(Y.getState(memory.document.doc.store, MALLORY)).toBe(20);
  for (const doc of [memory.reloaded(), alice.doc])
    expect(doc.getArray('own list').toJSON()).toEqual(memory.document.doc.getArray('own list').toJSON());
});
