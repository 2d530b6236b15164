import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';
import { Growth } from '../../server/services/documents/growth.ts';
import { annotation } from '../support/entries.ts';
import { type MemoryClient, memoryDocument, quiet } from '../support/live-document.ts';

const LIMITS = { documentQueuedBytesMax: 1_000 };

/** A document whose state is more than may wait for a reader. */
async function large(limits: Parameters<typeof memoryDocument>[0] = {}) {
  const memory = memoryDocument({ ...LIMITS, ...limits });
  const alice = memory.connect('alice');
  await quiet();
  alice.annotations().set('a1', annotation('alice'));
  bodyOf(alice).insert(0, 'long '.repeat(500));
  await quiet();
  return { memory, alice };
}

/** The first step of a sync, of who has nothing. */
const ASKING_FOR_ALL = Uint8Array.of(0, 0, 1, 0);

const bodyOf = (client: MemoryClient): Y.Text => client.annotations().get('a1')?.get('body') as Y.Text;
const textOf = (client: MemoryClient): string => bodyOf(client).toString();

test('DOC17 edits that come while a large state is under way to a newcomer come behind it, and the channel stays', async () => {
  const { memory, alice } = await large();
  const bob = memory.connect('bob');
  bob.queuedBytes = 5_000;
  await quiet();
  const before = bob.received.length;
  for (let edit = 0; edit < 20; edit += 1) {
    bodyOf(alice).insert(0, `${edit} `);
    await quiet();
  }
  expect(bob.isClosed).toBe(false);
  expect(bob.received.length).toBe(before);
  expect(textOf(bob)).not.toBe(textOf(alice));
  bob.queuedBytes = 0;
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
  bodyOf(alice).insert(0, 'and live again ');
  await quiet();
  expect(textOf(bob)).toBe(textOf(alice));
});

test('DOC17 what a newcomer edits meanwhile is told as durable once they have caught up', async () => {
  const { memory, alice } = await large();
  const carol = memory.connect('carol');
  carol.queuedBytes = 5_000;
  await quiet();
  bodyOf(carol).insert(0, 'carol was here ');
  await quiet();
  expect(textOf(alice)).toContain('carol was here');
  expect(carol.durable).toBe(0);
  carol.queuedBytes = 0;
  await expect.poll(() => carol.durable).toBe(carol.edits);
});

test('DOC17 who reads slowly keeps the channel for as long as they read, and who reads nothing loses it', async () => {
  const { memory } = await large({ documentStallMs: 2_000 });
  const [slow, gone] = [memory.connect('slow'), memory.connect('gone')];
  slow.queuedBytes = 50_000;
  gone.queuedBytes = 50_000;
  const reading = setInterval(() => {
    slow.queuedBytes -= 100;
  }, 50);
  try {
    await expect.poll(() => gone.closedBy, { timeout: 20_000 }).toMatchObject({ code: 'unavailable' });
    expect(slow.isClosed).toBe(false);
  } finally {
    clearInterval(reading);
  }
});

test('DOC17 who asks for the whole state again while it is under way is sent no edits behind it either', async () => {
  const { memory, alice } = await large();
  const bob = memory.connect('bob');
  bob.queuedBytes = 5_000;
  await quiet();
  bob.send(ASKING_FOR_ALL);
  await quiet();
  const before = bob.received.length;
  // The states that wait are much more than the last of them, as where both are still unread.
  bob.queuedBytes = 50_000;
  bodyOf(alice).insert(0, 'more ');
  await quiet();
  expect({ isClosed: bob.isClosed, received: bob.received.length }).toEqual({ isClosed: false, received: before });
  bob.queuedBytes = 0;
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
});

test('DOC17 so it is where both requests wait for the same commit, and are answered as one', async () => {
  const { memory, alice } = await large();
  const gate = Promise.withResolvers<void>();
  memory.beforeCommit = () => gate.promise;
  bodyOf(alice).insert(0, 'meanwhile ');
  await quiet();
  const bob = memory.connect('bob');
  bob.queuedBytes = 5_000;
  bob.send(ASKING_FOR_ALL);
  await quiet();
  const before = bob.received.length;
  gate.resolve();
  await quiet();
  // The state has come, of which nothing is read.
  expect(bob.received.length).toBe(before + 1);
  bob.queuedBytes = 50_000;
  bodyOf(alice).insert(0, 'more ');
  await quiet();
  expect({ isClosed: bob.isClosed, received: bob.received.length }).toEqual({ isClosed: false, received: before + 1 });
  bob.queuedBytes = 0;
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
});

test('DOC17 a difference that is large itself is read before edits come behind it', async () => {
  const { memory, alice } = await large();
  const bob = memory.connect('bob');
  bob.countsQueue = true;
  await quiet();
  expect(bob.queuedBytes).toBeGreaterThan(2_500);
  bodyOf(alice).insert(0, 'more '.repeat(500));
  await quiet();
  // As where a slow line has just let the last of the state through.
  bob.queuedBytes = 499;
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
  expect(bob.queuedBytes).toBeGreaterThan(1_000);
  bodyOf(alice).insert(0, 'and ');
  await quiet();
  expect(bob.isClosed).toBe(false);
  bob.queuedBytes = 0;
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
});

test('DOC17 who lacks nothing once the state is read is there, however much the next difference would have', async () => {
  const { memory, alice } = await large();
  const bob = memory.connect('bob');
  bob.queuedBytes = 5_000;
  await quiet();
  const received = bob.received.length;
  bob.queuedBytes = 400;
  await delay(300);
  // No state comes again, but only the word that their answer is settled.
  expect(bob.received.slice(received).every(({ length }) => length < 10)).toBe(true);
  bodyOf(alice).insert(0, 'live ');
  await quiet();
  expect(textOf(bob)).toBe(textOf(alice));
});

test('DOC17 where much was removed a difference is never small, and they are there all the same', async () => {
  const { memory, alice } = await large();
  // Every second letter is gone, and each of them is told in every difference.
  for (let at = 1; at < bodyOf(alice).length; at += 1) bodyOf(alice).delete(at, 1);
  await quiet();
  const bob = memory.connect('bob');
  bob.countsQueue = true;
  await quiet();
  for (let round = 0; round < 5; round += 1) {
    bodyOf(alice).insert(0, `${round}`);
    await quiet();
    bob.queuedBytes = 400;
    await delay(150);
  }
  await expect.poll(() => textOf(bob)).toBe(textOf(alice));
  const received = bob.received.length;
  bodyOf(alice).insert(0, 'live ');
  await quiet();
  expect(bob.received.length).toBe(received + 1);
  expect(textOf(bob)).toBe(textOf(alice));
  expect(bob.isClosed).toBe(false);
});

test('DOC25 while a document is edited a snapshot is asked for when one is due, however little came', () => {
  let nowMs = 1_000_000;
  const growth = new Growth({ state: null, batches: [], bindings: [], told: [] }, { limits: defaultLimits, clock: { now: () => nowMs } });
  const { documentSnapshotIntervalMs: everyMs } = defaultLimits;
  const isDueIn = (ms: number): boolean => {
    nowMs += ms;
    return growth.isStateDue(1);
  };
  expect(isDueIn(1)).toBe(false);
  // Soon after it was loaded, for the last one may be from long ago.
  expect(isDueIn(everyMs / 60)).toBe(true);
  expect(isDueIn(1)).toBe(false);
  // It failed, so that it is asked for again.
  expect(isDueIn(everyMs / 60)).toBe(true);
  growth.snapshotDueIn(everyMs / 2);
  expect(isDueIn(everyMs / 2 - 1)).toBe(false);
  expect(isDueIn(1)).toBe(true);
});
