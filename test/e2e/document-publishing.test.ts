import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { annotation } from '../support/entries.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { synced, yjsClient } from '../support/yjs-clients.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer();
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

type Entry = { readonly map: 'views' | 'annotations'; readonly id: string };

/** A dataset of which Dora sees less by these grants, with Alice's document of it. */
async function newWorld(rows: readonly string[], ...grants: object[]) {
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  const commit = (branch: string, ...lines: string[]) => alice.version.commit({ datasetId, branch, message: 'rows' }, { body: csv(...lines) });
  await commit('main', ...rows);
  for (const grant of grants) await alice.grant.create({ datasetId, principal: 'user:dora', permission: 'read', ...grant });
  const name = `dataset/${datasetId}`;
  await synced(await yjsClient(server, 'dora', name));
  const scopeId = (await alice.document.scopes({ datasetId })).items[0]?.scopeId ?? '';
  const document = await alice.document.open(name);
  const publish = async (entry: Entry) => {
    await document.whenDurable();
    return alice.document.publish({ datasetId, scopeId, ...entry });
  };
  const note = (body: string, about: Parameters<typeof document.annotations.add>[1] = {}): Entry => ({
    map: 'annotations',
    id: document.annotations.add(body, about).id,
  });
  const view = (made: Parameters<ReturnType<typeof document.savedViews>['create']>[0]): Entry => ({
    map: 'views',
    id: document.savedViews().create(made).id,
  });
  return { datasetId, name, scopeId, document, commit, publish, note, view };
}

const refusedFor = (column: string) => ({ code: 'unprocessable_data', details: { rule: 'DOC31', column } });

describe('publishing', () => {
  test('DOC31 is refused for names of columns that came and went, or are on another branch', async () => {
    const { document, commit, publish, note } = await newWorld(['id,region,salary,old', '1,EU,10,x'], { columnMask: ['salary'] });
    await commit('main', 'id,region,salary,Bonus', '1,EU,10,5');
    await commit('other', 'id,region,salary,Raise', '1,EU,10,5');
    await commit('main', 'id,region,salary', '1,EU,10');
    await expect(publish(note('The bonus is wrong in v2'))).rejects.toMatchObject(refusedFor('Bonus'));
    await expect(publish(note('What is raise?'))).rejects.toMatchObject(refusedFor('Raise'));
    // One that they saw is none, nor is one that has come back where they see it.
    await publish(note('What was old?'));
    await commit('main', 'id,region,salary,old', '1,EU,10,x');
    await expect(publish(note('What is old?'))).rejects.toMatchObject(refusedFor('old'));
    document.close();
  });

  test('DOC31 is refused for an id that names a hidden column', async () => {
    const { document, publish } = await newWorld(['id,salary', '1,10'], { columnMask: ['salary'] });
    document.doc.getMap('annotations').set('odd-salary', annotation('alice', 'Odd', { anchor: {} }));
    await expect(publish({ map: 'annotations', id: 'odd-salary' })).rejects.toMatchObject(refusedFor('salary'));
    document.close();
  });

  test('DOC25 labels of snapshots are shown to who sees everything only', async () => {
    const { document, name, scopeId } = await newWorld(['id,salary', '1,10'], { columnMask: ['salary'] });
    await alice.document.saveSnapshot({ name: `${name}/${scopeId}`, label: 'Before salary 10 came' });
    const dora = await server.client('dora');
    expect((await dora.document.snapshots({ name })).items).toMatchObject([{ label: null, takenBy: 'alice' }]);
    expect((await alice.document.snapshots({ name: `${name}/${scopeId}` })).items).toMatchObject([{ label: 'Before salary 10 came' }]);
    document.close();
  });

  test('DOC31 fields and terms that are called like hidden columns are no names of them', async () => {
    const names = ['name', 'id', 'author', 'ref', 'at', 'body', 'column', 'config', 'plugin', 'Datagrid', 'exprtk', 'sum', 'main', 'filter', '2026'];
    const { document, publish, note, view } = await newWorld([`${names.join(',')},x,y`, `${names.map(() => 1).join(',')},1,2`], {
      columnMask: names,
    });
    const reply = note('Odd', { rowKey: { x: 1 }, column: 'y' });
    document.annotations.reply(reply.id, 'Indeed');
    await publish(reply);
    await publish(view({ name: 'All', config: { columns: ['x'], filter: [['x', '==', 1]], sort: [['y', 'desc']], aggregates: { x: 'sum' } } }));
    await expect(publish(view({ name: 'Sum', config: {} }))).rejects.toMatchObject(refusedFor('sum'));
    await expect(publish(view({ name: 'All', config: {}, columnsConfig: { x: { column: 1 } } }))).rejects.toMatchObject(refusedFor('column'));
    await expect(publish(view({ name: 'All', config: { having: [] } }))).resolves.toBeDefined();
    document.close();
  });

  test('DOC31 values that they see are found however they are told, and no others', async () => {
    const rows = ['region,price,at', 'EU,10.0,2026-01-31T00:00:00', 'EU,10.5,2026-01-31T12:00:00', 'US,20.0,2026-02-01T00:00:00'];
    const { document, publish, note, view } = await newWorld(rows, { rowFilter: "region = 'EU'" });
    const earning = (price: number) => view({ name: 'Earning', config: { filter: [['price', '==', price]] } });
    await publish(earning(10));
    await publish(note('Odd', { rowKey: { price: 10 } }));
    await publish(note('Odd', { rowKey: { at: '2026-01-31T00:00:00.000Z' } }));
    await publish(note('Odd', { rowKey: { at: '2026-01-31T12:00:00Z', price: 10.5 } }));
    for (const entry of [
      earning(20),
      note('Odd', { rowKey: { at: '2026-02-01T00:00:00Z' } }),
      note('Odd', { rowKey: { price: 10, at: '2026-01-31T12:00:00Z' } }),
    ]) {
      await expect(publish(entry)).rejects.toMatchObject({ code: 'unprocessable_data', details: { rule: 'DOC31', value: expect.anything() } });
    }
    document.close();
  });
});
