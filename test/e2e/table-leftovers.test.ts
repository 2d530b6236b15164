import perspective from '@perspective-dev/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { prepareOrders } from '../support/table-world.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server?.stop();
});

/** What the duckdb engine holds for sessions, by kind. */
async function held(): Promise<Record<string, number>> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const samples = text.matchAll(/^covista_table_engine_objects\{engine="duckdb",kind="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, kind, value]) => [kind, Number(value)]));
}

test('TB13 sessions that end without a word leave no view, no result and no relation in the engine', async () => {
  const { datasetId } = await prepareOrders(server);
  const client = connect({ url: server.url, token: await server.token('owner'), perspective });
  const { tableId, perspective: tables } = await client.table.open({ datasetId, ref: 'main', engine: 'duckdb' });
  const table = await tables.open_table(tableId);
  const pivots = [{ group_by: ['region'] }, { group_by: ['product'] }, { group_by: ['region'], split_by: ['product'] }, { group_by: ['region'] }];
  const views = await Promise.all(pivots.map((config) => table.view({ ...config, columns: ['price'] })));
  for (const view of views) await view.on_update(() => undefined);
  await expect.poll(held).toMatchObject({ sessions: 1, views: 4, results: 3 });
  expect((await held()).relations).toBeGreaterThan(3);
  client.close();
  await expect.poll(held).toEqual({ sessions: 0, views: 0, results: 0, relations: 0 });
});
