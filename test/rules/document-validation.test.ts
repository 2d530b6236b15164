import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { expectOneState, people, repliesOf, stateOf, withEntries } from '../support/document-entries.ts';
import { annotation, reply, savedView } from '../support/entries.ts';
import { type MemoryClient, memoryDocument, quiet } from '../support/live-document.ts';

/** Bytes of a text, wherever somebody received them. */
const heard = (client: MemoryClient, text: string): boolean => client.received.some((bytes) => Buffer.from(bytes).includes(text));

interface Bad {
  readonly rule: string;
  readonly edit: (mallory: MemoryClient) => void;
}

const SECRET = 'SECRET-OF-A-REFUSED-EDIT';

const BAD: Readonly<Record<string, Bad>> = {
  'a view without a name': { rule: 'DOC4', edit: (m) => m.views().set('v9', savedView('mallory', { name: '', plugin: SECRET })) },
  'a view with a field too many': { rule: 'DOC4', edit: (m) => m.views().set('v9', savedView('mallory', { surplus: SECRET })) },
  'a view that is a plain object': { rule: 'DOC2', edit: (m) => m.views().set('v9', { name: SECRET } as unknown as Y.Map<unknown>) },
  'a view that is a text': { rule: 'DOC2', edit: (m) => m.views().set('v9', new Y.Text(SECRET) as unknown as Y.Map<unknown>) },
  'a view under an id that is none': { rule: 'DOC3', edit: (m) => m.views().set('no id', savedView('mallory', { description: SECRET })) },
  'a view of somebody else': { rule: 'DOC6', edit: (m) => m.views().set('v9', savedView('alice', { description: SECRET })) },
  'an overwritten config': { rule: 'DOC4', edit: (m) => m.views().get('v1')?.set('config', SECRET) },
  'an overwritten author': { rule: 'DOC7', edit: (m) => m.views().get('v1')?.set('author', 'mallory') },
  'a removed field': { rule: 'DOC4', edit: (m) => m.views().get('v1')?.delete('plugin') },
  'an overwritten view': { rule: 'DOC7', edit: (m) => m.views().set('v1', savedView('mallory', { name: SECRET })) },
  'a shared type in a config': {
    rule: 'DOC2',
    edit: (m) =>
      m
        .views()
        .get('v1')
        ?.set('config', new Y.Map([['columns', SECRET]])),
  },
  'an overwritten annotation': { rule: 'DOC2', edit: (m) => m.annotations().set('a1', SECRET as unknown as Y.Map<unknown>) },
  'a formatted text': { rule: 'DOC2', edit: (m) => bodyOf(m).insert(0, SECRET, { bold: true }) },
  'a formatted part of a text': { rule: 'DOC2', edit: (m) => bodyOf(m).format(0, 2, { link: SECRET }) },
  'something embedded in a text': { rule: 'DOC2', edit: (m) => bodyOf(m).insertEmbed(1, { image: SECRET }) },
  'an attribute of a text': { rule: 'DOC2', edit: (m) => bodyOf(m).setAttribute('secret', SECRET) },
  'a text that is too long': { rule: 'DOC5', edit: (m) => bodyOf(m).insert(3, 'x'.repeat(10_001)) },
  'a control character': { rule: 'DOC5', edit: (m) => bodyOf(m).insert(1, `${SECRET}\u0007`) },
  'a text that became a list': {
    rule: 'DOC2',
    edit: (m) =>
      m
        .annotations()
        .get('a1')
        ?.set('body', Y.Array.from([SECRET])),
  },
  'a reply of somebody else': { rule: 'DOC6', edit: (m) => repliesOf(m).push([reply('alice', 'r9', SECRET)]) },
  'a changed reply of somebody else': {
    rule: 'DOC7',
    edit: (m) =>
      m.doc.transact(() => {
        repliesOf(m).delete(0, 1);
        repliesOf(m).insert(0, [reply('alice', 'r1', SECRET)]);
      }),
  },
  'a shared type as a reply': { rule: 'DOC2', edit: (m) => repliesOf(m).push([new Y.Map([['id', SECRET]])]) },
  'a reply that is no reply': { rule: 'DOC5', edit: (m) => repliesOf(m).push([SECRET]) },
  'resolved in the name of somebody else': {
    rule: 'DOC6',
    edit: (m) => m.annotations().get('a1')?.set('resolved', { by: 'alice', at: '2026-11-23T00:00:00.000Z' }),
  },
  'a list where there is a map': { rule: 'DOC2', edit: (m) => asList(m, SECRET) },
  'good and bad at once': {
    rule: 'DOC4',
    edit: (m) =>
      m.doc.transact(() => {
        m.annotations().set('a9', annotation('mallory', SECRET));
        m.annotations().delete('a1');
        m.views().delete('v1');
        m.views().set('v9', savedView('mallory', { ref: '' }));
      }),
  },
};

const bodyOf = (client: MemoryClient): Y.Text => client.annotations().get('a1')?.get('body') as Y.Text;

/** Another program may take the map for a list. */
function asList(client: MemoryClient, text: string): void {
  const other = new Y.Doc();
  other.getArray('views').push([text]);
  Y.applyUpdate(client.doc, Y.encodeStateAsUpdate(other));
}

describe('an edit that breaks a rule', () => {
  test.each(Object.entries(BAD))('DOC12 %s is taken back everywhere, and nobody else hears of it', async (_, { rule, edit }) => {
    const { memory, clients } = await withEntries();
    const [, bob, mallory] = clients as [MemoryClient, MemoryClient, MemoryClient];
    const before = stateOf(memory.document.doc);
    edit(mallory);
    await quiet();
    expect(mallory.refusals).toMatchObject([{ rule, edit: mallory.edits, rebuild: false }]);
    expect(mallory.durable).toBe(mallory.edits);
    expect(stateOf(memory.document.doc)).toEqual(before);
    expectOneState(memory, clients);
    expect(heard(bob, SECRET)).toBe(false);
    expect(memory.batches.some(({ updates }) => updates.some((update) => Buffer.from(update).includes(SECRET)))).toBe(false);
  });

  test.each(Object.entries(BAD))('DOC12 after %s, later edits of the same client and of others still work', async (_, { edit }) => {
    const { memory, clients } = await withEntries();
    const [alice, , mallory] = clients as [MemoryClient, MemoryClient, MemoryClient];
    edit(mallory);
    await quiet();
    mallory.views().set('v2', savedView('mallory'));
    mallory.views().get('v1')?.set('name', 'Another name');
    bodyOf(mallory).insert(3, ', mallory says,');
    bodyOf(alice).insert(0, 'Very ');
    alice.annotations().set('a2', annotation('alice'));
    await quiet();
    expectOneState(memory, clients);
    expect(stateOf(memory.document.doc)).toMatchObject({
      views: { v1: { name: 'Another name', author: 'alice' }, v2: { author: 'mallory' } },
      annotations: { a1: { body: 'Very Odd, mallory says, price', replies: [{ id: 'r1' }] }, a2: { body: 'Odd' } },
    });
  });

  test('DOC12 is answered to clients of y-websocket as permission denied, naming the rule', async () => {
    const { memory } = await withEntries();
    const plain = memory.connect('mallory', { receipts: false });
    await quiet();
    plain.views().get('v1')?.set('name', 7);
    await quiet();
    expect(plain.denials).toEqual([expect.stringMatching(/^DOC4: views\/v1\/name /)]);
    expect(plain.views().get('v1')?.get('name')).toBe('By region');
  });

  test('DOC12 whoever never stops loses the channel', async () => {
    const memory = memoryDocument({ documentRefusalsPerMinute: 60 });
    const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
    await quiet();
    alice.views().set('v1', savedView('alice'));
    await quiet();
    for (let index = 0; index < 100; index += 1) mallory.views().set(`bad${index}`, new Y.Map([['name', index]]));
    await quiet();
    expect(mallory.closedBy).toMatchObject({ code: 'rate_limited' });
    expect(alice.views().get('v1')?.get('name')).toBe('By region');
    expect(stateOf(alice.doc)).toEqual(stateOf(memory.document.doc));
  });

  test('DOC12 whoever has much put back loses the channel soon, and once is forgiven', async () => {
    const memory = memoryDocument();
    const [alice, mallory] = [memory.connect('alice'), memory.connect('mallory')];
    await quiet();
    for (let index = 0; index < 100; index += 1) alice.views().set(`v${index}`, savedView('alice', { description: 'x'.repeat(9_000) }));
    await quiet();
    const everything = alice.views().toJSON();
    const removeAll = (): void =>
      mallory.doc.transact(() => {
        for (const id of [...mallory.views().keys()]) mallory.views().delete(id);
        mallory.views().set('bad', new Y.Map());
      });
    removeAll();
    await quiet();
    expect(mallory.isClosed).toBe(false);
    removeAll();
    await quiet();
    expect(mallory.closedBy).toMatchObject({ code: 'rate_limited' });
    expect(alice.views().toJSON()).toEqual(everything);
    expect(memory.document.doc.getMap('views').toJSON()).toEqual(everything);
  });

  test('DOC3 one entry too many is taken back', async () => {
    const { memory, clients } = await people(['alice']);
    const [alice] = clients as [MemoryClient];
    alice.doc.transact(() => {
      for (let index = 0; index < 2_000; index += 1) alice.views().set(`v${index}`, savedView('alice'));
    });
    await quiet();
    expect(alice.refusals).toEqual([]);
    alice.views().set('surplus', savedView('alice'));
    await quiet();
    expect(alice.refusals).toMatchObject([{ rule: 'DOC3' }]);
    alice.views().delete('v7');
    alice.views().set('instead', savedView('alice'));
    await quiet();
    expect(alice.refusals).toHaveLength(1);
    expectOneState(memory, clients);
  });

  test('DOC6 a changed view names who changed it last, whatever their program writes', async () => {
    const { memory, clients } = await withEntries();
    const [alice, bob, mallory] = clients as [MemoryClient, MemoryClient, MemoryClient];
    const change = (client: MemoryClient, fields: Record<string, unknown>): void =>
      client.doc.transact(() => {
        for (const [field, value] of Object.entries(fields)) client.views().get('v1')?.set(field, value);
      });
    change(bob, { name: 'Of bob', updatedBy: 'bob' });
    await quiet();
    change(mallory, { name: 'Of mallory' });
    await quiet();
    for (const { doc } of clients) expect(doc.getMap('views').toJSON()).toMatchObject({ v1: { name: 'Of mallory', updatedBy: 'mallory' } });
    mallory.views().get('v1')?.delete('updatedBy');
    await quiet();
    expect(alice.views().get('v1')?.get('updatedBy')).toBe('mallory');
    expectOneState(memory, clients);
  });

  test('DOC6 of two who change a view at once, the one whose change came last is named', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { memory, clients } = await withEntries();
      const [alice, bob] = clients as [MemoryClient, MemoryClient];
      alice.doc.transact(() => {
        alice.views().get('v1')?.set('name', 'Of alice');
        alice.views().get('v1')?.set('updatedBy', 'alice');
      });
      bob.doc.transact(() => {
        bob.views().get('v1')?.set('config', {});
        bob.views().get('v1')?.set('updatedBy', 'bob');
      });
      await quiet();
      expect([...alice.refusals, ...bob.refusals]).toEqual([]);
      expect(memory.document.doc.getMap('views').toJSON()).toMatchObject({ v1: { name: 'Of alice', config: {}, updatedBy: 'bob' } });
      expectOneState(memory, clients);
    }
  });
});
