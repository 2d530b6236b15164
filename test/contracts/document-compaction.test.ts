import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import * as Y from 'yjs';
import { defaultLimits } from '../../protocol/limits.ts';
import { updatesOf } from '../../server/shared/stored-updates.ts';
import type { DocumentLease } from '../../server/storage/stores.ts';
import { DocumentStatesThread } from '../../server/workers/document-states.client.ts';
import { useMetadata } from '../support/metadata.ts';

const metadata = useMetadata();
let threads: DocumentStatesThread[] = [];

afterEach(async () => {
  for (const thread of threads) await thread.close();
  threads = [];
});

function threadOn(databaseUrl: string, limits = defaultLimits): DocumentStatesThread {
  const thread = new DocumentStatesThread({ limits, databaseUrl });
  threads.push(thread);
  return thread;
}

/** A document whose log has so many edits, each of some bytes. */
async function documentWith(edits: number, bytes = 10): Promise<DocumentLease> {
  const { documents } = metadata.store;
  const [lease] = await documents.acquire([{ name: `user/${randomUUID()}`, datasetId: null, scope: null }], {
    serverId: randomUUID(),
    leaseMs: 3_600_000,
  });
  if (lease === undefined) throw new Error('another server has the document');
  const doc = new Y.Doc();
  for (let edit = 1; edit <= edits; edit += 1) {
    const before = Y.encodeStateVector(doc);
    doc.getMap('own').set(`key ${edit}`, 'x'.repeat(bytes));
    await documents.append(lease, { sequence: edit, updates: [Y.encodeStateAsUpdate(doc, before)], bindings: [] });
  }
  return lease;
}

async function entriesOf({ documentId }: DocumentLease): Promise<Record<string, unknown>> {
  const doc = new Y.Doc();
  for (const update of updatesOf(await metadata.store.documents.load(documentId))) Y.applyUpdate(doc, update);
  return doc.getMap('own').toJSON();
}

test('DOC23 a state takes the place of a log, also one that goes in pieces, and the log goes on from there', async () => {
  const thread = threadOn(metadata.url);
  for (const bytes of [10, 200_000]) {
    const lease = await documentWith(4, bytes);
    const before = await entriesOf(lease);
    const state = await thread.compactStored(lease);
    expect(state?.sequence).toBe(4);
    expect(state?.bytes).toBeGreaterThan(4 * bytes);
    const stored = await metadata.store.documents.load(lease.documentId);
    expect([stored.state?.sequence, stored.state?.update.length, stored.batches.length]).toEqual([4, state?.bytes, 0]);
    expect(await entriesOf(lease)).toEqual(before);
    expect(await thread.compactStored(lease)).toBeUndefined();
  }
});

test('DOC22 a server that has the document no longer puts no state there', async () => {
  const lease = await documentWith(3);
  expect(await threadOn(metadata.url).compactStored({ ...lease, fence: lease.fence - 1 })).toBeUndefined();
  const { state, batches } = await metadata.store.documents.load(lease.documentId);
  expect([state, batches.length]).toEqual([null, 3]);
});

test('DOC23 what goes wrong is told to who asked, as it is, and those who ask next are answered', async () => {
  const lease = await documentWith(2);
  await metadata.store.documents.append(lease, { sequence: 3, updates: [Uint8Array.of(255, 1, 2)], bindings: [] });
  const thread = threadOn(metadata.url);
  const [broken, read] = await Promise.allSettled([thread.compactStored(lease), thread.read([], ['own'])]);
  expect(broken).toMatchObject({ status: 'rejected', reason: { code: 'internal' } });
  expect(read).toMatchObject({ status: 'fulfilled', value: { own: {} } });
  expect(await thread.compactStored(await documentWith(1))).toMatchObject({ sequence: 1 });
});

test('DOC23 a database that does not answer is told as that', async () => {
  const lease = await documentWith(1);
  const away = new URL(metadata.url);
  away.port = '1';
  await expect(threadOn(away.href).compactStored(lease)).rejects.toMatchObject({ code: 'unavailable' });
});
