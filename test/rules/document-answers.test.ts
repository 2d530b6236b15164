import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { readMessage } from '../../client/documents/wire.ts';
import { defaultLimits, type Limits } from '../../protocol/limits.ts';
import { Answers, type Asker } from '../../server/services/documents/answers.ts';
import { step1Message } from '../../server/services/documents/messages.ts';
import { SyncMessages } from '../../server/services/documents/sync-messages.ts';
import { CacheCounts } from '../../server/shared/cache-counts.ts';
import { type MemoryClient, memoryDocument, quiet } from '../support/live-document.ts';

const NOTHING = Y.encodeStateVector(new Y.Doc());
const ASKING_FOR_ALL = step1Message(NOTHING);
/** The answer to the server's question of who has nothing that it lacks. */
const NOTHING_NEW = Uint8Array.of(0, 1, 2, 0, 0);

/** What is in the answers that somebody received from a place on. */
function answersTo(client: MemoryClient, from: number): Y.Doc[] {
  return client.received.slice(from).flatMap((bytes) => {
    const message = readMessage(bytes);
    if (message.kind !== 'difference') return [];
    const doc = new Y.Doc();
    Y.applyUpdate(doc, message.update);
    return [doc];
  });
}

/** Two people, and commits that wait until each is let through. */
async function held() {
  const memory = memoryDocument();
  const [alice, bob] = [memory.connect('alice'), memory.connect('bob')];
  await quiet();
  const gates: (() => void)[] = [];
  memory.beforeCommit = () =>
    new Promise((resolve) => {
      gates.push(resolve);
    });
  const commit = async (): Promise<void> => {
    gates.shift()?.();
    await quiet();
  };
  return { memory, alice, bob, commit };
}

test('DOC21 who asks again and again while an edit is on its way gets one answer, once it is committed', async () => {
  const { alice, bob, commit } = await held();
  alice.doc.getMap('own').set('a', 1);
  await quiet();
  const before = bob.received.length;
  for (let time = 0; time < 50; time += 1) bob.send(ASKING_FOR_ALL);
  await quiet();
  expect(bob.received.length).toBe(before);
  await commit();
  expect(answersTo(bob, before).map((doc) => doc.getMap('own').toJSON())).toEqual([{ a: 1 }]);
  bob.send(ASKING_FOR_ALL);
  await quiet();
  expect(answersTo(bob, before)).toHaveLength(2);
});

test('DOC21 an answer has nothing that is not committed, and comes though others go on editing', async () => {
  const { alice, bob, commit } = await held();
  alice.doc.getMap('own').set('a', 1);
  await quiet();
  const before = bob.received.length;
  bob.send(ASKING_FOR_ALL);
  alice.doc.getMap('own').set('b', 2);
  await quiet();
  await commit();
  bob.send(ASKING_FOR_ALL);
  alice.doc.getMap('own').set('c', 3);
  await quiet();
  expect(answersTo(bob, before)).toEqual([]);
  expect(bob.doc.getMap('own').toJSON()).toEqual({ a: 1 });
  await commit();
  expect(answersTo(bob, before).map((doc) => doc.getMap('own').toJSON())).toEqual([{ a: 1, b: 2 }]);
  await commit();
  expect(answersTo(bob, before).map((doc) => doc.getMap('own').toJSON())).toEqual([
    { a: 1, b: 2 },
    { a: 1, b: 2, c: 3 },
  ]);
});

test('LIVE3 that edits are settled is told after the state that was asked for before them, also while others go on editing', async () => {
  const { alice, bob, commit } = await held();
  alice.doc.getMap('own').set('a', 1);
  await quiet();
  const before = bob.received.length;
  bob.send(ASKING_FOR_ALL);
  bob.send(NOTHING_NEW);
  alice.doc.getMap('own').set('b', 2);
  await quiet();
  const kinds = (): string[] => bob.received.slice(before).map((bytes) => readMessage(bytes).kind);
  await commit();
  expect(kinds()).not.toContain('durable');
  await commit();
  expect(kinds().filter((kind) => kind === 'difference' || kind === 'durable')).toEqual(['difference', 'durable']);
});

test('DOC21 one answer has what each of the programs behind a channel lacks, and what is no question is refused at once', async () => {
  const { memory, alice, bob, commit } = await held();
  alice.doc.getMap('own').set('a', 1);
  await quiet();
  const before = bob.received.length;
  bob.send(step1Message(Y.encodeStateVector(memory.document.doc)));
  bob.send(ASKING_FOR_ALL);
  await commit();
  expect(answersTo(bob, before).map((doc) => doc.getMap('own').toJSON())).toEqual([{ a: 1 }]);
  alice.doc.getMap('own').set('b', 2);
  await quiet();
  bob.send(step1Message(Uint8Array.of(255, 255)));
  await quiet();
  expect(bob.closedBy).toMatchObject({ code: 'invalid_input' });
  await commit();
  expect(alice.isClosed).toBe(false);
});

/** Answers about a document, and a log of which the commits are let through. */
function answering(doc: Y.Doc, limits: Partial<Limits>) {
  const waiting: (() => void)[] = [];
  const log = { isPending: true, whenCommitted: (callback: () => void) => void (log.isPending ? waiting.push(callback) : callback()) };
  const commit = (): void => {
    for (const callback of waiting.splice(0)) callback();
  };
  const resolved = { ...defaultLimits, ...limits };
  const answers = new Answers({ doc, messages: new SyncMessages(doc, resolved, new CacheCounts()), log, limits: resolved });
  const told: number[] = [];
  const askers = (count: number): Asker[] =>
    Array.from({ length: count }, (_, index) => ({ queuedBytes: 0, sendState: () => void told.push(index) }));
  return { answers, log, commit, told, askers };
}

test('DOC21 of answers to many only so much waits, and each is sent in the end', async () => {
  const doc = new Y.Doc();
  doc.getText('own').insert(0, 'x'.repeat(1_000));
  const { answers, log, commit, told, askers } = answering(doc, { documentPendingBytesMax: 500 });
  const all = askers(4);
  for (const asker of all) answers.ask(NOTHING, asker, true);
  answers.leave(all[3] as Asker);
  const seen: number[] = [];
  for (let commits = 0; commits < 3; commits += 1) {
    commit();
    await quiet();
    seen.push(told.length);
  }
  expect(seen).toEqual([0, 1, 2]);
  log.isPending = false;
  commit();
  await quiet();
  expect(told).toEqual([0, 1, 2]);
});

/** Many who have asked for a state that takes long to put together, of which all has just been committed. */
function crowd() {
  const doc = new Y.Doc();
  const own = doc.getMap('own');
  doc.transact(() => {
    for (let key = 0; key < 20_000; key += 1) own.set(`key ${key}`, key);
  });
  const made = answering(doc, { documentKeptSyncBytesMax: 0 });
  const all = made.askers(40);
  for (const asker of all) made.answers.ask(NOTHING, asker, true);
  made.log.isPending = false;
  made.commit();
  return { ...made, all };
}

test('DOC21 of many who are answered after one commit not all are in one turn, and each is in order', async () => {
  const { answers, told, all, askers } = crowd();
  expect(told.length).toBeLessThan(all.length);
  const [late] = askers(1) as [Asker];
  expect(() => answers.ask(Uint8Array.of(255, 255), late, true)).toThrow();
  const leaving = told.length + 1;
  answers.leave(all[leaving] as Asker);
  await expect.poll(() => told.length).toBe(all.length - 1);
  expect(told).toEqual(all.map((_, index) => index).filter((index) => index !== leaving));
});

test('DOC21 nobody is answered any more once the document is gone', async () => {
  const { answers, told } = crowd();
  const before = told.length;
  answers.end();
  await quiet();
  expect(told).toHaveLength(before);
});
