import { afterEach, expect, test } from 'vitest';
import type { AlertState } from '../../protocol/operations/admin.ts';
import { csv, sample } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openTableChannel } from '../support/table-channel.ts';

const MIB = 1024 * 1024;

let server: TestServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

async function memoryAlert(running: TestServer): Promise<AlertState | undefined> {
  const operator = await running.rest('operator', { admin: true });
  const { body } = (await operator.get('/api/admin/alerts')) as unknown as { body: { items: AlertState[] } };
  return body.items.find(({ name }) => name === 'high_memory_usage');
}

async function measured(running: TestServer, kind: 'heap' | 'used'): Promise<number> {
  const text = await (await fetch(`${running.url}/metrics`)).text();
  return Number(new RegExp(`^covista_table_engine_memory_bytes\\{engine="memory",kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

test('OPS6 views that were made of a table count, until they are gone, though the memory of their thread has grown', async () => {
  server = await startTestServer(['--alert-period-ms', '50', '--tables-bytes-max', String(64 * MIB), '--table-bytes-max', String(64 * MIB)]);
  const running = server;
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Viewed' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: sample('superstore.parquet') });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '2') });
  const open = (ref: string) => alice.table.open({ datasetId, ref, engine: 'memory' }, { perspective: false });
  const { tableId } = await open('1');
  await open('2');
  const channel = await openTableChannel(alice, tableId);
  expect(await memoryAlert(running)).toMatchObject({ state: 'ok' });
  let views = 0;
  for (; (await measured(running, 'used')) <= 0.9 * 64 * MIB; views += 1) {
    await channel.ask('table_make_view', tableId, { view_id: `v${views}`, config: null });
  }
  // The table of one row that nobody uses goes, and does not help.
  await expect.poll(async () => (await memoryAlert(running))?.detail).toMatchObject({ newTablesRefused: true });
  expect((await alice.table.list({})).items.map((table) => table.tableId)).toEqual([tableId]);
  await expect(open('3')).rejects.toMatchObject({ code: 'memory_limit' });
  const { value = 0 } = (await memoryAlert(running)) ?? {};
  expect(value).toBeGreaterThan(80);
  for (let view = 0; view < views; view += 1) await channel.ask('view_delete', `v${view}`, {});
  await expect.poll(async () => (await memoryAlert(running))?.state).toBe('ok');
  expect(await measured(running, 'heap')).toBeGreaterThan(0.8 * 64 * MIB);
  await open('3');
  channel.close();
});
