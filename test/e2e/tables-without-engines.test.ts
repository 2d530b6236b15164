import { expect, test } from 'vitest';
import { csv } from '../support/samples.ts';
import { startTestServer } from '../support/server.ts';

test('TB17 a server whose engines cannot start keeps versions, and says that tables are unavailable', async () => {
  const server = await startTestServer(['--log-level', 'silent'], {
    engines: () => {
      throw new Error('this machine has no memory for engines');
    },
  });
  try {
    const client = await server.client('owner');
    const { datasetId } = await client.dataset.create({ name: 'Orders' });
    expect(await client.version.commit({ datasetId, branch: 'main' }, { body: csv('a', '1', '2') })).toMatchObject({ rows: 2 });
    await expect(client.table.open({ datasetId, ref: 'main' }, { perspective: false })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await client.table.list({})).toEqual({ items: [] });
    expect(await client.version.preview({ datasetId, versionId: 1 as never })).toMatchObject({ rows: [{ a: 1 }, { a: 2 }] });
  } finally {
    await server.stop();
  }
});
