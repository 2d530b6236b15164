import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import type { Client } from '../../client/index.ts';
import { until } from '../support/documents.ts';
import { annotation, savedView } from '../support/entries.ts';
import { query } from '../support/inspect.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { synced, yjsClient, until as yjsUntil } from '../support/yjs-clients.ts';

let server: TestServer;
let alice: Client;
let bob: Client;

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob] = await Promise.all([server.client('alice'), server.client('bob')]);
});

afterAll(async () => {
  await server?.stop();
});

async function newDataset(): Promise<string> {
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
  await alice.grant.create({ datasetId, principal: 'user:eve', permission: 'read' });
  return `dataset/${datasetId}`;
}

describe('snapshots', () => {
  test('DOC29 are read entry by entry, in pages', async () => {
    const name = await newDataset();
    const document = await alice.document.open(name);
    for (let index = 0; index < 5; index += 1) document.savedViews().create({ name: `View ${index}`, config: {} });
    document.annotations.add('Odd', { column: 'price' });
    await document.whenDurable();
    const { snapshotId } = await alice.document.saveSnapshot({ name, label: 'Before' });
    const first = await bob.document.readSnapshot({ name, snapshotId, map: 'views', limit: 3 });
    const rest = await bob.document.readSnapshot({ name, snapshotId, map: 'views', limit: 3, cursor: first.next });
    expect([...first.items, ...rest.items].map(({ entry }) => (entry as { name: string }).name).sort()).toEqual(
      document
        .savedViews()
        .list()
        .map((view) => view.name),
    );
    expect((await bob.document.readSnapshot({ name, snapshotId, map: 'annotations' })).items).toMatchObject([{ entry: { body: 'Odd' } }]);
    await expect(bob.document.readSnapshot({ name, snapshotId, map: 'preferences' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(bob.document.readSnapshot({ name, snapshotId: 999_999, map: 'views' })).rejects.toMatchObject({ code: 'not_found' });
    const other = await newDataset();
    await (await alice.document.open(other)).whenSynced();
    await expect(alice.document.readSnapshot({ name: other, snapshotId, map: 'views' })).rejects.toMatchObject({ code: 'not_found' });
    document.close();
  });

  test('DOC29 that are restored put everybody back, and what was there is kept first', async () => {
    const name = await newDataset();
    const [document, plain] = [await alice.document.open(name), await yjsClient(server, 'bob', name)];
    await synced(plain);
    const views = plain.doc.getMap<Y.Map<unknown>>('views');
    const notes = plain.doc.getMap<Y.Map<unknown>>('annotations');
    views.set('changed', savedView('bob'));
    views.set('same', savedView('bob'));
    notes.set('removed', annotation('bob', 'Odd'));
    plain.doc.getMap('own').set('mine', 1);
    await until(document, () => document.annotations.get('removed') !== undefined && document.savedViews().list().length === 2);
    await document.whenDurable();
    const { snapshotId } = await alice.document.saveSnapshot({ name, label: 'Good' });
    const then = plain.doc.toJSON();
    document.savedViews().rename('changed', 'Another name');
    document.annotations.remove('removed');
    const came = document.savedViews().create({ name: 'Came later', config: {} });
    await document.whenDurable();
    const same = document.doc.getMap('views').get('same');
    expect(await bob.document.restoreSnapshot({ name, snapshotId })).toMatchObject({ restored: 2, removed: 1 });
    expect(await bob.document.restoreSnapshot({ name, snapshotId })).toMatchObject({ restored: 0, removed: 0 });
    await yjsUntil(plain.doc, () => views.get('changed')?.get('name') === 'By region' && !views.has(came.id) && notes.has('removed'));
    expect(plain.doc.toJSON()).toEqual(then);
    await until(document, () => document.savedViews().list().length === 2);
    expect(document.doc.getMap('views').get('same')).toBe(same);
    document.annotations.reply('removed', 'There again');
    await document.whenDurable();
    const { items } = await alice.document.snapshots({ name });
    expect(items.map(({ label, takenBy }) => [label, takenBy])).toEqual([
      [null, 'bob'],
      ['Good', 'alice'],
    ]);
    const kept = items.find(({ label }) => label === null);
    const before = await alice.document.readSnapshot({ name, snapshotId: kept?.snapshotId ?? 0, map: 'views' });
    expect(before.items.map(({ entry }) => (entry as { name: string }).name).sort()).toEqual(['Another name', 'By region', 'Came later']);
    const restoring = `operation = 'document.restoreSnapshot' AND (detail ->> 'snapshotId')::bigint = $1`;
    const [audited] = await query(server.databaseUrl, `SELECT actor, detail FROM audit WHERE ${restoring}`, [snapshotId]);
    expect(audited).toMatchObject({ actor: 'bob', detail: { snapshotId, restored: 2, removed: 1 } });
    const { items: bindings } = await alice.document.attribution({ name });
    expect(bindings.map(({ subject }) => subject)).toContain(null);
    document.close();
  });

  test('DOC29 are restored by who may write, in documents of persons by whom they belong to, and stay after a restart', async () => {
    const name = await newDataset();
    const document = await alice.document.open(name);
    await document.whenSynced();
    const { snapshotId } = await alice.document.saveSnapshot({ name, label: 'Empty' });
    const eve = await server.client('eve');
    await expect(eve.document.restoreSnapshot({ name, snapshotId })).rejects.toMatchObject({ code: 'forbidden' });
    document.savedViews().create({ name: 'Gone again', config: {} });
    await document.whenDurable();
    document.close();
    expect(await alice.document.restoreSnapshot({ name, snapshotId })).toMatchObject({ restored: 0, removed: 1 });
    const mine = await alice.document.open('user/alice');
    mine.preferences.set('theme', 'dark');
    await mine.whenDurable();
    const own = await alice.document.saveSnapshot({ name: 'user/alice', label: 'Dark' });
    mine.preferences.set('theme', 'light');
    await mine.whenDurable();
    expect(await alice.document.restoreSnapshot({ name: 'user/alice', snapshotId: own.snapshotId })).toMatchObject({ restored: 1, removed: 0 });
    await until(mine, () => mine.preferences.get('theme') === 'dark');
    mine.close();
    await server.restart();
    const reader = await yjsClient(server, 'bob', name);
    await synced(reader);
    expect(reader.doc.getMap('views').toJSON()).toEqual({});
  });
});
