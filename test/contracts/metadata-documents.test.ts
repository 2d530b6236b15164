import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { DocumentLease, DocumentOwner, DocumentTarget, StoredToldClients } from '../../server/storage/stores.ts';
import { query, sha256 } from '../support/inspect.ts';
import { by, createDataset, useMetadata } from '../support/metadata.ts';

const metadata = useMetadata();
const HOUR_MS = 3_600_000;
const owner = (leaseMs = HOUR_MS): DocumentOwner => ({ serverId: randomUUID(), leaseMs });
const personal = (): DocumentTarget => ({ name: `user/${randomUUID()}`, datasetId: null, scope: null });
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const batch = (sequence: number, ...updates: Uint8Array[]) => ({ sequence, updates, bindings: [] });

async function acquired(target = personal(), by = owner()): Promise<DocumentLease> {
  const [lease] = await metadata.store.documents.acquire([target], by);
  if (lease === undefined) throw new Error('another server has the document');
  return lease;
}

const plain = (updates: readonly Uint8Array[]): number[][] => updates.map((update) => [...update]);

/** How many wait for what a connection has locked. */
async function waitingFor(client: pg.Client): Promise<number> {
  const { rows } = await client.query('SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))');
  return (rows as { waiting: number }[])[0]?.waiting ?? 0;
}

describe('a document in the database', () => {
  test('DOC22 is written by one server, and what another one writes with an old fence is refused', async () => {
    const { documents } = metadata.store;
    const target = personal();
    const [first, second] = [owner(), owner()];
    const lease = await acquired(target, first);
    expect(await documents.acquire([target], second)).toEqual([undefined]);
    expect(await documents.append(lease, batch(1, bytes(1)))).toBe('written');
    await documents.release([{ ...lease, told: undefined }]);
    const taken = await acquired(target, second);
    expect(taken).toMatchObject({ documentId: lease.documentId });
    expect(taken.fence).toBeGreaterThan(lease.fence);
    expect(await documents.append(lease, batch(2, bytes(2)))).toBe('taken');
    expect(await documents.compact(lease, { sequence: 1, update: bytes(9) })).toBe(false);
    expect(await documents.append(taken, batch(2, bytes(3)))).toBe('written');
    expect((await documents.load(taken.documentId)).batches.map(({ updates }) => plain(updates))).toEqual([[[1]], [[3]]]);
  });

  test('DOC22 is taken over when its lease has ended, and who lost it learns so', async () => {
    const { documents } = metadata.store;
    const target = personal();
    const [first, second] = [owner(1), owner()];
    const lease = await acquired(target, first);
    await expect.poll(() => documents.acquire([target], second)).not.toEqual([undefined]);
    expect(await documents.renew([lease], first)).toEqual([lease.documentId]);
    expect(await documents.append(lease, batch(1, bytes(1)))).toBe('taken');
  });

  test('DOC22 of many that are wanted at once, each goes to whom it may', async () => {
    const { documents } = metadata.store;
    const [first, second] = [owner(), owner()];
    const { datasetId } = await createDataset(metadata.store);
    const targets = [personal(), { name: `dataset/${datasetId}/narrow`, datasetId, scope: { parts: [] } }, personal()];
    const held = await acquired(targets[2], first);
    const [one, scoped, taken] = await documents.acquire(targets, second);
    expect([one?.fence, scoped?.fence, taken]).toEqual([1, 1, undefined]);
    expect(await documents.find(targets[1]?.name ?? '')).toBe(scoped?.documentId);
    expect(await documents.scopeOf(targets[1]?.name ?? '')).toEqual({ parts: [] });
    const both = [one, scoped].flatMap((lease) => lease ?? []);
    // What somebody else has in the meantime stays with them.
    await documents.release([...both, { ...held, fence: held.fence + 1 }].map((lease) => ({ ...lease, told: undefined })));
    expect((await documents.acquire(targets, owner())).map((lease) => lease?.fence)).toEqual([2, 2, undefined]);
  });

  test('DOC22 stays with a server that renews its lease', async () => {
    const { documents } = metadata.store;
    const target = personal();
    const first = owner();
    const lease = await acquired(target, first);
    expect(await documents.renew([lease], first)).toEqual([]);
    expect(await documents.acquire([target], owner())).toEqual([undefined]);
    await documents.releaseAll();
    expect(await documents.acquire([target], owner())).not.toEqual([undefined]);
  });

  test('DOC21 comes back with its batches, updates and bindings in order', async () => {
    const { documents } = metadata.store;
    const lease = await acquired();
    await documents.append(lease, { ...batch(1, bytes(1, 2), bytes()), bindings: [{ clientId: 4_294_967_295, subject: 'alice' }] });
    await documents.append(lease, { ...batch(2, bytes(3)), bindings: [{ clientId: 7, subject: null }] });
    const { state, batches, bindings } = await documents.load(lease.documentId);
    expect(state).toBeNull();
    expect(batches.map(({ sequence, updates }) => [sequence, plain(updates)])).toEqual([
      [1, [[1, 2], []]],
      [2, [[3]]],
    ]);
    expect([...bindings].sort((a, b) => a.clientId - b.clientId)).toEqual([
      { clientId: 7, subject: null },
      { clientId: 4_294_967_295, subject: 'alice' },
    ]);
    expect(await documents.bindings(lease.documentId, { limit: 1 })).toMatchObject([{ clientId: 7, subject: null }]);
    expect(await documents.bindings(lease.documentId, { limit: 5, after: 7 })).toMatchObject([{ clientId: 4_294_967_295, subject: 'alice' }]);
  });

  test('DOC16 comes back with the clients that were told when it was given back last', async () => {
    const { documents } = metadata.store;
    const target = personal();
    const told: StoredToldClients = [
      ['alice', [4_294_967_295, 7]],
      ['bob \u2028', [8]],
    ];
    const giveBack = async (changed: StoredToldClients | undefined, fence = 0): Promise<unknown> => {
      const lease = await acquired(target);
      await documents.release([{ ...lease, fence: lease.fence + fence, told: changed }]);
      await documents.releaseAll();
      return (await documents.load(lease.documentId)).told;
    };
    expect(await giveBack(undefined)).toEqual([]);
    expect(await giveBack(told)).toEqual(told);
    // Nor does who lost it to somebody else change them.
    expect(await giveBack([['mallory', [7]]], -1)).toEqual(told);
    expect(await giveBack(undefined)).toEqual(told);
    expect(await giveBack([])).toEqual([]);
  });

  test('DOC23 a state takes the place of the batches up to it, and of no later one', async () => {
    const { documents } = metadata.store;
    const lease = await acquired();
    for (const sequence of [1, 2, 3]) await documents.append(lease, batch(sequence, bytes(sequence)));
    expect(await documents.compact(lease, { sequence: 2, update: bytes(12) })).toBe(true);
    const { state, batches } = await documents.load(lease.documentId);
    expect([state?.sequence, [...(state?.update ?? [])]]).toEqual([2, [12]]);
    expect(batches.map(({ sequence }) => sequence)).toEqual([3]);
    expect(await documents.compact(lease, { sequence: 3, update: bytes(123) })).toBe(true);
    expect(await documents.load(lease.documentId)).toMatchObject({ state: { sequence: 3 }, batches: [] });
    expect(await documents.compact(lease, { sequence: 2, update: bytes(12) })).toBe(false);
    expect(await documents.load(lease.documentId)).toMatchObject({ state: { sequence: 3 } });
  });

  test('DOC23 edits do not wait for a state that is being written', async () => {
    const { documents } = metadata.store;
    const lease = await acquired();
    await documents.append(lease, batch(1, bytes(1)));
    const other = new pg.Client({ connectionString: metadata.url });
    await other.connect();
    try {
      // What stands in the way of the batches that are to go holds the compaction up after it has looked whose the document is.
      await other.query('BEGIN');
      await other.query('SELECT FROM document_batches WHERE document_id = $1 FOR UPDATE', [lease.documentId]);
      const compacted = documents.compact(lease, { sequence: 1, update: bytes(9) });
      await expect.poll(() => waitingFor(other)).toBeGreaterThan(0);
      expect(await documents.append(lease, batch(2, bytes(2)))).toBe('written');
      await other.query('COMMIT');
      expect(await compacted).toBe(true);
    } finally {
      await other.end();
    }
    expect(await documents.load(lease.documentId)).toMatchObject({ state: { sequence: 1 }, batches: [{ sequence: 2 }] });
  });

  test('DOC24 goes with its dataset', async () => {
    const { documents, datasets } = metadata.store;
    const { datasetId } = await createDataset(metadata.store);
    const name = `dataset/${datasetId}`;
    const lease = await acquired({ name, datasetId, scope: null });
    await documents.append(lease, batch(1, bytes(1)));
    await documents.addSnapshot(lease.documentId, { label: 'before', makeState: async () => bytes(1) }, by('alice', 'document.saveSnapshot'));
    expect(await documents.find(name)).toBe(lease.documentId);
    await datasets.delete(datasetId, by('alice', 'dataset.delete'));
    expect(await metadata.store.disposal.release({ graceMs: 0, versionsMax: 10, condemnedMax: 10 })).toMatchObject({ datasetId, isPurged: true });
    expect(await documents.append(lease, batch(2, bytes(2)))).toBe('gone');
    expect(await documents.find(name)).toBeUndefined();
    expect(await query(metadata.url, 'SELECT 1 FROM document_batches WHERE document_id = $1', [lease.documentId])).toEqual([]);
  });

  test('DOC25 keeps named snapshots up to a number, and of the others the newest', async () => {
    const { documents } = await metadata.open({ documentNamedSnapshotsMax: 2 });
    const lease = await acquired();
    const { documentId } = lease;
    let made = 0;
    const makeState = async (): Promise<Uint8Array> => {
      made += 1;
      return bytes(1, 2, 3);
    };
    const take = (label: string) => documents.addSnapshot(documentId, { label, makeState }, by('alice', 'document.saveSnapshot'));
    const first = await take('first');
    expect(first).toMatchObject({ label: 'first', takenBy: 'alice', bytes: 3 });
    await take('second');
    await expect(take('third')).rejects.toMatchObject({ code: 'conflict' });
    expect(made).toBe(2);
    const compact = (value: number) => documents.compact(lease, { sequence: value, update: bytes(value) });
    for (const value of [1, 2, 3]) {
      await compact(value);
      await documents.addPeriodicSnapshot(documentId, { everyMs: 0, keptMax: 2 });
    }
    await compact(4);
    const dueInMs = await documents.addPeriodicSnapshot(documentId, { everyMs: HOUR_MS, keptMax: 2 });
    expect(dueInMs).toBeGreaterThan(HOUR_MS / 2);
    expect(dueInMs).toBeLessThanOrEqual(HOUR_MS);
    const all = await documents.snapshots(documentId, { limit: 10 });
    expect(all.map(({ label }) => label)).toEqual([null, null, 'second', 'first']);
    expect(await documents.snapshots(documentId, { limit: 10, before: first.snapshotId + 1 })).toEqual([first]);
    expect([...((await documents.snapshotState(documentId, all[0]?.snapshotId ?? 0)) ?? [])]).toEqual([3]);
    expect(await documents.snapshotState(randomUUID(), first.snapshotId)).toBeUndefined();
  });

  test('DOC25 what is kept before others are restored takes the place of neither those of people nor those that are kept by themselves', async () => {
    const { documents } = await metadata.open({ documentNamedSnapshotsMax: 1 });
    const lease = await acquired();
    const { documentId } = lease;
    await documents.compact(lease, { sequence: 1, update: bytes(1) });
    await documents.addPeriodicSnapshot(documentId, { everyMs: HOUR_MS, keptMax: 1 });
    for (const value of [2, 3, 4]) await documents.addRestoreSnapshot(documentId, { state: bytes(value), restorer: 'bob', keptMax: 2 });
    const makeState = async (): Promise<Uint8Array> => bytes(5);
    await documents.addSnapshot(documentId, { label: 'mine', makeState }, by('alice', 'document.saveSnapshot'));
    const all = await documents.snapshots(documentId, { limit: 10 });
    expect(all.map(({ label, takenBy }) => [label, takenBy])).toEqual([
      ['mine', 'alice'],
      [null, 'bob'],
      [null, 'bob'],
      [null, null],
    ]);
    const states = await Promise.all(all.map(({ snapshotId }) => documents.snapshotState(documentId, snapshotId)));
    expect(states.map((state) => [...(state ?? [])])).toEqual([[5], [4], [3], [1]]);
  });

  test.each([0, 1, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024 + 7])('DOC23 a state of %i bytes comes back as it was', async (length) => {
    const { documents } = metadata.store;
    const lease = await acquired();
    const { documentId } = lease;
    const update = Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 10)) % 251);
    for (const sequence of [1, 2]) expect(await documents.compact(lease, { sequence, update })).toBe(true);
    const { state } = await documents.load(documentId);
    expect(state?.sequence).toBe(2);
    expect(sha256(state?.update ?? bytes(9))).toBe(sha256(update));
    await documents.addPeriodicSnapshot(documentId, { everyMs: 0, keptMax: 10 });
    await documents.addRestoreSnapshot(documentId, { state: update, restorer: 'bob', keptMax: 10 });
    await documents.addSnapshot(documentId, { label: 'mine', makeState: async () => update }, by('alice', 'document.saveSnapshot'));
    const all = await documents.snapshots(documentId, { limit: 10 });
    expect(all.map((snapshot) => snapshot.bytes)).toEqual([length, length, length]);
    for (const { snapshotId } of all) {
      expect(sha256((await documents.snapshotState(documentId, snapshotId)) ?? bytes(9))).toBe(sha256(update));
    }
  });
});
