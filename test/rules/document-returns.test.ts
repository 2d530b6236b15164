import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { expectOneState, repliesOf, stateOf, withEntries } from '../support/document-entries.ts';
import { annotation, reply, savedView } from '../support/entries.ts';
import { type MemoryClient, quiet } from '../support/live-document.ts';

test('DOC6 an entry that somebody removed comes back as it was, and nothing else comes in somebody else’s name', async () => {
  const { memory, clients } = await withEntries();
  const [, bob] = clients as [MemoryClient, MemoryClient];
  const undo = new Y.UndoManager(bob.annotations());
  bob.annotations().delete('a1');
  await quiet();
  undo.undo();
  await quiet();
  expect(bob.refusals).toEqual([]);
  expect(stateOf(memory.document.doc)).toMatchObject({ annotations: { a1: { author: 'alice', body: 'Odd price' } } });
  bob.annotations().delete('a1');
  bob.views().delete('v1');
  await quiet();
  bob.annotations().set('a1', annotation('alice', 'Odd price', { createdAt: '2020-01-01T00:00:00.000Z' }));
  bob.views().set('v2', savedView('alice', { name: 'In her name' }));
  await quiet();
  expect(bob.refusals).toMatchObject([
    { rule: 'DOC7', path: ['annotations', 'a1', 'createdAt'] },
    { rule: 'DOC6', path: ['views', 'v2', 'author'] },
  ]);
  bob.annotations().set('a1', annotation('bob', 'Fine price'));
  await quiet();
  expect(bob.refusals).toHaveLength(2);
  expectOneState(memory, clients);
});

test('DOC6 an entry comes back together with what whoever may write may change in it', async () => {
  const { memory, clients } = await withEntries();
  const [, bob] = clients as [MemoryClient, MemoryClient];
  bob.views().delete('v1');
  await quiet();
  bob.views().set('v1', savedView('alice', { name: 'Another name' }));
  await quiet();
  expect(bob.refusals).toEqual([]);
  expect(stateOf(memory.document.doc)).toMatchObject({ views: { v1: { author: 'alice', name: 'Another name', updatedBy: 'bob' } } });
  expectOneState(memory, clients);
});

test('DOC6 a reply that somebody removed comes back as it was, and not otherwise', async () => {
  const { memory, clients } = await withEntries();
  const [, bob] = clients as [MemoryClient, MemoryClient];
  repliesOf(bob).delete(0);
  repliesOf(bob).push([reply('alice', 'r1')]);
  await quiet();
  expect(bob.refusals).toEqual([]);
  repliesOf(bob).delete(0);
  repliesOf(bob).push([reply('alice', 'r1', 'In her name')]);
  await quiet();
  expect(bob.refusals).toMatchObject([{ rule: 'DOC6', path: ['annotations', 'a1', 'replies', 0, 'author'] }]);
  expect(repliesOf(bob).toJSON()).toEqual([]);
  expectOneState(memory, clients);
});

const NOTE = ['annotations', 'a1'] as const;
const RETURNS: Readonly<Record<string, { readonly rule: string; readonly path: readonly (string | number)[]; readonly note: () => Y.Map<unknown> }>> =
  {
    'resolved in the name of somebody else': {
      rule: 'DOC6',
      path: [...NOTE, 'resolved', 'by'],
      note: () => returning({ resolved: { by: 'carol', at: '2026-11-23T00:00:00.000Z' } }),
    },
    'with a changed reply of somebody else': {
      rule: 'DOC7',
      path: [...NOTE, 'replies', 0, 'body'],
      note: () => returning({ replies: Y.Array.from([reply('alice', 'r1', 'In her name')]) }),
    },
    'with a new reply of somebody else': {
      rule: 'DOC6',
      path: [...NOTE, 'replies', 1, 'author'],
      note: () => returning({ replies: Y.Array.from([reply('alice', 'r1'), reply('alice', 'r2')]) }),
    },
    'about something else': { rule: 'DOC7', path: [...NOTE, 'anchor'], note: () => returning({ anchor: { column: 'region' } }) },
    'under the name of who brings it back, replies included': {
      rule: 'DOC6',
      path: [...NOTE, 'replies', 0, 'author'],
      note: () => annotation('bob', 'Odd price', { replies: Y.Array.from([reply('alice', 'r1')]) }),
    },
  };

/** The note of alice as it was, but for some fields. */
const returning = (fields: Record<string, unknown>): Y.Map<unknown> =>
  annotation('alice', 'Odd price', { replies: Y.Array.from([reply('alice', 'r1')]), ...fields });

test.each(Object.entries(RETURNS))('DOC6 a removed note does not come back %s', async (_, { rule, path, note }) => {
  const { memory, clients } = await withEntries();
  const [, bob] = clients as [MemoryClient, MemoryClient];
  bob.annotations().delete('a1');
  await quiet();
  bob.annotations().set('a1', note());
  await quiet();
  expect(bob.refusals).toMatchObject([{ rule, path }]);
  expect(bob.annotations().toJSON()).toEqual({});
  expectOneState(memory, clients);
});

test('DOC6 whoever removed a note of their own may make another one with its id', async () => {
  const { memory, clients } = await withEntries();
  const [alice] = clients as [MemoryClient];
  alice.annotations().delete('a1');
  await quiet();
  alice.annotations().set('a1', annotation('alice', 'Odd region', { anchor: { column: 'region' } }));
  await quiet();
  expect(alice.refusals).toEqual([]);
  expect(stateOf(memory.document.doc)).toMatchObject({ annotations: { a1: { body: 'Odd region', replies: [] } } });
  expectOneState(memory, clients);
});

test('DOC6 a removed reply does not return to another entry that has taken the id of its own', async () => {
  const { memory, clients } = await withEntries();
  const [, bob, mallory] = clients as [MemoryClient, MemoryClient, MemoryClient];
  repliesOf(bob).delete(0);
  await quiet();
  mallory.annotations().delete('a1');
  await quiet();
  mallory.annotations().set('a1', annotation('mallory', 'Shall we sell?'));
  await quiet();
  repliesOf(mallory).push([reply('alice', 'r1')]);
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC6', path: ['annotations', 'a1', 'replies', 0, 'author'] }]);
  expect(repliesOf(mallory).toJSON()).toEqual([]);
  mallory.annotations().delete('a1');
  await quiet();
  mallory.annotations().set('a1', annotation('mallory', 'Shall we sell?', { replies: Y.Array.from([reply('alice', 'r1')]) }));
  await quiet();
  expect(mallory.refusals).toHaveLength(2);
  expect(stateOf(memory.document.doc)).toMatchObject({ annotations: {} });
  expectOneState(memory, clients);
});

test('DOC6 a reply that was removed before its entry was returns once that is back', async () => {
  const { memory, clients } = await withEntries();
  const [, bob] = clients as [MemoryClient, MemoryClient];
  repliesOf(bob).delete(0);
  await quiet();
  bob.annotations().delete('a1');
  await quiet();
  bob.annotations().set('a1', annotation('alice', 'Odd price'));
  await quiet();
  repliesOf(bob).push([reply('alice', 'r1')]);
  await quiet();
  expect(bob.refusals).toEqual([]);
  expect(stateOf(memory.document.doc)).toMatchObject({ annotations: { a1: { author: 'alice', replies: [{ id: 'r1', author: 'alice' }] } } });
  expectOneState(memory, clients);
});

test.each([
  { name: 'documentRemovedEntriesMax', limits: { documentRemovedEntriesMax: 2 }, bodyChars: 5 },
  { name: 'documentRemovedBytesMax', limits: { documentRemovedBytesMax: 2_500 }, bodyChars: 1_000 },
])('DOC6 of what was removed no more comes back than $name lets the document remember, the last first', async ({ limits, bodyChars }) => {
  const { memory, clients } = await withEntries(limits);
  const [alice, bob] = clients as [MemoryClient, MemoryClient];
  const ids = ['n1', 'n2', 'n3'];
  const note = (): Y.Map<unknown> => annotation('alice', 'x'.repeat(bodyChars));
  for (const id of ids) alice.annotations().set(id, note());
  await quiet();
  const remove = async (id: string): Promise<void> => {
    bob.annotations().delete(id);
    await quiet();
  };
  for (const id of ids) await remove(id);
  // Removed again, one is remembered once.
  bob.annotations().set('n3', note());
  await quiet();
  await remove('n3');
  for (const id of ids) bob.annotations().set(id, note());
  await quiet();
  expect(bob.refusals).toMatchObject([{ rule: 'DOC6', path: ['annotations', 'n1', 'author'] }]);
  expect(Object.keys(bob.annotations().toJSON()).sort()).toEqual(['a1', 'n2', 'n3']);
  expectOneState(memory, clients);
});
