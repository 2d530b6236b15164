import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { annotation, reply, savedView } from '../support/entries.ts';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { synced, until, type YjsClient, yjsClient } from '../support/yjs-clients.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer(['--document-log-batches-max', '5', '--document-idle-ms', '50']);
});

afterAll(async () => {
  await server?.stop();
});

/** A dataset of alice, on which the others have a permission. */
async function newDataset(grants: Readonly<Record<string, object>> = {}): Promise<{ readonly datasetId: number; readonly name: string }> {
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  await alice.version.commit({ datasetId, branch: 'main', message: 'first' }, { body: csv('id,region,salary', '1,EU,10', '2,US,20') });
  for (const [subject, grant] of Object.entries(grants)) {
    await alice.grant.create({ datasetId, principal: `user:${subject}`, permission: 'read', ...grant });
  }
  return { datasetId, name: `dataset/${datasetId}` };
}

async function open(subject: string, name: string, doc?: Y.Doc): Promise<YjsClient> {
  const client = await yjsClient(server, subject, name, doc);
  await synced(client);
  return client;
}

const views = (doc: Y.Doc): Y.Map<Y.Map<unknown>> => doc.getMap('views');
const annotations = (doc: Y.Doc): Y.Map<Y.Map<unknown>> => doc.getMap('annotations');
const entriesOf = (doc: Y.Doc): unknown => [views(doc).toJSON(), annotations(doc).toJSON()];
const lastClose = async (client: YjsClient): Promise<number | undefined> => {
  await expect.poll(() => client.closes.length).toBeGreaterThan(0);
  return client.closes[0];
};
const WRITE = { permission: 'write' };

describe('clients of y-websocket', () => {
  test('DOC11 see the edits and the presence of each other, and find them again after a restart', async () => {
    const { name } = await newDataset({ bob: WRITE });
    const [alice, bob] = [await open('alice', name), await open('bob', name)];
    views(alice.doc).set('v1', savedView('alice'));
    annotations(bob.doc).set('a1', annotation('bob'));
    await until(bob.doc, () => views(bob.doc).has('v1'));
    await until(alice.doc, () => annotations(alice.doc).has('a1'));
    alice.provider.awareness.setLocalState({ user: { name: 'Alice', subject: 'alice' } });
    await expect.poll(() => bob.provider.awareness.getStates().get(alice.doc.clientID)).toEqual({ user: { name: 'Alice', subject: 'alice' } });
    alice.provider.disconnect();
    await expect.poll(() => bob.provider.awareness.getStates().has(alice.doc.clientID)).toBe(false);
    await server.restart();
    const later = await open('bob', name);
    expect(entriesOf(later.doc)).toEqual(entriesOf(bob.doc));
    expect(views(later.doc).get('v1')?.get('author')).toBe('alice');
  });

  test('DOC11 merge what they did offline, and nothing twice', async () => {
    const { name } = await newDataset({ bob: WRITE });
    const [alice, bob] = [await open('alice', name), await open('bob', name)];
    annotations(alice.doc).set('a1', annotation('alice', 'Odd'));
    await until(bob.doc, () => annotations(bob.doc).has('a1'));
    bob.provider.disconnect();
    const replies = (doc: Y.Doc) => annotations(doc).get('a1')?.get('replies') as Y.Array<unknown>;
    replies(bob.doc).push([reply('bob', 'r1')]);
    views(bob.doc).set('v1', savedView('bob'));
    replies(alice.doc).push([reply('alice', 'r2')]);
    bob.provider.connect();
    await synced(bob);
    views(bob.doc).get('v1')?.set('name', 'Told at once');
    await until(alice.doc, () => views(alice.doc).get('v1')?.get('name') === 'Told at once' && replies(alice.doc).length === 2);
    await until(bob.doc, () => replies(bob.doc).length === 2);
    const again = await open('bob', name, bob.doc);
    expect(entriesOf(again.doc)).toEqual(entriesOf(alice.doc));
  });

  test('DOC12 DOC13 are refused what they may not do, and end in the state of everybody else', async () => {
    const { name } = await newDataset({ bob: WRITE, carol: {} });
    const [alice, bob, carol] = [await open('alice', name), await open('bob', name), await open('carol', name)];
    views(alice.doc).set('v1', savedView('alice'));
    await Promise.all([bob, carol].map(({ doc }) => until(doc, () => views(doc).has('v1'))));
    const before = entriesOf(alice.doc);
    views(bob.doc).get('v1')?.set('author', 'bob');
    await until(bob.doc, () => views(bob.doc).get('v1')?.get('author') === 'alice');
    views(carol.doc).set('mine', savedView('carol'));
    await until(carol.doc, () => !views(carol.doc).has('mine'));
    for (const { doc } of [alice, bob, carol]) expect(entriesOf(doc)).toEqual(before);
    views(carol.doc).delete('v1');
    expect(await lastClose(carol)).toBe(4430);
    expect(entriesOf(alice.doc)).toEqual(before);
  });

  test('DOC1 need a token and a grant, and a name that means something', async () => {
    const { name } = await newDataset();
    const stranger = await yjsClient(server, 'stranger', name);
    expect(await lastClose(stranger)).toBe(4404);
    const nobody = await yjsClient({ url: server.url, token: async () => 'none' }, 'nobody', name);
    expect(await lastClose(nobody)).toBe(4401);
    const lost = await yjsClient(server, 'alice', 'dataset/nothing');
    expect(await lastClose(lost)).toBe(4422);
  });

  test('DOC26 have documents of their own, which nobody else opens', async () => {
    const subject = 'team a/käthe';
    const mine = await open(subject, `user/${subject}`);
    const encoded = await open(subject, `user/${encodeURIComponent(subject)}`);
    mine.doc.getMap('preferences').set('theme', 'dark');
    await until(encoded.doc, () => encoded.doc.getMap('preferences').get('theme') === 'dark');
    for (const other of ['bob', 'team a']) expect(await lastClose(await yjsClient(server, other, `user/${subject}`))).toBe(4404);
  });
});

describe('permission', () => {
  async function withGuest() {
    const { datasetId, name } = await newDataset();
    const alice = await server.client('alice');
    const { grantId } = await alice.grant.create({ datasetId, principal: 'user:guest', permission: 'write' });
    return { datasetId, name, alice, grantId, guest: await open('guest', name) };
  }

  test('DOC27 that is revoked ends the channel', async () => {
    const { datasetId, grantId, alice, guest } = await withGuest();
    await alice.grant.revoke({ datasetId, grantId });
    expect([4404, 4430]).toContain(await lastClose(guest));
  });

  test('DOC27 to write that is lost ends the channel, which may be opened to read', async () => {
    const { datasetId, grantId, alice, guest, name } = await withGuest();
    await alice.grant.create({ datasetId, principal: 'user:guest', permission: 'read' });
    await alice.grant.revoke({ datasetId, grantId });
    expect(await lastClose(guest)).toBe(4430);
    const channel = await (await server.client('guest')).document.connect({ name }, { onMessage: () => undefined });
    expect(channel.opened).toMatchObject({ subject: 'guest', canWrite: false });
  });

  test('DOC27 to write that is gained ends the channel, so that who comes back may write', async () => {
    const { datasetId, name } = await newDataset({ guest: {} });
    const guest = await open('guest', name);
    const alice = await server.client('alice');
    await alice.grant.create({ datasetId, principal: 'user:guest', permission: 'write' });
    expect(await lastClose(guest)).toBe(4503);
    await synced(guest);
    views(guest.doc).set('v1', savedView('guest'));
    const other = await open('alice', name);
    await until(other.doc, () => views(other.doc).has('v1'));
  });

  test('DOC27 another grant that shows and permits the same changes nothing', async () => {
    const { datasetId, name } = await newDataset({ dora: { columnMask: ['salary'] }, guest: {} });
    const [dora, guest] = [await open('dora', name), await open('guest', name)];
    const alice = await server.client('alice');
    await alice.grant.create({ datasetId, principal: 'user:dora', permission: 'read', columnMask: ['salary'] });
    await alice.grant.create({ datasetId, principal: 'user:guest', permission: 'read' });
    // What comes behind the grants on one connection is told when they have been looked at.
    await alice.grant.create({ datasetId, principal: 'user:dora', permission: 'read' });
    expect(await lastClose(dora)).toBe(4503);
    expect([dora.closes, guest.closes]).toEqual([[4503], []]);
  });

  test('DOC27 DOC28 who sees more from now on is no more among those who see less', async () => {
    const { datasetId, name } = await newDataset({ dora: { columnMask: ['salary'] }, emil: { columnMask: ['salary'] } });
    const [dora, emil] = [await open('dora', name), await open('emil', name)];
    const isThere = (): boolean => emil.provider.awareness.getStates().has(dora.doc.clientID);
    dora.provider.awareness.setLocalState({ selection: { column: 'region' } });
    await expect.poll(isThere).toBe(true);
    const alice = await server.client('alice');
    await alice.grant.create({ datasetId, principal: 'user:dora', permission: 'read' });
    expect(await lastClose(dora)).toBe(4503);
    await expect.poll(isThere).toBe(false);
    dora.provider.awareness.setLocalState({ selection: { column: 'salary' } });
    const wide = await open('alice', name);
    await expect.poll(() => wide.provider.awareness.getStates().get(dora.doc.clientID)).toEqual({ selection: { column: 'salary' } });
    expect(isThere()).toBe(false);
  });

  test('DOC24 ends with the dataset, and a dataset that comes later has another document', async () => {
    const { datasetId, alice, guest } = await withGuest();
    views(guest.doc).set('v1', savedView('guest'));
    await alice.dataset.delete({ datasetId });
    expect(await lastClose(guest)).toBe(4404);
    await expect(alice.document.connect({ name: `dataset/${datasetId}` }, { onMessage: () => undefined })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('DOC28 those who see less have another document, and nothing of the wider one reaches them', async () => {
    const { name, datasetId } = await newDataset({
      dora: { columnMask: ['salary'] },
      emil: { columnMask: ['salary'] },
      fred: { rowFilter: "region = 'EU'" },
    });
    const alice = await open('alice', name);
    views(alice.doc).set('v1', savedView('alice', { name: 'Highest salary', config: { columns: ['salary'] } }));
    const [dora, emil, fred] = [await open('dora', name), await open('emil', name), await open('fred', name)];
    alice.provider.awareness.setLocalState({ selection: { column: 'salary' } });
    dora.provider.awareness.setLocalState({ user: { name: 'Dora' } });
    await expect.poll(() => emil.provider.awareness.getStates().get(dora.doc.clientID)).toEqual({ user: { name: 'Dora' } });
    for (const { doc, provider } of [dora, emil, fred]) {
      expect(entriesOf(doc)).toEqual([{}, {}]);
      expect(provider.awareness.getStates().has(alice.doc.clientID)).toBe(false);
    }
    expect(fred.provider.awareness.getStates().has(dora.doc.clientID)).toBe(false);
    const rows = await query(server.databaseUrl, 'SELECT 1 FROM documents WHERE dataset_id = $1', [datasetId]);
    expect(rows).toHaveLength(3);
  });
});

describe('a document', () => {
  test('DOC16 tells whose edits are whose', async () => {
    const { name } = await newDataset({ bob: WRITE });
    const [alice, bob] = [await open('alice', name), await open('bob', name)];
    views(alice.doc).set('v1', savedView('alice'));
    views(bob.doc).set('v2', savedView('bob'));
    await until(alice.doc, () => views(alice.doc).has('v2'));
    await until(bob.doc, () => views(bob.doc).has('v1'));
    const { items } = await (await server.client('bob')).document.attribution({ name });
    const subjects = Object.fromEntries(items.map(({ clientId, subject }) => [clientId, subject]));
    expect(subjects).toEqual({ [alice.doc.clientID]: 'alice', [bob.doc.clientID]: 'bob' });
  });

  test('DOC23 is compacted as it grows, unloaded when nobody has it, and comes back as it was', async () => {
    const { name } = await newDataset();
    const [alice, reader] = [await open('alice', name), await open('alice', name)];
    for (let index = 0; index < 30; index += 1) {
      const id = `v${index % 7}`;
      views(alice.doc).set(id, savedView('alice', { name: `Name ${index}` }));
      // One commit each, so that the log grows.
      await until(reader.doc, () => views(reader.doc).get(id)?.get('name') === `Name ${index}`);
    }
    reader.provider.disconnect();
    const state = `SELECT s.sequence FROM document_states s JOIN documents d USING (document_id) WHERE d.name = $1 AND d.owner IS NULL`;
    alice.provider.disconnect();
    await expect.poll(() => query(server.databaseUrl, state, [name])).toHaveLength(1);
    const left = await query(server.databaseUrl, 'SELECT 1 FROM document_batches JOIN documents d USING (document_id) WHERE d.name = $1', [name]);
    expect(left).toEqual([]);
    const back = await open('alice', name);
    expect(entriesOf(back.doc)).toEqual(entriesOf(alice.doc));
    views(back.doc).set('after', savedView('alice'));
    const other = await open('alice', name);
    await until(other.doc, () => views(other.doc).has('after'));
  });

  test('DOC16 keep their ids while the document is unloaded, and with them what they do offline', async () => {
    const { name } = await newDataset({ bob: WRITE });
    const alice = await open('alice', name);
    alice.provider.awareness.setLocalState({ user: { name: 'Alice' } });
    const watcher = await open('bob', name);
    await expect.poll(() => watcher.provider.awareness.getStates().has(alice.doc.clientID)).toBe(true);
    for (const { provider } of [alice, watcher]) provider.disconnect();
    views(alice.doc).set('offline', savedView('alice'));
    await expect.poll(() => query(server.databaseUrl, 'SELECT 1 FROM documents WHERE name = $1 AND owner IS NULL', [name])).toHaveLength(1);
    const squatting = new Y.Doc();
    squatting.clientID = alice.doc.clientID;
    views(squatting).set('squatted', savedView('bob'));
    expect(await lastClose(await yjsClient(server, 'bob', name, squatting))).toBe(4430);
    alice.provider.connect();
    const reader = await open('bob', name);
    await until(reader.doc, () => views(reader.doc).has('offline'));
    expect([...views(reader.doc).keys()]).toEqual(['offline']);
  });

  test('DOC22 is open on one server at a time; another one says so and takes it over when it is free', async () => {
    const { name } = await newDataset();
    const second = await startTestServer(['--document-idle-ms', '50'], { database: server.databaseUrl });
    onTestFinished(() => second.stop());
    const alice = await open('alice', name);
    views(alice.doc).set('v1', savedView('alice'));
    const elsewhere = await yjsClient(second, 'alice', name);
    expect(await lastClose(elsewhere)).toBe(4503);
    alice.provider.disconnect();
    await synced(elsewhere);
    expect(entriesOf(elsewhere.doc)).toEqual(entriesOf(alice.doc));
    views(elsewhere.doc).set('v2', savedView('alice'));
    elsewhere.provider.disconnect();
    alice.provider.connect();
    await until(alice.doc, () => views(alice.doc).has('v2'));
  });
});
