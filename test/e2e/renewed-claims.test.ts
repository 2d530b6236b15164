import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { FRAME } from '../../protocol/frame.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let owner: Client;
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer();
  owner = await server.client('owner');
  ({ datasetId } = await owner.dataset.create({ name: 'Orders', key: ['id'] }));
  await owner.version.commit({ datasetId, branch: 'main' }, { body: csv('id,region', '1,EU', '2,US', '3,EU') });
  await owner.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter: 'region = {{region}}' });
});

afterAll(async () => {
  await server?.stop();
});

const tokenOf = (region: string, more: object = {}): Promise<string> => server.token('bob', { claims: { region, ...more } });
const bobIn = async (region: string): Promise<RpcClient> => RpcClient.open(Number(new URL(server.url).port), await tokenOf(region));

async function renew(client: RpcClient, token: string): Promise<void> {
  client.send([FRAME.refresh, token]);
  await client.frame((frame) => frame[0] === FRAME.refreshed);
}

test.each([
  [
    'a table',
    async () => [
      'table.connect',
      {
        tableId: (await (await server.client('bob', { claims: { region: 'EU' } })).table.open({ datasetId, ref: 'main' }, { perspective: false }))
          .tableId,
      },
    ],
  ],
  ['a document', async () => ['document.connect', { name: `dataset/${datasetId}` }]],
] as const)('AUTH9 TB8 a channel of %s goes on with a token that shows the same, and ends with one that does not', async (_what, opening) => {
  const [operation, input] = await opening();
  const bob = await bobIn('EU');
  bob.request(1, operation as string, input);
  expect((await bob.last(1))[0]).toBe(FRAME.response);
  await renew(bob, await tokenOf('EU', { team: 'another' }));
  // What ends would have said so before this is answered.
  bob.request(2, 'dataset.get', { datasetId });
  await bob.last(2);
  expect(bob.raw.filter((frame) => frame[0] === FRAME.error)).toEqual([]);
  await renew(bob, await tokenOf('US'));
  // A document is to be opened again, and what is kept of it stays.
  expect(await bob.errorCode(1)).toBe(operation === 'table.connect' ? 'forbidden' : 'unavailable');
  bob.request(3, operation as string, input);
  const again = await bob.last(3);
  if (operation === 'table.connect') expect(again[2]).toMatchObject({ code: 'not_found' });
  else expect(again[0]).toBe(FRAME.response);
  await bob.close();
});

test('DOC27 a document that was opened to write ends with a token that may only read', async () => {
  const { datasetId: shared } = await owner.dataset.create({ name: 'Shared' });
  await owner.grant.create({ datasetId: shared, principal: 'user:bob', permission: 'read' });
  await owner.grant.create({ datasetId: shared, principal: 'group:editors', permission: 'write' });
  const editor = await server.token('bob', { claims: { groups: ['editors'] } });
  const bob = await RpcClient.open(Number(new URL(server.url).port), editor);
  bob.request(1, 'document.connect', { name: `dataset/${shared}` });
  expect((await bob.last(1))[0]).toBe(FRAME.response);
  await renew(bob, await server.token('bob', { claims: { groups: ['editors', 'others'] } }));
  bob.request(2, 'dataset.get', { datasetId: shared });
  await bob.last(2);
  expect(bob.raw.filter((frame) => frame[0] === FRAME.error)).toEqual([]);
  await renew(bob, await server.token('bob'));
  expect(await bob.errorCode(1)).toBe('forbidden');
  await bob.close();
});

test('DOC27 a document of those who see less ends with a token that shows all, to be opened anew', async () => {
  const { datasetId: shared } = await owner.dataset.create({ name: 'Open to some' });
  await owner.version.commit({ datasetId: shared, branch: 'main' }, { body: csv('id,region', '1,EU', '2,US') });
  await owner.grant.create({ datasetId: shared, principal: 'user:bob', permission: 'read', rowFilter: "region = 'EU'" });
  await owner.grant.create({ datasetId: shared, principal: 'group:all', permission: 'read' });
  const bob = await RpcClient.open(Number(new URL(server.url).port), await server.token('bob'));
  bob.request(1, 'document.connect', { name: `dataset/${shared}` });
  expect((await bob.last(1))[0]).toBe(FRAME.response);
  await renew(bob, await server.token('bob', { claims: { groups: ['all'] } }));
  expect(await bob.errorCode(1)).toBe('unavailable');
  await bob.close();
});

test('AUTH9 the order in which a claim lists its values is no matter', async () => {
  const { datasetId: listed } = await owner.dataset.create({ name: 'Listed' });
  await owner.version.commit({ datasetId: listed, branch: 'main' }, { body: csv('id,region', '1,EU', '2,US') });
  await owner.grant.create({ datasetId: listed, principal: 'user:bob', permission: 'read', rowFilter: 'region IN ({{regions}})' });
  const seeing = (...regions: string[]) => server.token('bob', { claims: { regions } });
  const bob = await RpcClient.open(Number(new URL(server.url).port), await seeing('EU', 'US'));
  bob.request(1, 'document.connect', { name: `dataset/${listed}` });
  expect((await bob.last(1))[0]).toBe(FRAME.response);
  await renew(bob, await seeing('US', 'EU', 'US'));
  bob.request(2, 'dataset.get', { datasetId: listed });
  await bob.last(2);
  expect(bob.raw.filter((frame) => frame[0] === FRAME.error)).toEqual([]);
  await renew(bob, await seeing('US'));
  expect(await bob.errorCode(1)).toBe('unavailable');
  await bob.close();
});

test('AUTH9 a channel ends with a token whose claims show nothing', async () => {
  const bob = await bobIn('EU');
  bob.request(1, 'document.connect', { name: `dataset/${datasetId}` });
  expect((await bob.last(1))[0]).toBe(FRAME.response);
  await renew(bob, await server.token('bob'));
  expect(await bob.errorCode(1)).toBe('forbidden');
  await bob.close();
});
