import { isDeepStrictEqual } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import { type Client, connect } from '../../client/index.ts';
import { defaultLimits } from '../../protocol/limits.ts';
import { errorsOf, until } from '../support/documents.ts';
import { savedView } from '../support/entries.ts';
import { query } from '../support/inspect.ts';
import { MemoryKeeper } from '../support/memory-keeper.ts';
import { startProxy } from '../support/proxy.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { yjsClient, until as yjsUntil } from '../support/yjs-clients.ts';

let server: TestServer;
let alice: Client;
let bob: Client;
let eve: Client;

beforeAll(async () => {
  server = await startTestServer();
  [alice, bob, eve] = await Promise.all([server.client('alice'), server.client('bob'), server.client('eve')]);
});

afterAll(async () => {
  await server?.stop();
});

/** A dataset of alice that bob may write and eve may read. */
async function newDataset(): Promise<number> {
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'write' });
  await alice.grant.create({ datasetId, principal: 'user:eve', permission: 'read' });
  return datasetId;
}

describe('documents of the SDK on a server', () => {
  test('AUTH13 LIVE17 a token that was revoked while the client was away erases what it kept', async () => {
    const keeper = new MemoryKeeper();
    const options = { url: server.url, token: await server.token('mallory') };
    const before = connect(options);
    const document = await before.document.open('user/mallory', { keeper });
    await document.whenSynced();
    before.close();
    expect([...keeper.kept.keys()]).toEqual(['user/mallory']);
    const root = await server.client('root', { admin: true });
    await root.session.revoke({ subject: 'mallory' });
    const [kept] = keeper.kept.values();
    const after = connect(options);
    await after.document.open('user/mallory', { keeper }).catch((reason: unknown) => reason);
    await expect(after.ready()).rejects.toMatchObject({ code: 'unauthenticated', details: { revoked: true } });
    await expect.poll(() => keeper.kept.size).toBe(0);
    if (kept !== undefined) keeper.kept.set('user/mallory', kept);
    await expect(after.document.open('user/mallory', { keeper })).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(keeper.kept.size).toBe(0);
  });

  test('LIVE1 two clients of the SDK and one of y-websocket come to the same document', async () => {
    const name = `dataset/${await newDataset()}`;
    const [one, other] = await Promise.all([alice.document.open(name), bob.document.open(name)]);
    const plain = await yjsClient(server, 'bob', name);
    const view = one.savedViews().create({ name: 'Sales', config: { columns: ['Sales'] } });
    const note = other.annotations.add('Odd', { column: 'Sales' });
    plain.doc.getMap('views').set('v2', savedView('bob'));
    const isWhole = (doc: Y.Doc): boolean => doc.getMap('views').size === 2 && doc.getMap('annotations').size === 1;
    await Promise.all([until(one, () => isWhole(one.doc)), until(other, () => isWhole(other.doc)), yjsUntil(plain.doc, () => isWhole(plain.doc))]);
    other.annotations.reply(note.id, 'Indeed');
    one.savedViews().rename(view.id, 'Sales by region');
    await Promise.all([one.whenDurable(), other.whenDurable()]);
    await until(one, () => one.annotations.get(note.id)?.replies.length === 1);
    await until(other, () => other.savedViews().get(view.id)?.name === 'Sales by region');
    await yjsUntil(plain.doc, () => isDeepStrictEqual(plain.doc.toJSON(), other.doc.toJSON()));
    expect(one.doc.toJSON()).toEqual(other.doc.toJSON());
    await until(one, () => one.presence.others().some(({ user }) => user?.subject === 'bob'));
    for (const document of [one, other]) document.close();
  });

  test('LIVE1 what may not be opened is refused with the reason', async () => {
    await expect(alice.document.open('dataset/999999')).rejects.toMatchObject({ code: 'not_found' });
    await expect(alice.document.open('user/bob')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('LIVE2 edits of a time without the server are there when it is back, once', async () => {
    const name = `dataset/${await newDataset()}`;
    const [one, other] = await Promise.all([alice.document.open(name), bob.document.open(name)]);
    await Promise.all([one.whenSynced(), other.whenSynced()]);
    one.savedViews().create({ name: 'before', config: {} });
    await one.whenDurable();
    const restarted = server.restart();
    await until(one, () => one.state.kind === 'connecting');
    one.savedViews().create({ name: 'meanwhile, of alice', config: {} });
    other.savedViews().create({ name: 'meanwhile, of bob', config: {} });
    await restarted;
    await Promise.all([one.whenDurable(), other.whenDurable()]);
    await Promise.all([one, other].map((document) => until(document, () => document.savedViews().list().length === 3)));
    expect(one.doc.toJSON()).toEqual(other.doc.toJSON());
    const names = other
      .savedViews()
      .list()
      .map(({ name }) => name);
    expect(names).toEqual(['before', 'meanwhile, of alice', 'meanwhile, of bob']);
    for (const document of [one, other]) document.close();
  });

  test('LIVE3 what is refused while one connects again is not taken for durable', async () => {
    const name = `dataset/${await newDataset()}`;
    const proxy = await startProxy(Number(new URL(server.url).port));
    const client = connect({ url: proxy.url, token: await server.token('alice'), settings: { backoffBaseMs: 1, backoffMaxMs: 10 } });
    const document = await client.document.open(name);
    await document.whenSynced();
    // Nothing of the document can be committed as long as somebody else holds its row.
    const holder = new pg.Client({ connectionString: server.databaseUrl });
    await holder.connect();
    // A second one looks, since one in a transaction always sees the same.
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM documents WHERE name = $1 FOR UPDATE', [name]);
    document.doc.transact(() => {
      document.doc.getMap('views').set('honest', savedView('alice'));
      document.doc.getMap('views').set('forged', savedView('bob'));
    });
    const outcome = document.whenDurable().then(
      () => 'durable',
      ({ code }) => code,
    );
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await query(server.databaseUrl, waiting)).length, { timeout: 20_000 }).toBe(1);
    // The server tells everybody what it took back before it hears from this client what it lacks.
    const back = new Promise<void>((resolve) =>
      document.onState(({ kind }) => {
        if (kind !== 'syncing') return;
        proxy.hold();
        resolve();
      }),
    );
    proxy.cut();
    await back;
    await holder.query('ROLLBACK');
    await holder.end();
    const written = 'SELECT FROM document_batches b JOIN documents d USING (document_id) WHERE d.name = $1';
    await expect.poll(async () => (await query(server.databaseUrl, written, [name])).length, { timeout: 20_000 }).toBe(1);
    proxy.resume();
    expect(await outcome).toBe('conflict');
    await until(document, () => document.doc.getMap('views').size === 0);
    client.close();
    await proxy.close();
  });

  test('LIVE4 a forged entry is refused, nobody else sees it, and what follows counts', async () => {
    const name = `dataset/${await newDataset()}`;
    const [one, other] = await Promise.all([alice.document.open(name), bob.document.open(name)]);
    await Promise.all([one.whenSynced(), other.whenSynced()]);
    const errors = errorsOf(one);
    one.doc.getMap('views').set('forged', savedView('bob'));
    await expect(one.whenDurable()).rejects.toMatchObject({ details: { rule: 'DOC6' } });
    await until(one, () => !one.doc.getMap('views').has('forged'));
    expect(errors).toMatchObject([{ code: 'unprocessable_data', details: { rule: 'DOC6', path: ['views', 'forged', 'author'] } }]);
    one.savedViews().create({ name: 'honest', config: {} });
    await one.whenDurable();
    await until(other, () => other.savedViews().list().length === 1);
    expect(other.doc.getMap('views').has('forged')).toBe(false);
    for (const document of [one, other]) document.close();
  });

  test('LIVE4 an edit that is larger than a request may be is given up, at once or after others, and what follows counts', async () => {
    const document = await alice.document.open(`dataset/${await newDataset()}`);
    await document.whenSynced();
    const errors = errorsOf(document);
    for (const isAlone of [true, false]) {
      const { doc } = document;
      if (!isAlone) document.savedViews().create({ name: 'sent before', config: {} });
      doc.getMap('files').set('large', new Uint8Array(defaultLimits.requestBytesMax));
      await expect(document.whenDurable()).rejects.toMatchObject({ code: 'payload_too_large', details: { rule: 'DOC15' } });
      await until(document, () => document.doc !== doc && document.state.kind === 'synced');
    }
    document.savedViews().create({ name: 'after', config: {} });
    await document.whenDurable();
    const names = document
      .savedViews()
      .list()
      .map(({ name }) => name);
    expect({ names, errors: errors.length }).toEqual({ names: ['after', 'sent before'], errors: 2 });
    document.close();
  });

  test('LIVE5 a reader sees everything and is told that nothing can be changed', async () => {
    const name = `dataset/${await newDataset()}`;
    const [writer, reader] = await Promise.all([alice.document.open(name), eve.document.open(name)]);
    await Promise.all([writer.whenSynced(), reader.whenSynced()]);
    const view = writer.savedViews().create({ name: 'Sales', config: {} });
    await until(reader, () => reader.savedViews().list().length === 1);
    const errors = errorsOf(reader);
    expect(() => reader.savedViews().rename(view.id, 'Mine')).toThrow(expect.objectContaining({ code: 'forbidden' }));
    expect(() => reader.annotations.add('Mine')).toThrow(expect.objectContaining({ code: 'forbidden' }));
    reader.doc.getMap('views').delete(view.id);
    await until(reader, () => reader.savedViews().list().length === 1 && reader.state.kind === 'synced');
    expect(errors).toMatchObject([{ code: 'forbidden' }]);
    expect(writer.savedViews().list()).toHaveLength(1);
    reader.presence.set({ viewId: view.id });
    await until(writer, () => writer.presence.others().some(({ viewId }) => viewId === view.id));
    for (const document of [writer, reader]) document.close();
  });

  test('LIVE5 who is granted more goes on with the same copy and may write, and who is granted less may read', async () => {
    const datasetId = await newDataset();
    const [writer, guest] = await Promise.all([alice.document.open(`dataset/${datasetId}`), eve.document.open(`dataset/${datasetId}`)]);
    const { doc } = guest;
    expect(guest.canWrite).toBe(false);
    const { grantId } = await alice.grant.create({ datasetId, principal: 'user:eve', permission: 'write' });
    await until(guest, () => guest.canWrite && guest.state.kind === 'synced');
    const note = guest.annotations.add('Now I may');
    await guest.whenDurable();
    await until(writer, () => writer.annotations.get(note.id)?.author === 'eve');
    await alice.grant.revoke({ datasetId, grantId });
    await until(guest, () => !guest.canWrite && guest.state.kind === 'synced');
    expect(guest.doc).toBe(doc);
    expect(() => guest.annotations.reply(note.id, 'No more')).toThrow(expect.objectContaining({ code: 'forbidden' }));
    for (const document of [writer, guest]) document.close();
  });

  test('LIVE6 a document is closed when its dataset is deleted, or its reader may read no more', async () => {
    const datasetId = await newDataset();
    const [one, reader] = await Promise.all([bob.document.open(`dataset/${datasetId}`), eve.document.open(`dataset/${datasetId}`)]);
    await Promise.all([one.whenSynced(), reader.whenSynced()]);
    const { items } = await alice.grant.list({ datasetId });
    const { grantId } = items.find(({ principal }) => principal === 'user:eve') ?? {};
    if (grantId === undefined) throw new Error('eve has no grant');
    await alice.grant.revoke({ datasetId, grantId });
    await until(reader, () => reader.state.kind === 'closed');
    expect(reader.state).toMatchObject({ reason: { code: 'not_found' } });
    expect(one.state.kind).toBe('synced');
    await alice.dataset.delete({ datasetId });
    await until(one, () => one.state.kind === 'closed');
    expect(one.state).toMatchObject({ reason: { code: 'not_found' } });
  });

  test('LIVE12 what one takes back is one’s own, and what was removed returns for everyone', async () => {
    const name = `dataset/${await newDataset()}`;
    const [one, other] = await Promise.all([alice.document.open(name), bob.document.open(name)]);
    await Promise.all([one.whenSynced(), other.whenSynced()]);
    const errors = [...errorsOf(one), ...errorsOf(other)];
    const note = one.annotations.add('Odd');
    await until(other, () => other.annotations.get(note.id) !== undefined);
    other.annotations.reply(note.id, 'Indeed');
    other.savedViews().create({ name: 'of bob', config: {} });
    await until(one, () => one.savedViews().list().length === 1);
    one.undo();
    expect(one.annotations.list()).toEqual([]);
    expect(one.savedViews().list()).toHaveLength(1);
    one.redo();
    await one.whenDurable();
    other.annotations.remove(note.id);
    await other.whenDurable();
    other.undo();
    await other.whenDurable();
    await until(one, () => one.annotations.get(note.id)?.replies.length === 1);
    expect(errors).toEqual([]);
    for (const document of [one, other]) document.close();
  });

  test('LIVE13 private views and preferences follow a person from one client to another', async () => {
    const datasetId = await newDataset();
    const views = await alice.document.savedViews(datasetId, 'private');
    const view = views.create({ name: 'Mine', config: { columns: ['a'] } });
    const document = await alice.document.open('user/alice');
    document.preferences.set('theme', 'dark');
    await document.whenDurable();
    const elsewhere = await server.client('alice');
    const there = await elsewhere.document.savedViews(datasetId, 'private');
    const again = await elsewhere.document.open('user/alice');
    await again.whenSynced();
    expect(there.list()).toMatchObject([{ id: view.id, name: 'Mine', scope: 'private', datasetId }]);
    expect(again.preferences.all()).toEqual({ theme: 'dark' });
    const shared = await bob.document.savedViews(datasetId);
    expect(shared.list()).toEqual([]);
    elsewhere.close();
    for (const opened of [views, document, shared]) opened.close();
  });
});
