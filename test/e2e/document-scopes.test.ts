import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { synced, until, type YjsClient, yjsClient } from '../support/yjs-clients.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

interface World {
  readonly datasetId: number;
  readonly name: string;
  /** Somebody who does not see everything, with their document. */
  readonly reader: YjsClient;
  readonly scopeId: string;
}

async function newWorld(...grants: object[]): Promise<World> {
  const { datasetId } = await alice.dataset.create({ name: 'Orders', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main', message: 'first' }, { body: csv('id,region,salary', '1,EU,10', '2,US,20') });
  for (const grant of grants) await alice.grant.create({ datasetId, principal: 'user:dora', permission: 'read', ...grant });
  const name = `dataset/${datasetId}`;
  const reader = await yjsClient(server, 'dora', name);
  await synced(reader);
  const { items } = await alice.document.scopes({ datasetId });
  return { datasetId, name, reader, scopeId: items[0]?.scopeId ?? '' };
}

const entries = ({ reader }: World, map: string): unknown => reader.doc.getMap(map).toJSON();
const isGone = async ({ closes }: YjsClient): Promise<number | undefined> => {
  await expect.poll(() => closes.length).toBeGreaterThan(0);
  return closes[0];
};

describe('documents of those who see less', () => {
  test('DOC30 are listed for and opened by those who see more, who are not seen there', async () => {
    const world = await newWorld({ columnMask: ['salary'] });
    const { datasetId, name, scopeId, reader } = world;
    const { items } = await alice.document.scopes({ datasetId });
    expect(items).toMatchObject([{ scopeId, name: `${name}/${scopeId}`, hiddenColumns: ['salary'], filteredBy: [] }]);
    reader.provider.awareness.setLocalState({ user: { name: 'Dora' } });
    const visitor = await yjsClient(server, 'alice', `${name}/${scopeId}`);
    await synced(visitor);
    visitor.provider.awareness.setLocalState({ selection: { column: 'salary' } });
    await expect.poll(() => visitor.provider.awareness.getStates().get(reader.doc.clientID)).toEqual({ user: { name: 'Dora' } });
    // What a visitor writes is taken from them again, and nobody else has seen it.
    visitor.doc.getMap('mine').set('salary', 10);
    await until(visitor.doc, () => !visitor.doc.getMap('mine').has('salary'));
    expect(reader.doc.getMap('mine').toJSON()).toEqual({});
    expect(reader.provider.awareness.getStates().has(visitor.doc.clientID)).toBe(false);
    const live = await alice.document.open(`${name}/${scopeId}`);
    expect(live.canWrite).toBe(false);
    live.close();
  });

  test('DOC30 are not there for who does not see as much', async () => {
    const world = await newWorld({ columnMask: ['salary'] });
    const { datasetId, name, scopeId } = world;
    await alice.grant.create({ datasetId, principal: 'user:fred', permission: 'read', rowFilter: "region = 'EU'" });
    const fred = await server.client('fred');
    expect((await fred.document.scopes({ datasetId })).items).toEqual([]);
    expect(await isGone(await yjsClient(server, 'fred', `${name}/${scopeId}`))).toBe(4404);
    expect(await isGone(await yjsClient(server, 'alice', `${name}/${'0'.repeat(32)}`))).toBe(4404);
    await expect(fred.document.attribution({ name: `${name}/${scopeId}` })).rejects.toMatchObject({ code: 'not_found' });
    const again = await yjsClient(server, 'dora', `${name}/${scopeId}`);
    await synced(again);
  });
});

describe('publishing', () => {
  test('DOC31 copies an entry that names nothing hidden to readers of the SDK and of y-websocket, and takes it back', async () => {
    const world = await newWorld({ columnMask: ['salary'] });
    const { datasetId, name, scopeId, reader } = world;
    const document = await alice.document.open(name);
    const view = document.savedViews().create({ name: 'By region', config: { group_by: ['region'], filter: [['region', '==', 'EU']] } });
    const note = document.annotations.add('Odd', { rowKey: { id: 1 }, column: 'region' });
    document.annotations.reply(note.id, 'Indeed');
    await document.whenDurable();
    await alice.document.publish({ datasetId, scopeId, map: 'views', id: view.id });
    await alice.document.publish({ datasetId, scopeId, map: 'annotations', id: note.id });
    await until(reader.doc, () => reader.doc.getMap('annotations').has(note.id) && reader.doc.getMap('views').has(view.id));
    expect(entries(world, 'annotations')).toMatchObject({ [note.id]: { body: 'Odd', author: 'alice', replies: [{ body: 'Indeed' }] } });
    const dora = await (await server.client('dora')).document.open(name);
    await dora.whenSynced();
    expect(dora.savedViews().list()).toMatchObject([{ name: 'By region' }]);
    document.annotations.reply(note.id, 'Once more');
    await document.whenDurable();
    await alice.document.publish({ datasetId, scopeId, map: 'annotations', id: note.id });
    await expect.poll(() => dora.annotations.get(note.id)?.replies.length).toBe(2);
    await alice.document.withdraw({ datasetId, scopeId, map: 'views', id: view.id });
    await until(reader.doc, () => !reader.doc.getMap('views').has(view.id));
    for (const opened of [document, dora]) opened.close();
  });

  test('DOC31 is refused for what names a hidden column, in any place, and nothing of it arrives', async () => {
    const world = await newWorld({ columnMask: ['salary'] });
    const { datasetId, name, scopeId } = world;
    const document = await alice.document.open(name);
    const views = [
      { config: { columns: ['salary'] } },
      { config: { filter: [['salary', '>', 10]] as [string, string, number][] } },
      { config: { expressions: { high: 'bucket("salary", 10)' } } },
      { config: {}, description: 'Whose Salary is highest?' },
      { config: {}, columnsConfig: { salary: { format: 'money' } } },
    ];
    const ids = views.map((view) => ({ map: 'views' as const, id: document.savedViews().create({ name: 'Of money', ...view }).id }));
    const notes = [
      document.annotations.add('Odd', { column: 'salary' }),
      document.annotations.add('The salary is odd', {}),
      document.annotations.add('See:\nsalary', {}),
    ];
    await document.whenDurable();
    for (const entry of [...ids, ...notes.map(({ id }) => ({ map: 'annotations' as const, id }))]) {
      await expect(alice.document.publish({ datasetId, scopeId, ...entry })).rejects.toMatchObject({
        code: 'unprocessable_data',
        details: { column: expect.stringMatching(/^salary$/), rule: 'DOC31' },
      });
    }
    expect([entries(world, 'views'), entries(world, 'annotations')]).toEqual([{}, {}]);
    const eve = { datasetId, scopeId, map: 'views' as const, id: ids[0]?.id ?? '' };
    await expect((await server.client('dora')).document.publish(eve)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(alice.document.publish({ ...eve, id: 'nothing' })).rejects.toMatchObject({ code: 'not_found' });
    document.close();
  });

  test('DOC31 is refused for a value of a column that is hidden in some of the rows', async () => {
    const { datasetId, name, scopeId } = await newWorld({ columnMask: ['salary'] }, { rowFilter: "region = 'EU'" });
    const document = await alice.document.open(name);
    const earning = (salary: number) => ({
      map: 'views' as const,
      id: document.savedViews().create({ name: 'Earning', config: { filter: [['salary', '==', salary]] } }).id,
    });
    const [shown, hidden] = [earning(10), earning(20)];
    await document.whenDurable();
    await alice.document.publish({ datasetId, scopeId, ...shown });
    await expect(alice.document.publish({ datasetId, scopeId, ...hidden })).rejects.toMatchObject({ code: 'unprocessable_data' });
    document.close();
  });

  test('DOC31 is refused for what names hidden rows or values, or may', async () => {
    const world = await newWorld({ rowFilter: "region = 'EU'" });
    const { datasetId, name, scopeId, reader } = world;
    const document = await alice.document.open(name);
    const version = { versionId: 1 };
    const views = document.savedViews();
    const view = views.create({ name: 'By region', config: { group_by: ['region'] } });
    const filtered = (value: string): string => views.create({ name: 'Filtered', config: { filter: [['region', '==', value]] } }).id;
    // Plugins keep groups that were opened and extremes of columns there.
    const drawing = { pluginConfig: { treemapRoute: ['US'] }, columnsConfig: { salary: { fg_gradient: 20 } } };
    const drawn = views.create({ name: 'Drawn', config: { group_by: ['region'] }, plugin: 'Treemap', ...drawing });
    const shown = [
      { map: 'annotations' as const, id: document.annotations.add('Odd', { rowKey: { id: 1 } }).id },
      { map: 'views' as const, id: filtered('EU') },
      { map: 'views' as const, id: views.create({ name: 'Above', config: { filter: [['salary', '>', 15]] } }).id },
      { map: 'views' as const, id: drawn.id },
    ];
    const hidden = [
      { map: 'annotations' as const, id: document.annotations.add('Odd', { rowKey: { id: 2 } }).id },
      { map: 'annotations' as const, id: document.annotations.add('Odd', { ...version, row: 0 }).id },
      { map: 'annotations' as const, id: document.annotations.add('Odd', { viewId: view.id, cell: { rowPath: ['US'], column: 'salary' } }).id },
      { map: 'views' as const, id: filtered('US') },
      { map: 'views' as const, id: views.create({ name: 'Text', config: { expressions: { us: `"region" == 'US'` } } }).id },
      { map: 'views' as const, id: views.create({ name: 'Number', config: { expressions: { us: '"salary" == 20' } } }).id },
    ];
    await document.whenDurable();
    for (const entry of hidden) {
      await expect(alice.document.publish({ datasetId, scopeId, ...entry }), JSON.stringify(entry)).rejects.toMatchObject({
        code: 'unprocessable_data',
      });
    }
    for (const entry of shown) await alice.document.publish({ datasetId, scopeId, ...entry });
    await until(reader.doc, () => reader.doc.getMap('views').size === 3 && reader.doc.getMap('annotations').size === 1);
    const copy = (entries(world, 'views') as Record<string, object>)[drawn.id];
    expect(copy).toMatchObject({ name: 'Drawn', plugin: 'Treemap', author: 'alice' });
    expect(JSON.stringify(entries(world, 'views'))).not.toMatch(/US|gradient|Route/);
    document.close();
  });

  test('DOC31 what was withdrawn, or published anew otherwise, is not read in snapshots either', async () => {
    const { datasetId, name, scopeId } = await newWorld({ columnMask: ['salary'] });
    const [document, dora] = [await alice.document.open(name), await server.client('dora')];
    const ids = ['Stays', 'Goes', 'Changes'].map((text) => document.annotations.add(text).id) as [string, string, string];
    await document.whenDurable();
    const publish = (id: string) => alice.document.publish({ datasetId, scopeId, map: 'annotations', id });
    for (const id of ids) await publish(id);
    const theirs = `${name}/${scopeId}`;
    const { snapshotId } = await alice.document.saveSnapshot({ name: theirs, label: 'Then' });
    const texts = async (reader: Client, ofDocument: string): Promise<unknown[]> => {
      const { items } = await reader.document.readSnapshot({ name: ofDocument, snapshotId, map: 'annotations' });
      return items.map(({ entry }) => (entry as { body: string }).body).sort();
    };
    expect(await texts(dora, name)).toEqual(['Changes', 'Goes', 'Stays']);
    await alice.document.withdraw({ datasetId, scopeId, map: 'annotations', id: ids[1] });
    document.annotations.edit(ids[2], 'Changed');
    await document.whenDurable();
    await publish(ids[2]);
    expect(await texts(dora, name)).toEqual(['Stays']);
    const page = await dora.document.readSnapshot({ name, snapshotId, map: 'annotations', limit: 1 });
    expect(page).toMatchObject({ items: [{ entry: { body: 'Stays' } }] });
    expect(page.next).toBeUndefined();
    await expect(alice.document.restoreSnapshot({ name: theirs, snapshotId })).rejects.toMatchObject({ code: 'forbidden' });
    document.close();
  });
});
