import perspective from '@perspective-dev/client';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../client/index.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { prepareOrders } from '../support/table-world.ts';

/** What the duckdb engine holds for sessions, by kind. */
async function held({ url }: TestServer): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = text.matchAll(/^covista_table_engine_objects\{engine="duckdb",kind="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...samples].map(([, kind, value]) => [kind, Number(value)]));
}

test.each([
  { results: 'are kept as cells', flags: [], relationsLeast: 1 },
  { results: 'stay in DuckDB', flags: ['--duckdb-tables-cells-bytes-max', '1'], relationsLeast: 4 },
])('TB13 sessions that end without a word leave nothing in the engine when results $results', async ({ flags, relationsLeast }) => {
  const server = await startTestServer(flags);
  onTestFinished(() => server.stop());
  const { datasetId } = await prepareOrders(server);
  const client = connect({ url: server.url, token: await server.token('owner'), perspective });
  const { tableId, perspective: tables } = await client.table.open({ datasetId, ref: 'main', engine: 'duckdb' });
  const table = await tables.open_table(tableId);
  const pivots = [{ group_by: ['region'] }, { group_by: ['product'] }, { group_by: ['region'], split_by: ['product'] }, { group_by: ['region'] }];
  const views = await Promise.all(pivots.map((config) => table.view({ ...config, columns: ['price'] })));
  for (const view of views) await view.on_update(() => undefined);
  await expect.poll(() => held(server)).toMatchObject({ sessions: 1, views: 4, results: 3 });
  expect((await held(server)).relations).toBeGreaterThanOrEqual(relationsLeast);
  client.close();
  await expect.poll(() => held(server)).toEqual({ sessions: 0, views: 0, results: 0, relations: 0 });
});
