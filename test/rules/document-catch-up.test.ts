import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type * as Y from 'yjs';
import { annotation } from '../support/entries.ts';
import { type MemoryClient, memoryDocument, quiet } from '../support/live-document.ts';

const LIMITS = { documentQueuedBytesMax: 1_000, documentStallMs: 400 };

/** A document whose state is more than may wait for a reader. */
async function large() {
  const memory = memoryDocument(LIMITS);
  const alice = memory.connect('alice');
  await quiet();
  alice.annotations().set('a1', annotation('alice'));
  bodyOf(alice).insert(0, 'long '.repeat(500));
  await quiet();
  return { memory, alice };
}

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
  const { memory } = await large();
  const [slow, gone] = [memory.connect('slow'), memory.connect('gone')];
  slow.queuedBytes = 5_000;
  gone.queuedBytes = 5_000;
  const reading = setInterval(() => {
    slow.queuedBytes -= 100;
  }, 50);
  try {
    await expect.poll(() => gone.closedBy, { timeout: 5_000 }).toMatchObject({ code: 'unavailable' });
    expect(slow.isClosed).toBe(false);
  } finally {
    clearInterval(reading);
  }
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

test('DOC25 while a document is edited a snapshot is asked for when one is due, however little came', async () => {
  const memory = memoryDocument({ documentSnapshotIntervalMs: 300 });
  const alice = memory.connect('alice');
  alice.annotations().set('a1', annotation('alice'));
  await quiet();
  expect(memory.grown).toBe(0);
  await delay(300);
  bodyOf(alice).insert(0, 'x');
  await quiet();
  expect(memory.grown).toBe(1);
  memory.document.snapshotDueIn(60_000);
  await delay(50);
  for (let edit = 0; edit < 5; edit += 1) {
    bodyOf(alice).insert(0, 'x');
    await quiet();
  }
  expect(memory.grown).toBe(1);
});
