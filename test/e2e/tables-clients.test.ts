import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, resolve } from 'node:path';
import perspective from '@perspective-dev/client';
import { Table as ArrowTable, tableFromIPC, tableToIPC, vectorFromArray } from 'apache-arrow';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { hasBrowser, launchBrowser } from '../support/browser.ts';
import type { RestAnswer } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { prepareOrders } from '../support/table-world.ts';

let server: TestServer;
let page: Server;
let owner: Client;
let datasetId: number;

beforeAll(async () => {
  page = createServer((request, response) => void serve(request.url ?? '', response));
  await new Promise<void>((done) => page.listen(0, '127.0.0.1', done));
  server = await startTestServer(['--allowed-origins', pageUrl(), '--table-idle-ms', '400']);
  ({ owner, datasetId } = await prepareOrders(server));
});

afterAll(async () => {
  await server?.stop();
  await new Promise((done) => page.close(done));
});

const pageUrl = (): string => `http://127.0.0.1:${(page.address() as AddressInfo).port}`;
const PACKAGES = resolve(import.meta.dirname, '../../node_modules/@perspective-dev');
const TYPES: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.html': 'text/html', '.css': 'text/css' };

/** A page of somebody else with Perspective as it is published, and nothing of ours. */
const PAGE = `<!doctype html><perspective-viewer style="position:absolute;inset:0"></perspective-viewer><script type="module">
import perspective from '/client/dist/cdn/perspective.js';
import '/viewer/dist/cdn/perspective-viewer.js';
import '/viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js';
const asked = new URLSearchParams(location.search);
const viewer = document.querySelector('perspective-viewer');
const client = await perspective.websocket(asked.get('socket'));
await viewer.load(client);
await viewer.restore({ table: asked.get('table'), plugin: 'Datagrid', group_by: ['region'], columns: ['price'], aggregates: { price: 'sum' } });
const view = await viewer.getView();
window.shown = JSON.stringify(await view.to_columns());
</script>`;

async function serve(url: string, response: import('node:http').ServerResponse): Promise<void> {
  const path = new URL(url, 'http://page').pathname;
  const type = TYPES[path === '/' ? '.html' : extname(path)] ?? 'application/octet-stream';
  const body = path === '/' ? PAGE : await readFile(join(PACKAGES, path)).catch(() => undefined);
  response.writeHead(body === undefined ? 404 : 200, { 'content-type': type });
  response.end(body);
}

const socketUrl = async (tableId: string, subject: string): Promise<string> =>
  `${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await server.token(subject)}`;

const PIVOT = { __ROW_PATH__: [[], ['EU'], ['US']], price: [180_443, 22, 180_421] };

describe.each(['memory', 'duckdb'] as const)('the %s engine', (engine) => {
  const open = (client: Client, more: object = {}) => client.table.open({ datasetId, ref: 'main', engine, ...more }, { perspective: false });

  test('TB1 TB18 an unmodified client of Perspective pivots, opens rows, computes windows and buckets', async () => {
    const { tableId } = await open(owner);
    const client = await perspective.websocket(await socketUrl(tableId, 'owner'));
    expect(await client.get_hosted_table_names()).toEqual([tableId]);
    const table = await client.open_table(tableId);
    const view = await table.view({ group_by: ['region', 'product'], columns: ['price'], aggregates: { price: 'sum' } });
    await view.set_depth(0);
    expect(await view.to_columns()).toEqual(PIVOT);
    expect(await view.expand(2)).toBe(2);
    expect((await view.dimensions()).num_view_rows).toBe(5);
    expect(await view.collapse(2)).toBe(2);
    await view.on_update(() => undefined);
    const made = {
      expressions: { quarter: `bucket("day", 'Q')` },
      windows: { running: { column: 'price', aggregate: 'sum', order_by: ['day', 'asc'] as [string, 'asc'] } },
    };
    const flat = await table.view({ columns: ['quarter', 'running'], filter: [['region', '==', 'EU']], ...made });
    const quarter = Date.UTC(2026, 0, 1);
    expect(await flat.to_columns()).toEqual({ quarter: [quarter, quarter, quarter], running: [10, 15, 22] });
    expect((await flat.get_config()).expressions).toEqual(made.expressions);
    expect(await flat.get_min_max('running')).toEqual([10, 22]);
    await Promise.all([view.delete(), flat.delete()]);
    await client.terminate();
  });

  test('TB1 the SDK gives a client of Perspective over its own socket', async () => {
    const { tableId, perspective: client } = await owner.table.open({ datasetId, ref: 'main', engine });
    const view = await (await client.open_table(tableId)).view({ columns: ['product'], sort: [['price', 'desc']] });
    expect(await view.to_columns({ end_row: 2 })).toEqual({ product: ['CANARY-lamp', 'CANARY-desk'] });
    await view.delete();
    await client.terminate();
  });

  test.skipIf(!hasBrowser)('TB1 an unmodified viewer on a page of somebody else shows the table (needs Chromium)', async () => {
    const { tableId } = await open(owner);
    const browser: Browser = await launchBrowser();
    try {
      const tab = await browser.newPage();
      const query = new URLSearchParams({ table: tableId, socket: await socketUrl(tableId, 'owner') });
      await tab.goto(`${pageUrl()}/?${query}`);
      await tab.waitForFunction('window.shown !== undefined');
      expect(JSON.parse(await tab.evaluate<string>('window.shown'))).toEqual(PIVOT);
      await expect.poll(() => tab.locator('perspective-viewer-datagrid').count()).toBe(1);
    } finally {
      await browser.close();
    }
  });

  test('TB2 TB10 views over REST answer in every format, export in every format, and end', async () => {
    const rest = await server.rest('owner');
    const { tableId } = await open(owner);
    const path = `/api/explore/perspective/table/${tableId}/view`;
    const made = (await rest.post(path, { columns: ['id', 'region'], sort: [['id', 'desc']] })) as Omit<RestAnswer, 'body'> & {
      body: { viewId: string };
    };
    expect(made.status).toBe(201);
    const view = `${path}/${made.body.viewId}`;
    expect((await rest.get(`${view}/data?startRow=0&endRow=1`)).body).toMatchObject({ rows: [{ id: 5, region: 'US' }], totalRows: 5 });
    const text = async (suffix: string): Promise<string> => new TextDecoder().decode((await rest.get(`${view}/${suffix}`)).bytes);
    const lines = '"id","region"\n5,"US"\n4,"US"\n3,"EU"\n2,"EU"\n1,"EU"\n';
    expect(await text('data?format=csv')).toBe(lines);
    expect(await text('export?format=csv')).toBe(lines);
    for (const ndjson of [await text('data?format=ndjson'), await text('export?format=ndjson')]) {
      expect(JSON.parse(ndjson.split('\n')[1] ?? '')).toEqual({ id: 4, region: 'US' });
    }
    for (const suffix of ['data?format=arrow', 'export?format=arrow']) {
      expect(tableFromIPC((await rest.get(`${view}/${suffix}`)).bytes).numRows).toBe(5);
    }
    const { datasetId: copy } = await owner.dataset.create({ name: `Copy ${engine}` });
    const { bytes } = await rest.get(`${view}/export?format=parquet`);
    expect(await owner.version.commit({ datasetId: copy, branch: 'main' }, { body: bytes })).toMatchObject({ rows: 5 });
    expect((await rest.send('DELETE', view)).status).toBe(204);
    expect((await rest.get(`${view}/data`)).status).toBe(404);
  });

  test('TB5 TB6 a table of a filtered reader is made without what they may not see, and loads again after it was unloaded', async () => {
    const bob = await server.client('bob');
    const opened = await open(bob);
    expect(opened).toMatchObject({ rows: 3, totalRows: 3 });
    expect(opened.schema.map(({ name }) => name)).not.toContain('margin');
    await expect.poll(async () => (await bob.table.list({})).items).toEqual([]);
    const client = await perspective.websocket(await socketUrl(opened.tableId, 'bob'));
    expect(await (await client.open_table(opened.tableId)).size()).toBe(3);
    await client.terminate();
  });

  test('TB9 an upload of CSV or Arrow is a table of its owner, through a restart, and ends with the upload', async () => {
    const arrow = tableToIPC(new ArrowTable({ word: vectorFromArray(['one', 'two']), n: vectorFromArray(new Int32Array([1, 2])) }), 'stream');
    const carol = await server.client('carol');
    for (const body of [csv('word,n', 'one,1', 'two,2'), arrow]) {
      const { uploadId } = await owner.upload.begin({});
      await owner.upload.write({ uploadId, offset: 0 }, { body });
      const opened = await owner.table.open({ uploadId, engine }, { perspective: false });
      expect(opened).toMatchObject({ engine, rows: 2, datasetId: null, versionId: null });
      const { tableId } = opened;
      const { viewId } = await owner.view.create({ tableId, columns: ['word'], filter: [['n', '==', 2]] });
      expect(await owner.view.data({ tableId, viewId })).toMatchObject({ rows: [{ word: 'two' }] });
      await expect(carol.table.open({ uploadId, engine }, { perspective: false })).rejects.toMatchObject({ code: 'not_found' });
      await expect(carol.view.create({ tableId })).rejects.toMatchObject({ code: 'not_found' });
      const refused = perspective.websocket(await socketUrl(tableId, 'carol')).then((client) => client.open_table(tableId));
      await expect(refused).rejects.toBeDefined();
      const over = Promise.withResolvers<unknown>();
      await owner.table.connect({ tableId }, { onMessage: () => undefined, onClose: (reason) => over.resolve(reason) });
      await owner.upload.abort({ uploadId });
      expect(await over.promise).toMatchObject({ code: 'not_found' });
      await expect(owner.table.get({ tableId })).rejects.toMatchObject({ code: 'not_found' });
    }
    const { uploadId } = await owner.upload.begin({});
    await owner.upload.write({ uploadId, offset: 0 }, { body: csv('word,n', 'one,1') });
    const { tableId } = await owner.table.open({ uploadId, engine }, { perspective: false });
    await server.restart();
    owner = await server.client('owner');
    await expect(owner.table.get({ tableId })).rejects.toMatchObject({ code: 'not_found' });
    expect(await owner.table.open({ uploadId, engine }, { perspective: false })).toMatchObject({ tableId, rows: 1 });
  });
});

test('TB19 a saved view with expressions of SQL opens with the engine that reads them', async () => {
  const { tableId, engine } = await owner.table.open({ datasetId, ref: 'main', dialect: 'sql' }, { perspective: false });
  expect(engine).toBe('duckdb');
  const config = { columns: ['sized'], expressions: { sized: `CASE WHEN price > 9 THEN 'big' ELSE 'small' END` } };
  const { viewId } = await owner.view.create({ tableId, ...config });
  expect(await owner.view.data({ tableId, viewId, endRow: 2 })).toMatchObject({ rows: [{ sized: 'big' }, { sized: 'small' }] });
  const small = await owner.table.open({ datasetId, ref: 'main' }, { perspective: false });
  expect(small.engine).toBe('memory');
  await expect(owner.view.create({ tableId: small.tableId, ...config })).rejects.toMatchObject({ code: 'invalid_input' });
});

test.each(['memory', 'duckdb'] as const)('TB3 an expression whose name no column can have is refused by name, on the %s engine', async (engine) => {
  const { tableId } = await owner.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
  for (const [name, why] of [
    ['psp_op', 'is reserved'],
    ['x\0y', 'contains a NUL character'],
  ] as const) {
    await expect(owner.view.create({ tableId, columns: [name], expressions: { [name]: '1' } })).rejects.toMatchObject({
      code: 'invalid_input',
      message: `the name of an expression ${why}: ${JSON.stringify(name)}`,
    });
  }
});
