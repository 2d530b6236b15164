import { afterEach, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';
import { ThreadCounts } from '../../server/shared/thread-counts.ts';
import { DocumentStatesThread } from '../../server/workers/document-states.client.ts';
import type { DocumentStatesSettings } from '../../server/workers/document-states.protocol.ts';

const NAME = 'document-states';

const restingAfter = (documentStatesIdleMs: number): DocumentStatesSettings => ({
  limits: { ...defaultLimits, documentStatesIdleMs, documentLoadStepsMax: 1_000 },
  databaseUrl: undefined,
});

let thread: DocumentStatesThread;

afterEach(() => thread.close());

/** A document with one entry, as an update. */
function updateOf(key: string): Uint8Array {
  const doc = new Y.Doc();
  doc.getMap('entries').set(key, 1);
  return Y.encodeStateAsUpdate(doc);
}

test('DOC23 the thread that puts states together ends after a rest, and whoever asks then gets another', async () => {
  const counts = new ThreadCounts();
  thread = new DocumentStatesThread(restingAfter(50), counts);
  const asked = await Promise.all([thread.compact([updateOf('a'), updateOf('b')]), thread.read([updateOf('a')], ['entries'])]);
  expect(asked[1]).toEqual({ entries: { a: 1 } });
  expect(counts.running.get(NAME)).toBe(1);
  await vi.waitFor(() => expect(counts.running.get(NAME)).toBe(0), { timeout: 30_000 });
  expect(await thread.read([asked[0]], ['entries'])).toEqual({ entries: { a: 1, b: 1 } });
  expect(counts.failures.get(NAME)).toBe(0);
});

test('DOC23 it does not end while it is asked', async () => {
  const counts = new ThreadCounts();
  thread = new DocumentStatesThread(restingAfter(1), counts);
  for (let turn = 0; turn < 20; turn += 1) {
    const many = Array.from({ length: 50 }, (_, index) => thread.read([updateOf(`${turn}-${index}`)], ['entries']));
    const read = await Promise.all(many);
    expect(read.map(({ entries }) => Object.keys(entries as object))).toEqual(read.map((_, index) => [`${turn}-${index}`]));
  }
  expect(counts.failures.get(NAME)).toBe(0);
});

test('DOC23 it takes what it is given over rather than a copy, where nobody else has the memory', async () => {
  thread = new DocumentStatesThread(restingAfter(50));
  const [whole, part] = [updateOf('a'), Buffer.concat([updateOf('b'), new Uint8Array(1)]).subarray(0, -1)];
  const both = await thread.compact([whole, part]);
  expect([whole.byteLength, part.byteLength > 0]).toEqual([0, true]);
  expect(await thread.page({ updates: [both], map: 'entries', after: '', limit: 5, unchangedIn: undefined })).toEqual([
    { id: 'a', entry: 1 },
    { id: 'b', entry: 1 },
  ]);
});
