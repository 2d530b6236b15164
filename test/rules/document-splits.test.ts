import { createEncoder, toUint8Array, writeVarUint } from 'lib0/encoding';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { scanUpdate } from '../../server/services/documents/update-scan.ts';
import { memoryDocument, quiet } from '../support/live-document.ts';

const ALICE = 100;

/** A list of values that are one item, as they were put in together. */
function listOf(count: number): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = ALICE;
  doc.getArray('own').push(Array.from({ length: count }, () => null));
  return doc;
}

/** Removals by hand, each of one value. */
function removing(clocks: readonly number[]): Uint8Array {
  const encoder = createEncoder();
  for (const number of [0, 1, ALICE, clocks.length, ...clocks.flatMap((clock) => [clock, 1])]) writeVarUint(encoder, number);
  return toUint8Array(encoder);
}

const everyOther = (count: number): number[] => Array.from({ length: count }, (_, at) => 2 * at + 1);
const stepsOf = (doc: Y.Doc, update: Uint8Array): number => scanUpdate(doc, update, 64).splitSteps();

async function sharedList(limits = {}) {
  const memory = memoryDocument({ documentConflictStepsMax: 1_000, ...limits });
  const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
  await quiet();
  Y.applyUpdate(alice.doc, Y.encodeStateAsUpdate(listOf(1_000)));
  await quiet();
  return { memory, alice, mallory };
}

test('DOC15 removals that split a long list too often are refused, and leave it as it was', async () => {
  const { memory, alice, mallory } = await sharedList();
  mallory.sendEdit(removing(everyOther(400)));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'payload_too_large', details: { rule: 'DOC15', rebuild: true } });
  alice.doc.getArray('own').delete(500, 1);
  await quiet();
  expect([alice.isClosed, alice.refusals]).toEqual([false, []]);
  for (const doc of [memory.document.doc, memory.reloaded()]) expect(doc.getArray('own').length).toBe(999);
});

test('DOC15 splits count towards what the edits of a connection may cost in a second', async () => {
  const { memory, mallory } = await sharedList({ documentConflictStepsPerSecond: 40 });
  mallory.sendEdit(removing([100, 200]));
  await quiet();
  expect(mallory.isClosed).toBe(false);
  mallory.sendEdit(removing([300, 400, 500]));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'rate_limited', details: { documentConflictStepsPerSecond: 40 } });
  expect(memory.document.doc.getArray('own').length).toBe(995);
});

test('DOC15 an edit counts what it splits: values that are there, its own, and those that it is put between', () => {
  const doc = listOf(160);
  expect(stepsOf(doc, removing([10]))).toBe(19);
  expect(stepsOf(doc, removing([0]))).toBe(10);
  expect(stepsOf(new Y.Doc(), Y.mergeUpdates([Y.encodeStateAsUpdate(doc), removing([10])]))).toBe(19);
  const other = new Y.Doc();
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  const known = Y.encodeStateVector(other);
  other.getArray('own').insert(80, ['between']);
  expect(stepsOf(doc, Y.encodeStateAsUpdate(other, known))).toBe(10);
});

test('DOC15 what was split, what was removed and texts cost nothing', () => {
  const doc = listOf(160);
  Y.applyUpdate(doc, removing([10, 20]));
  expect(stepsOf(doc, removing([10, 20]))).toBe(0);
  expect(stepsOf(doc, removing([9]))).toBe(0);
  // A copy that has removed much, and tells all of it again with what is new.
  const whole = Y.encodeStateAsUpdate(doc);
  expect(stepsOf(doc, whole)).toBe(0);
  expect(stepsOf(new Y.Doc(), whole)).toBe(0);
  const text = new Y.Doc();
  text.clientID = ALICE;
  text.getText('own').insert(0, 'a long text '.repeat(1_000));
  expect(stepsOf(text, removing(everyOther(5_000)))).toBe(0);
});

test('DOC15 of removals in their order each costs what is left of the list, of others all of it', () => {
  const doc = listOf(1_600);
  const last = everyOther(20).map((clock) => 1_560 + clock);
  expect(stepsOf(doc, removing(last))).toBeLessThan(150);
  expect(stepsOf(doc, removing(last.toReversed()))).toBeGreaterThan(2_000);
});

test('DOC15 values that come in many small items are held as some large ones, and not copied with each', async () => {
  const memory = memoryDocument();
  const alice = memory.connect('alice');
  await quiet();
  const pushed = Array.from({ length: 10_000 }, (_, at) => [at, null]);
  const small = new Y.Doc();
  const updates: Uint8Array[] = [];
  small.on('update', (update: Uint8Array) => updates.push(update));
  for (const values of pushed) small.getArray('own').push(values);
  alice.sendEdit(Y.mergeUpdates(updates));
  await quiet();
  const { doc } = memory.document;
  const lengths = doc.store.clients.get(small.clientID)?.map(({ length }) => length) ?? [];
  expect([Math.max(...lengths), lengths.reduce((sum, length) => sum + length, 0)]).toEqual([16_384, 20_000]);
  for (const held of [doc, memory.reloaded()]) expect(held.getArray('own').toJSON()).toEqual(pushed.flat());
});

test('DOC15 ranges that touch each other are split one by one, and count so', () => {
  const chain = Array.from({ length: 100 }, (_, at) => at);
  expect(stepsOf(listOf(1_600), removing(chain))).toBeGreaterThan(9_500);
});

test('DOC15 what the server holds as several items counts as the one that it is to programs of others', async () => {
  const memory = memoryDocument();
  const alice = memory.connect('alice');
  await quiet();
  const doc = new Y.Doc();
  doc.clientID = ALICE;
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (let pushed = 0; pushed < 4; pushed += 1) doc.getArray('own').push(Array.from({ length: 16_000 }, () => null));
  for (const update of updates) alice.sendEdit(update);
  await quiet();
  expect(memory.document.doc.store.clients.get(ALICE)?.length).toBe(4);
  for (const clock of [10_000, 16_000, 40_000]) expect(stepsOf(memory.document.doc, removing([clock]))).toBeGreaterThanOrEqual(64_000 / 16);
});
