import { createEncoder, toUint8Array, writeAny, writeVarString, writeVarUint } from 'lib0/encoding';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';
import { Removals } from '../../server/services/documents/removals.ts';
import { type ClockRange, removalOf } from '../../server/services/documents/update-scan.ts';
import { annotation, reply, savedView } from '../support/entries.ts';
import { type MemoryClient, type MemoryDocument, memoryDocument, quiet } from '../support/live-document.ts';

/** What no program that uses Yjs would send, and a client of its own making can. */

const LEVELS = defaultLimits.documentLevelsMax;

async function shared(): Promise<{ readonly memory: MemoryDocument; readonly alice: MemoryClient; readonly mallory: MemoryClient }> {
  const memory = memoryDocument();
  const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
  await quiet();
  return { memory, alice, mallory };
}

/** As it comes from the wire: `__proto__` is a field of it like any other. */
const withProto = (value: unknown): object => Object.defineProperty({}, '__proto__', { value, enumerable: true });

type Part = readonly [clientId: number, root: string, content: 'value' | 'document'];

/** An update by hand, each part being one item of a Yjs client. */
function updateOf(...parts: readonly Part[]): Uint8Array {
  const encoder = createEncoder();
  writeVarUint(encoder, parts.length);
  for (const [clientId, root, content] of parts) {
    for (const number of [1, clientId, 0]) writeVarUint(encoder, number);
    // The kind of content, a key in a map, a root by its name.
    writeVarUint(encoder, (content === 'value' ? 8 : 9) | 0x20);
    writeVarUint(encoder, 1);
    for (const text of [root, 'key']) writeVarString(encoder, text);
    if (content === 'value') writeVarUint(encoder, 1);
    else writeVarString(encoder, 'guid');
    writeAny(encoder, content === 'value' ? 1 : {});
  }
  writeVarUint(encoder, 0);
  return toUint8Array(encoder);
}

test('DOC18 an edit by hand is what it says', async () => {
  const { memory, mallory } = await shared();
  mallory.sendEdit(updateOf([77, 'a', 'value'], [76, 'b', 'value']));
  await quiet();
  expect(memory.document.doc.getMap('a').toJSON()).toEqual({ key: 1 });
  expect(memory.document.doc.getMap('b').toJSON()).toEqual({ key: 1 });
});

test.each<[string, readonly Part[]]>([
  [
    'one after the other',
    [
      [77, 'a', 'value'],
      [77, 'b', 'document'],
    ],
  ],
  [
    'with another in between',
    [
      [77, 'a', 'value'],
      [76, 'a', 'value'],
      [77, 'b', 'document'],
    ],
  ],
])('DOC19 a client that is in an edit twice, %s, smuggles nothing past what was looked at', async (_, parts) => {
  const { memory, alice, mallory } = await shared();
  mallory.sendEdit(updateOf(...parts));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'invalid_input' });
  expect(memory.document.doc.getSubdocs().size).toBe(0);
  expect([...memory.document.doc.share.keys()]).toEqual(['views', 'annotations']);
  expect(alice.isClosed).toBe(false);
});

/** So many maps within each other, at a root of the client's own. */
function nest(doc: Y.Doc, levels: number, from: Y.Map<unknown> = doc.getMap('own')): Y.Map<unknown> {
  let inner = from;
  doc.transact(() => {
    for (let level = 0; level < levels; level += 1) inner = inner.set('in', new Y.Map<unknown>());
  });
  return inner;
}

test('DOC18 types lie within each other so far and no further, in one edit or in several', async () => {
  const { memory, alice, mallory } = await shared();
  const innermost = nest(alice.doc, LEVELS);
  innermost.set('value', 1);
  await quiet();
  expect(memory.document.doc.getMap('own').toJSON()).toEqual(alice.doc.getMap('own').toJSON());
  nest(alice.doc, 1, innermost);
  await quiet();
  expect(alice.closedBy).toMatchObject({ code: 'unprocessable_data', details: { rule: 'DOC18' } });
  nest(mallory.doc, LEVELS + 1, mallory.doc.getMap('other'));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'unprocessable_data', details: { rule: 'DOC18' } });
  expect(memory.document.doc.share.has('other')).toBe(false);
});

test('DOC18 elements of a list are beside each other, and what is within them is within the list', async () => {
  const { memory, mallory } = await shared();
  const list = mallory.doc.getArray<Y.Map<unknown>>('list');
  mallory.doc.transact(() => {
    for (let index = 0; index < 10 * LEVELS; index += 1) list.push([new Y.Map([['index', index]])]);
  });
  await quiet();
  expect(memory.document.doc.getArray('list').length).toBe(10 * LEVELS);
  nest(mallory.doc, LEVELS, list.get(5 * LEVELS));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'unprocessable_data', details: { rule: 'DOC18' } });
});

/** A value within so many lists. */
function listed(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

test.each<[string, (doc: Y.Doc, value: unknown) => void]>([
  ['a map', (doc, value) => doc.getMap('own').set('key', value)],
  ['a list', (doc, value) => doc.getArray('own').push([value])],
  ['what is embedded', (doc, value) => doc.getText('own').insertEmbed(0, { value })],
  ['formatting', (doc, value) => doc.getText('own').insert(0, 'x', { bold: value })],
])('DOC18 values of %s lie within each other so far and no further', async (_, edit) => {
  const { memory, alice, mallory } = await shared();
  edit(alice.doc, listed(LEVELS - 1));
  await quiet();
  expect(alice.isClosed).toBe(false);
  const before = Y.encodeStateVector(memory.document.doc);
  edit(mallory.doc, listed(LEVELS + 1));
  await quiet();
  expect(mallory.closedBy).toMatchObject({ code: 'unprocessable_data', details: { rule: 'DOC18' } });
  expect(Y.encodeStateVector(memory.document.doc)).toEqual(before);
});

test('DOC3 no entry is named as no field of an object can be', async () => {
  const { memory, mallory } = await shared();
  mallory.views().set('__proto__', savedView('mallory'));
  mallory.annotations().set('__proto__', annotation('mallory'));
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC3' }, { rule: 'DOC3' }]);
  mallory.views().set('constructor', savedView('mallory'));
  await quiet();
  expect(Object.keys(memory.document.doc.getMap('views').toJSON())).toEqual(['constructor']);
  const person = memoryDocument({}, 'user');
  const own = person.connect('mallory');
  own.doc.getMap('preferences').set('__proto__', 1);
  await quiet();
  expect(own.refusals).toMatchObject([{ rule: 'DOC3', path: ['preferences', '__proto__'] }]);
});

const JUNK = 'x'.repeat(100_000);

test.each<[string, (mallory: MemoryClient) => void]>([
  ['a reply', ({ doc }) => repliesOf(doc).push([withProto({ ...reply('mallory', 'r2'), junk: JUNK })])],
  ['within a reply', ({ doc }) => repliesOf(doc).push([{ ...reply('mallory', 'r2'), junk: [withProto({ junk: JUNK })] }])],
  ['an anchor', (mallory) => mallory.annotations().set('n2', annotation('mallory', 'Odd', { anchor: withProto({ column: 'salary' }) }))],
  [
    'who resolved',
    (mallory) =>
      mallory
        .annotations()
        .get('n1')
        ?.set('resolved', withProto({ by: 'mallory', at: '2026-11-23T00:00:00.000Z' })),
  ],
  ['a config', (mallory) => mallory.views().set('v1', savedView('mallory', { config: withProto({ columns: ['salary'], junk: JUNK }) }))],
])('DOC2 %s hides no fields in one named __proto__', async (_, edit) => {
  const { memory, alice, mallory } = await shared();
  mallory.annotations().set('n1', annotation('mallory'));
  await quiet();
  edit(mallory);
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC2', message: 'must not have fields "__proto__"' }]);
  for (const doc of [memory.document.doc, alice.doc]) {
    expect(doc.getMap('annotations').toJSON()).toEqual({ n1: expect.objectContaining({ replies: [], resolved: null }) });
    expect(doc.getMap('views').size).toBe(0);
  }
});

function repliesOf(doc: Y.Doc): Y.Array<unknown> {
  return doc.getMap<Y.Map<unknown>>('annotations').get('n1')?.get('replies') as Y.Array<unknown>;
}

test.each<[string, (mallory: MemoryClient) => void]>([
  ['a text', (mallory) => mallory.annotations().set('n1', annotation('mallory', '', { body: new Y.XmlText('Odd') }))],
  ['a list', (mallory) => mallory.annotations().set('n1', annotation('mallory', '', { replies: new Y.XmlFragment() }))],
  ['an entry', (mallory) => mallory.doc.getMap('annotations').set('n1', new Y.XmlHook('hook'))],
  ['an entry', (mallory) => mallory.doc.getMap('views').set('v1', new Y.XmlElement('view'))],
  ['plain JSON', (mallory) => mallory.views().set('v1', savedView('mallory', { name: new Y.XmlText('By region') }))],
])('DOC2 a type of XML is not taken for %s', async (_, edit) => {
  const { memory, mallory } = await shared();
  edit(mallory);
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC2' }]);
  expect([memory.document.doc.getMap('views').size, memory.document.doc.getMap('annotations').size]).toEqual([0, 0]);
});

test('DOC15 an edit has so many items and no more, however few its bytes', async () => {
  const memory = memoryDocument({ documentUpdateStructsMax: 100 });
  const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
  await quiet();
  const own = (doc: Y.Doc, items: number): void =>
    doc.transact(() => {
      for (let at = 0; at < items; at += 1) doc.getMap('own').set(`${at}`, at);
    });
  own(alice.doc, 100);
  await quiet();
  expect(memory.document.doc.getMap('own').size).toBe(100);
  own(mallory.doc, 101);
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large', rebuild: true }]);
  expect(mallory.closedBy).toMatchObject({ code: 'payload_too_large' });
  expect(alice.refusals).toEqual([]);
});

/** Removes every second one of the first clocks of a client. */
const everySecond = (clientId: number, count: number): ClockRange[] =>
  Array.from({ length: count }, (_, index) => ({ clientId, clock: 2 * index, length: 1 }));

test('DOC15 an edit removes so many ranges and no more, those of what is removed already not counted', async () => {
  const memory = memoryDocument({ documentUpdateStructsMax: 100 });
  const [alice, bob, mallory] = [memory.connect('alice'), memory.connect('bob'), memory.connect('mallory')];
  await quiet();
  alice.doc.getText('own').insert(0, 'x'.repeat(1_000));
  await quiet();
  const { clientID } = alice.doc;
  const ranges = everySecond(clientID, 51);
  mallory.sendEdit(removalOf([...ranges.toReversed(), ...ranges]));
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large', rebuild: true }]);
  expect(memory.document.doc.getText('own').length).toBe(1_000);
  for (const count of [50, 100, 150]) alice.sendEdit(removalOf(everySecond(clientID, count)));
  await quiet();
  expect(memory.document.doc.getText('own').length).toBe(850);
  // Who comes back tells all that was ever removed.
  bob.sendEdit(removalOf(everySecond(clientID, 150)));
  await quiet();
  expect([...alice.refusals, ...bob.refusals]).toEqual([]);
});

test('DOC13 ranges that an update removes are put together, in whatever order they come', () => {
  const ranges = [10, 4, 0, 2, 3, 3].map((clock) => ({ clock, len: 2 }));
  const removals = new Removals(new Map([[1, ranges]]));
  const covered = (clock: number, length: number): boolean => removals.cover(Y.createID(1, clock), length);
  expect([covered(0, 6), covered(1, 4), covered(10, 2)]).toEqual([true, true, true]);
  expect([covered(5, 2), covered(6, 1), covered(9, 2), covered(11, 2), covered(12, 1)]).toEqual([false, false, false, false, false]);
  expect(removals.cover(Y.createID(2, 0), 1)).toBe(false);
  expect([removals.exceed(() => 11), removals.exceed(() => 12)]).toEqual([true, false]);
});

const ids = (from: number, count: number): Part[] => Array.from({ length: count }, (_, index) => [from + count - index, 'own', 'value']);

test('DOC15 an edit brings so many new Yjs clients, and a person has so many in a document', async () => {
  const memory = memoryDocument({ documentNewClientsMax: 4, documentClientsMax: 6 });
  const clients = [memory.connect('mallory'), memory.connect('mallory'), memory.connect('alice')] as const;
  const [first, second, alice] = clients;
  await quiet();
  first.sendEdit(updateOf(...ids(100, 4)));
  await quiet();
  expect(first.refusals).toEqual([]);
  first.sendEdit(updateOf(...ids(200, 5)));
  second.sendEdit(updateOf(...ids(300, 3)));
  alice.sendEdit(updateOf(...ids(400, 3)));
  await quiet();
  for (const { refusals } of [first, second]) expect(refusals).toMatchObject([{ rule: 'DOC15', code: 'payload_too_large', rebuild: true }]);
  expect(alice.refusals).toEqual([]);
  expect(memory.batches.flatMap(({ bindings }) => bindings)).toHaveLength(7);
});
