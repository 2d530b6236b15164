import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer(['--view-cells-max', '8', '--view-rows-max', '8']);
  alice = await server.client('alice');
});

afterAll(() => server?.stop());

test('TB10 REST12 a view of more cells than may be is refused as Arrow and Parquet, and exported as text', async () => {
  const { datasetId } = await alice.dataset.create({ name: 'Wide' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from('a,b\n1,2\n3,4\n5,6\n7,8\n9,10\n') });
  const { tableId } = await alice.table.open({ datasetId, ref: 'main' }, { perspective: false });
  const { viewId } = await alice.view.create({ tableId });
  const rest = await server.rest('alice');
  const exported = (format: string) => rest.get(`/api/explore/perspective/table/${tableId}/view/${viewId}/export?format=${format}`);
  for (const format of ['arrow', 'parquet']) {
    const error = { code: 'payload_too_large', details: { viewCellsMax: 8 } };
    expect(await exported(format), format).toMatchObject({ status: 413, body: { error } });
  }
  const { status, bytes } = await exported('csv');
  expect([status, new TextDecoder().decode(bytes)]).toEqual([200, '"a","b"\n1,2\n3,4\n5,6\n7,8\n9,10\n']);
});
