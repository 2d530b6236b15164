import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { type PlainEntries, restoreEntries } from '../../server/services/documents/restoring.ts';
import { expectOneState, people } from '../support/document-entries.ts';
import { savedView } from '../support/entries.ts';
import { type MemoryClient, quiet } from '../support/live-document.ts';

const PENDING_BYTES_MAX = 50_000;
const VIEWS = 20;

/** A document with more in it than may wait for the database. */
async function withMuch(descriptionChars = 5_000): Promise<Awaited<ReturnType<typeof people>> & { readonly was: PlainEntries }> {
  const { memory, clients } = await people(['alice', 'mallory'], { documentPendingBytesMax: PENDING_BYTES_MAX });
  const [alice] = clients as [MemoryClient];
  for (let index = 0; index < VIEWS; index += 1) {
    memory.document.change((doc) => doc.getMap('views').set(`v${index}`, savedView('alice', { description: 'x'.repeat(descriptionChars) })));
    await quiet();
  }
  return { memory, clients, was: { views: alice.views().toJSON(), annotations: {} } };
}

test('DOC29 more is restored than may wait for the database, no more than about 1 MiB at once', async () => {
  const { memory, clients, was } = await withMuch(150_000);
  const [alice] = clients as [MemoryClient];
  memory.document.change((doc) => doc.getMap('views').clear());
  await quiet();
  const before = memory.batches.length;
  const counts = await restoreEntries(memory.document, 'dataset', was);
  await quiet();
  expect(counts).toEqual({ restored: VIEWS, removed: 0 });
  const sizes = memory.batches.slice(before).flatMap(({ updates }) => updates.map(({ length }) => length));
  expect(Math.max(...sizes)).toBeLessThan(1.2 * 1024 * 1024);
  expect(alice.isClosed).toBe(false);
  expect(alice.views().toJSON()).toEqual(was.views);
  expectOneState(memory, clients);
});

test('DOC21 what is put back after a refused edit, however much, ends the document for nobody', async () => {
  const { memory, clients, was } = await withMuch();
  const [alice, mallory] = clients as [MemoryClient, MemoryClient];
  mallory.doc.transact(() => {
    mallory.views().clear();
    mallory.views().set('bad', new Y.Map());
  });
  await quiet();
  expect(mallory.refusals).toMatchObject([{ rule: 'DOC4' }]);
  expect([alice.isClosed, mallory.isClosed, memory.document.isLost]).toEqual([false, false, false]);
  expect(alice.views().toJSON()).toEqual(was.views);
  expectOneState(memory, clients);
});

test('DOC21 while much that was put back waits, an edit ends the channel of who sends it, and no other', async () => {
  const { memory, clients, was } = await withMuch();
  const [alice, mallory] = clients as [MemoryClient, MemoryClient];
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  memory.beforeCommit = () => stored;
  for (let time = 0; time < 2; time += 1) {
    mallory.doc.transact(() => {
      mallory.views().clear();
      mallory.views().set(`bad${time}`, new Y.Map());
    });
    await quiet();
  }
  expect(mallory.closedBy).toMatchObject({ code: 'unavailable' });
  expect([alice.isClosed, memory.document.isLost]).toEqual([false, false]);
  store();
  await quiet();
  alice.views().delete('v0');
  await quiet();
  const { v0: _, ...others } = was.views as Record<string, unknown>;
  expect(alice.views().toJSON()).toEqual(others);
  expectOneState(memory, [alice]);
});
