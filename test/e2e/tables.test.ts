import perspective from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { thinEngine } from '../support/thin-engine.ts';

let server: TestServer;
let datasetId: number;

const ROWS = csv('region,product,price', 'EU,Desk,10', 'EU,Chair,5', 'US,Desk,20', 'US,Lamp,1');

beforeAll(async () => {
  server = await startTestServer([], { engines: ({ content }) => [thinEngine(content)] });
  const owner = await server.client('owner');
  ({ datasetId } = await owner.dataset.create({ name: 'Sales' }));
  await owner.version.commit({ datasetId, branch: 'main' }, { body: ROWS });
});

afterAll(async () => {
  await server?.stop();
});

test('TB1 an unmodified client of Perspective reads a table over a socket of its own', async () => {
  const owner = await server.client('owner');
  const { tableId } = await owner.table.open({ datasetId, ref: 'main' });
  const url = `${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await server.token('owner')}`;
  const client = await perspective.websocket(url);
  expect(await client.get_hosted_table_names()).toEqual([tableId]);
  const table = await client.open_table(tableId);
  expect(await table.schema()).toEqual({ region: 'string', product: 'string', price: 'integer' });
  const view = await table.view({ group_by: ['region'], columns: ['price'] });
  expect(await view.to_columns()).toEqual({ __ROW_PATH__: [[], ['EU'], ['US']], price: [36, 15, 21] });
  await view.delete();
  await client.terminate();
});
