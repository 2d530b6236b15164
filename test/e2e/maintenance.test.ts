import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let operator: Client;

beforeEach(async () => {
  server = await startTestServer(['--reconnect-delay-ms', '50']);
  operator = await server.client('operator', { admin: true });
});

afterEach(() => server.stop());

const readyz = async (): Promise<number> => (await fetch(`${server.url}/readyz`)).status;
const activeTables = async (): Promise<string[]> => (await operator.table.list({})).items.map(({ tableId }) => tableId).sort();

async function openTables(): Promise<string[]> {
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Kept', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region', '1,north', '2,south') });
  await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: "region = 'north'" });
  const bob = await server.client('bob');
  const tables = [
    await alice.table.open({ datasetId, ref: 'main', engine: 'duckdb' }, { perspective: false }),
    await alice.table.open({ datasetId, ref: 'main', engine: 'duckdb', columns: ['id'], rowLimit: 1 }, { perspective: false }),
    await bob.table.open({ datasetId, ref: 'main', engine: 'duckdb' }, { perspective: false }),
  ];
  return tables.map(({ tableId }) => tableId).sort();
}

describe('maintenance', () => {
  test('OPS10 no new work is taken, except that of server admins, until maintenance is over', async () => {
    const alice = await server.rest('alice');
    const rpc = await RpcClient.open(Number(new URL(server.url).port), await server.token('alice'));
    const entered = await operator.admin['maintenance.enter']({ reason: 'a new disk' });
    expect(entered).toMatchObject({ state: 'maintenance', reason: 'a new disk' });
    expect(await readyz()).toBe(503);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect((await fetch(`${server.url}/metrics`)).status).toBe(200);
    expect(await alice.get('/api/datasets')).toMatchObject({ status: 503, body: { error: { code: 'draining' } } });
    expect((await rpc.closed).code).toBeGreaterThan(1_000);
    const late = await RpcClient.connect(Number(new URL(server.url).port));
    late.send([FRAME.hello, PROTOCOL_VERSION, await server.token('alice'), 'test']);
    expect(await late.errorCode(null)).toBe('draining');
    const chief = await server.rest('chief', { admin: true });
    expect((await chief.get('/api/datasets')).status).toBe(503);
    expect((await chief.get('/api/admin/alerts')).status).toBe(200);
    expect((await chief.get('/api/admin/maintenance')).body).toMatchObject({ state: 'maintenance', reason: 'a new disk' });
    expect(await chief.post('/api/admin/maintenance/leave', {})).toMatchObject({ status: 200, body: { state: 'serving', reason: null } });
    expect(await readyz()).toBe(200);
    expect((await alice.get('/api/datasets')).status).toBe(200);
  });

  test('OPS10 what is under way finishes, and clients go on afterwards', async () => {
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Busy' });
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const committing = alice.version.commit(
      { datasetId, branch: 'main' },
      {
        body: (async function* () {
          yield csv('id', '1');
          await held;
          yield csv('2');
        })(),
      },
    );
    await expect.poll(async () => (await server.leftovers()).length).toBeGreaterThan(0);
    expect(await operator.admin['maintenance.enter']({ wait: false })).toMatchObject({ state: 'draining' });
    // Waits for a connection, and is carried out when the server serves again.
    const later = alice.dataset.create({ name: 'Later' });
    release();
    await expect(committing).resolves.toMatchObject({ versionId: 1, rows: 2 });
    await expect.poll(async () => (await operator.admin['maintenance.status']()).state).toBe('maintenance');
    await operator.admin['maintenance.leave']();
    await expect(later).resolves.toMatchObject({ name: 'Later' });
  });

  test('OPS11 tables that were open are loaded again, for whoever may see them', async () => {
    const tables = await openTables();
    expect(await activeTables()).toEqual(tables);
    expect(await operator.admin['maintenance.enter']({})).toMatchObject({ savedTables: 3 });
    await operator.admin['maintenance.leave']();
    await expect.poll(activeTables, { timeout: 40_000 }).toEqual(tables);
    await server.restart();
    await expect.poll(activeTables, { timeout: 40_000 }).toEqual(tables);
    const rest = await server.rest('bob');
    for (const tableId of tables) {
      const { status, body } = await rest.get(`/api/explore/perspective/table/${tableId}`);
      if (status === 200) expect(body).toMatchObject({ rows: 1 });
      else expect(status).toBe(404);
    }
  }, 120_000);
});
