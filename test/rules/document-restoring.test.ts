import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { type PlainEntries, restoreEntries, whenStored } from '../../server/services/documents/restoring.ts';
import { expectOneState, people } from '../support/document-entries.ts';
import { savedView } from '../support/entries.ts';
import { type MemoryClient, type MemoryDocument, quiet } from '../support/live-document.ts';

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
  const counts = await restoreEntries(memory.document, { kind: 'dataset', wanted: was, keep: async () => undefined });
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

interface Kept {
  readonly kept: Record<string, { readonly name: string }>[];
  readonly keep: () => Promise<void>;
}

/** Snapshots of what is committed, while something else goes on. */
function keeping(memory: MemoryDocument, meanwhile: (times: number) => void): Kept {
  const kept: Kept['kept'] = [];
  const keep = async (): Promise<void> => {
    kept.push(memory.reloaded().getMap('views').toJSON() as Kept['kept'][number]);
    meanwhile(kept.length);
    await quiet();
  };
  return { kept, keep };
}

async function withChanged(views: number): Promise<Awaited<ReturnType<typeof people>> & { readonly was: PlainEntries }> {
  const { memory, clients } = await people(['alice', 'bob']);
  const [alice] = clients as [MemoryClient];
  const ids = Array.from({ length: views }, (_, index) => `v${index}`);
  memory.document.change((doc) => {
    for (const id of ids) doc.getMap('views').set(id, savedView('alice', { description: 'x'.repeat(9_000) }));
  });
  await quiet();
  const was = { views: alice.views().toJSON(), annotations: {} };
  memory.document.change((doc) => {
    for (const id of ids) doc.getMap<Y.Map<unknown>>('views').get(id)?.set('name', 'Changed');
  });
  await quiet();
  return { memory, clients, was };
}

test('DOC29 edits that are made while what is there is kept, or between slices, are kept before they are overwritten', async () => {
  const { memory, clients, was } = await withChanged(200);
  const [alice] = clients as [MemoryClient];
  const rename = (id: string, name: string): void => void alice.views().get(id)?.set('name', name);
  const { kept, keep } = keeping(memory, (times) => {
    if (times > 1) return;
    rename('v0', 'While it is kept');
    alice.views().set('new', savedView('alice', { name: 'New' }));
    memory.beforeCommit = async () => {
      if (memory.document.doc.getMap<Y.Map<unknown>>('views').get('v1')?.get('name') !== 'By region') return;
      memory.beforeCommit = async () => undefined;
      rename('v199', 'Between slices');
      await quiet();
    };
  });
  const counts = await restoreEntries(memory.document, { kind: 'dataset', wanted: was, keep });
  await quiet();
  expect(alice.refusals).toEqual([]);
  expect(kept).toMatchObject([
    { v0: { name: 'Changed' }, v199: { name: 'Changed' } },
    { v0: { name: 'While it is kept' }, v199: { name: 'Between slices' }, new: { name: 'New' } },
  ]);
  expect(counts).toEqual({ restored: 200, removed: 1 });
  expect(alice.views().toJSON()).toEqual(was.views);
  expectOneState(memory, clients);
});

test('DOC29 what somebody goes on changing while it is restored stays as they leave it', async () => {
  const { memory, clients, was } = await withChanged(3);
  const [alice] = clients as [MemoryClient];
  const { kept, keep } = keeping(memory, (times) => void alice.views().get('v0')?.set('name', `Name ${times}`));
  const counts = await restoreEntries(memory.document, { kind: 'dataset', wanted: was, keep });
  await quiet();
  expect(kept).toHaveLength(3);
  expect(counts).toEqual({ restored: 2, removed: 0 });
  expect(alice.views().toJSON()).toMatchObject({ v0: { name: 'Name 3' }, v1: { name: 'By region' }, v2: { name: 'By region' } });
  expectOneState(memory, clients);
});

test('DOC29 nothing is kept where everything is as it was', async () => {
  const { memory, clients } = await people(['alice']);
  const [alice] = clients as [MemoryClient];
  alice.views().set('v', savedView('alice'));
  await quiet();
  const { kept, keep } = keeping(memory, () => undefined);
  const was = { views: alice.views().toJSON(), annotations: {} };
  const restore = () => restoreEntries(memory.document, { kind: 'dataset', wanted: was, keep });
  expect(await restore()).toEqual({ restored: 0, removed: 0 });
  expect(kept).toHaveLength(0);
  alice.views().delete('v');
  await quiet();
  expect(await restore()).toEqual({ restored: 1, removed: 0 });
  expect(kept).toEqual([{}]);
});

/** Somebody makes an edit for each that is committed, so that there is always one under way. */
function withSteadyWriter(memory: MemoryDocument, writer: MemoryClient): { stop(): void } {
  let edits = 0;
  const edit = (): void => {
    edits += 1;
    writer.doc.getMap('own').set('edits', edits);
  };
  memory.beforeCommit = async () => {
    edit();
    await quiet();
  };
  edit();
  return {
    stop: () => {
      memory.beforeCommit = async () => undefined;
    },
  };
}

test('DOC29 a snapshot is restored while somebody goes on editing', async () => {
  const { memory, clients, was } = await withChanged(3);
  const [, bob] = clients as [MemoryClient, MemoryClient];
  const writer = withSteadyWriter(memory, bob);
  await quiet();
  const { kept, keep } = keeping(memory, () => undefined);
  expect(await restoreEntries(memory.document, { kind: 'dataset', wanted: was, keep })).toEqual({ restored: 3, removed: 0 });
  expect(kept).toMatchObject([{ v0: { name: 'Changed' } }]);
  writer.stop();
  await quiet();
  expectOneState(memory, clients);
});

test('DOC21 who waits until everything is stored is told when it never will be', async () => {
  const { memory, clients } = await people(['alice']);
  const [alice] = clients as [MemoryClient];
  const storing = Promise.withResolvers<void>();
  memory.beforeCommit = () => storing.promise;
  alice.views().set('v', savedView('alice'));
  await quiet();
  alice.views().set('w', savedView('alice'));
  await quiet();
  const waiting = whenStored(memory.document);
  storing.reject(new Error('the database is away'));
  await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
});
