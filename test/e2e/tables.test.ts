import perspective from '@perspective-dev/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import type { RestAnswer } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { prepareOrders } from '../support/table-world.ts';
import { type ThinEngine, thinEngine } from '../support/thin-engine.ts';

let server: TestServer;
let engine: ThinEngine;
let owner: Client;
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer([], {
    engines: ({ content }) => {
      engine = thinEngine(content);
      return [engine];
    },
  });
  ({ owner, datasetId } = await prepareOrders(server));
});

afterAll(async () => {
  await server?.stop();
});

const socketUrl = async (tableId: string, subject: string): Promise<string> =>
  `${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await server.token(subject)}`;

interface Opened {
  readonly tableId: string;
  readonly schema: readonly { readonly name: string }[];
}

const PIVOT = { group_by: ['region'], columns: ['price'], aggregates: { price: 'sum' } };

describe('doors', () => {
  test('TB1 an unmodified client of Perspective reads a table over a socket of its own', async () => {
    const { tableId } = await owner.table.open({ datasetId, ref: 'main' }, { perspective: false });
    const client = await perspective.websocket(await socketUrl(tableId, 'owner'));
    expect(await client.get_hosted_table_names()).toEqual([tableId]);
    const table = await client.open_table(tableId);
    expect(await table.size()).toBe(5);
    expect(await table.schema()).toMatchObject({ id: 'integer', region: 'string', price: 'integer', margin: 'float' });
    const view = await table.view(PIVOT);
    expect(await view.to_columns()).toEqual({ __ROW_PATH__: [[], ['EU'], ['US']], price: [180443, 22, 180421] });
    await view.delete();
    await client.terminate();
  });

  test('TB1 the SDK gives a client of Perspective over its own socket', async () => {
    const { tableId, perspective: client } = await owner.table.open({ datasetId, ref: 'main' });
    const table = await client.open_table(tableId);
    const view = await table.view({ ...PIVOT, group_by: ['product'], sort: [['price', 'desc']] });
    expect(await view.to_json({ start_row: 1, end_row: 2 })).toEqual([{ __ROW_PATH__: ['CANARY-lamp'], price: 90211 }]);
    expect(await table.validate_expressions({ double: '"price" * 2' })).toMatchObject({ expression_schema: { double: 'float' } });
    await view.delete();
    await client.terminate();
  });

  test('TB1 a lost connection is told to the client of Perspective, which goes on when it is used again', async () => {
    const client = await server.client('owner');
    const { tableId, perspective: remote } = await client.table.open({ datasetId, ref: 'main' });
    const table = await remote.open_table(tableId);
    const lost = Promise.withResolvers<string>();
    await remote.on_error((message: string) => lost.resolve(String(message)));
    await server.restart();
    ({ owner, datasetId } = { owner: await server.client('owner'), datasetId });
    expect(await lost.promise).toContain('draining');
    expect(await table.size()).toBe(5);
  });

  test('TB2 a table opens over REST, and views on it answer rows and bytes', async () => {
    const rest = await server.rest('owner');
    const asked = { columns: ['region', 'price', 'day'], rowLimit: 4 };
    const opened = (await rest.post(`/api/explore/${datasetId}/main/perspective`, asked)) as Omit<RestAnswer, 'body'> & { body: Opened };
    expect(opened.status).toBe(200);
    expect(opened.body).toMatchObject({ datasetId, versionId: 1, engine: 'memory', rows: 4, totalRows: 5, truncated: true });
    expect(opened.body.schema.map(({ name }) => name)).toEqual(['region', 'price', 'day']);
    const path = `/api/explore/perspective/table/${opened.body.tableId}`;
    const view = (await rest.post(`${path}/view`, { ...PIVOT, sort: [['price', 'desc']] })) as Omit<RestAnswer, 'body'> & {
      body: { viewId: string };
    };
    expect(view.status).toBe(201);
    expect(view.body).toMatchObject({ schema: [{ name: 'price', type: 'integer' }], rows: 3 });
    const data = `${path}/view/${view.body.viewId}/data`;
    expect((await rest.get(`${data}?startRow=1&endRow=3`)).body).toEqual({
      rows: [
        { __ROW_PATH__: ['US'], price: 90210 },
        { __ROW_PATH__: ['EU'], price: 22 },
      ],
      startRow: 1,
      endRow: 3,
      totalRows: 3,
      truncated: false,
    });
    const text = await rest.get(`${data}?startRow=0&endRow=2&format=csv`);
    expect(text.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(new TextDecoder().decode(text.bytes)).toBe('"region (Group by 1)","price"\n,90232\n"US",90210\n');
    const arrow = await rest.get(`${data}?format=arrow`);
    expect(arrow.headers.get('content-type')).toBe('application/vnd.apache.arrow.stream');
    expect((await rest.send('DELETE', `${path}/view/${view.body.viewId}`)).status).toBe(204);
    expect((await rest.get(data)).status).toBe(404);
  });

  test('TB3 a bad configuration is refused with what is wrong', async () => {
    const rest = await server.rest('owner');
    const { tableId } = await owner.table.open({ datasetId, ref: 'main' }, { perspective: false });
    const path = `/api/explore/perspective/table/${tableId}/view`;
    const bad = [
      [{ columns: ['nope'] }, 'nope'],
      [{ group_by: ['nope'] }, 'nope'],
      [{ columns: ['price'], aggregates: { price: 'nope' } }, 'nope'],
      [{ columns: ['region'], aggregates: { region: 'sum' } }, 'sum'],
      [{ filter: [['price', 'begins with', '1']] }, 'begins with'],
      [{ filter: [['price', '==', 'ten']] }, 'price'],
      [{ sort: [['nope', 'asc']] }, 'nope'],
      [{ expressions: { x: '"nope" + 1' }, columns: ['x'] }, 'nope'],
      [{ expressions: { x: 'for (var i := 0; i < 10; i += 1) { i }' }, columns: ['x'] }, 'for'],
      [{ windows: { w: { column: 'price', aggregate: 'nope' } } }, 'nope'],
    ] as const;
    for (const [config, named] of bad) {
      const { status, body } = (await rest.post(path, config)) as Omit<RestAnswer, 'body'> & { body: { error: { message: string } } };
      expect(status, JSON.stringify(config)).toBe(400);
      expect(body.error.message).toContain(named);
    }
  });
});

describe('sharing', () => {
  test('TB4 who sees the same shares one table, loaded once however many ask at once', async () => {
    const before = engine.loads();
    const carol = await server.client('carol');
    const open = (client: Client) => client.table.open({ datasetId, ref: 'main', columns: ['id', 'price'] }, { perspective: false });
    const opened = await Promise.all([open(owner), open(carol), open(owner), open(carol)]);
    expect(new Set(opened.map(({ tableId }) => tableId)).size).toBe(1);
    expect(engine.loads() - before).toBe(1);
  });

  test('TB5 a table has no hidden row or column, and its id is of no use to others', async () => {
    const bob = await server.client('bob');
    const whole = await owner.table.open({ datasetId, ref: 'main' }, { perspective: false });
    const part = await bob.table.open({ datasetId, ref: 'main' }, { perspective: false });
    expect(part.tableId).not.toBe(whole.tableId);
    expect(part).toMatchObject({ rows: 3, totalRows: 3, truncated: false });
    expect(part.schema.map(({ name }) => name)).not.toContain('margin');
    await expect(bob.table.get({ tableId: whole.tableId })).rejects.toMatchObject({ code: 'not_found' });
    await expect(owner.table.get({ tableId: part.tableId })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.table.connect({ tableId: whole.tableId }, { onMessage: () => undefined })).rejects.toMatchObject({ code: 'not_found' });
    await expect(bob.table.open({ datasetId, ref: 'main', columns: ['margin'] }, { perspective: false })).rejects.toMatchObject({
      code: 'invalid_input',
      message: 'there is no column "margin"',
    });
  });

  test('TB6 open tables are listed with what they take and who uses them', async () => {
    const { tableId } = await owner.table.open({ datasetId, ref: 'main', columns: ['day'] }, { perspective: false });
    const { viewId } = await owner.view.create({ tableId });
    const listed = async (client: Client) => (await client.table.list({ datasetId })).items.find((item) => item.tableId === tableId);
    expect(await listed(owner)).toMatchObject({ rows: 5, connections: 1, engine: 'memory' });
    expect(await listed(await server.client('carol'))).toBeUndefined();
    await owner.view.close({ tableId, viewId });
    expect(await listed(owner)).toMatchObject({ connections: 0 });
    await owner.table.close({ tableId });
    expect(await listed(owner)).toBeUndefined();
    expect(await owner.table.get({ tableId })).toMatchObject({ rows: 5 });
  });

  test('TB7 a table that its engine lost ends its users, and loads again when it is used', async () => {
    const { tableId } = await owner.table.open({ datasetId, ref: 'main', columns: ['id'] }, { perspective: false });
    const over = Promise.withResolvers<unknown>();
    await owner.table.connect({ tableId }, { onMessage: () => undefined, onClose: (reason) => over.resolve(reason) });
    const { viewId } = await owner.view.create({ tableId });
    const before = engine.loads();
    engine.lose(tableId);
    expect(await over.promise).toMatchObject({ code: 'unavailable' });
    await expect(owner.view.data({ tableId, viewId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await owner.view.create({ tableId })).toMatchObject({ rows: 5 });
    expect(engine.loads()).toBe(before + 1);
  });

  test('TB8 who loses the permission loses the table, and so does everybody when the dataset goes', async () => {
    const { datasetId: doomed } = await owner.dataset.create({ name: 'Doomed' });
    await owner.version.commit({ datasetId: doomed, branch: 'main' }, { body: csv('a', '1') });
    const { grantId } = await owner.grant.create({ datasetId: doomed, principal: 'user:dora', permission: 'read' });
    const dora = await server.client('dora');
    const { tableId } = await dora.table.open({ datasetId: doomed, ref: 'main' }, { perspective: false });
    const ending = async (client: Client): Promise<unknown> => {
      const over = Promise.withResolvers<unknown>();
      await client.table.connect({ tableId }, { onMessage: () => undefined, onClose: (reason) => over.resolve(reason) });
      return over;
    };
    const first = (await ending(dora)) as PromiseWithResolvers<unknown>;
    await owner.grant.revoke({ datasetId: doomed, grantId });
    expect(await first.promise).toMatchObject({ code: 'not_found' });
    const second = (await ending(owner)) as PromiseWithResolvers<unknown>;
    await owner.dataset.delete({ datasetId: doomed });
    expect(await second.promise).toMatchObject({ code: 'not_found', details: { reason: 'dataset.deleted' } });
    expect(engine.keys()).not.toContain(tableId);
  });
});

describe('uploads', () => {
  test('TB9 an upload opens as a table of its owner alone, and stays an upload', async () => {
    const upload = async (client: Client) => {
      const { uploadId } = await client.upload.begin({ fileName: 'mine.csv' });
      await client.upload.write({ uploadId, offset: 0 }, { body: csv('word,n', 'one,1', 'two,2') });
      return uploadId;
    };
    const uploadId = await upload(owner);
    const { tableId, rows, perspective: client } = await owner.table.open({ uploadId });
    expect(rows).toBe(2);
    const view = await (await client.open_table(tableId)).view();
    expect(await view.to_json()).toEqual([
      { word: 'one', n: 1 },
      { word: 'two', n: 2 },
    ]);
    await client.terminate();
    expect(await owner.table.openUpload({ uploadId })).toMatchObject({ tableId, conversion: { status: 'complete', errorCount: 0, errors: [] } });
    const carol = await server.client('carol');
    const { viewId } = await owner.view.create({ tableId });
    await expect(carol.table.open({ uploadId })).rejects.toMatchObject({ code: 'not_found' });
    await expect(carol.table.get({ tableId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await owner.view.data({ tableId, viewId })).toMatchObject({ totalRows: 2 });
    expect(await owner.upload.status({ uploadId })).toMatchObject({ uploadId });
    await owner.upload.abort({ uploadId });
    await expect(owner.table.get({ tableId })).rejects.toMatchObject({ code: 'not_found' });
  });
});

test('TB9 a table of an upload says which rows of the file could not be read', async () => {
  const { uploadId } = await owner.upload.begin({ fileName: 'torn.csv' });
  await owner.upload.write({ uploadId, offset: 0 }, { body: csv('word,n', 'one,1', 'two', 'three,3') });
  expect(await owner.table.open({ uploadId }, { perspective: false })).toMatchObject({
    rows: 2,
    conversion: { status: 'partial', errorCount: 1, errors: [{ line: 3 }] },
  });
});

test('REST11 TB10 exports give every row of a view in each format, as a whole', async () => {
  const { tableId } = await owner.table.open({ datasetId, ref: 'main' }, { perspective: false });
  const { viewId } = await owner.view.create({ tableId, columns: ['id', 'region'], sort: [['id', 'desc']] });
  const rest = await server.rest('owner');
  const path = (format: string): string => `/api/explore/perspective/table/${tableId}/view/${viewId}/export?format=${format}`;
  const fetched = async (format: string) => rest.get(path(format));
  const { status, headers } = await rest.get(path('csv'), { range: 'bytes=0-3' });
  expect([status, headers.get('accept-ranges')]).toEqual([200, 'none']);
  expect(new TextDecoder().decode((await fetched('csv')).bytes)).toBe('"id","region"\n5,"US"\n4,"US"\n3,"EU"\n2,"EU"\n1,"EU"\n');
  expect(
    new TextDecoder()
      .decode((await fetched('ndjson')).bytes)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toHaveLength(5);
  const { datasetId: copy } = await owner.dataset.create({ name: 'Copy' });
  for (const format of ['parquet', 'arrow']) {
    const { rows } = await owner.version.commit({ datasetId: copy, branch: 'main' }, { body: (await fetched(format)).bytes });
    expect(rows, format).toBe(5);
  }
});
