import pg from 'pg';
import { expect, test } from 'vitest';
import { readConfig } from '../../server/config.ts';
import { startServer } from '../../server/wiring/server.ts';
import { createTestDatabase } from '../support/database.ts';
import { csv } from '../support/samples.ts';
import { startTestServer } from '../support/server.ts';

/** Databases of tests are copies of one, and so is their identity. */
async function giveOwnIdentity(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('UPDATE deployment SET id = gen_random_uuid()');
  await client.end();
}

test('VC21 with another database the server does not start, and nothing is removed', async () => {
  const server = await startTestServer();
  const other = await createTestDatabase();
  try {
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Precious' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    const before = await server.objects(datasetId);
    expect(before).toHaveLength(2);
    await giveOwnIdentity(other.url);
    const config = readConfig(['--port', '0', '--data-dir', server.dataDir, '--log-level', 'silent'], { COVISTA_DATABASE_URL: other.url });
    await expect(startServer(config)).rejects.toThrow(/another database/);
    expect(await server.objects(datasetId)).toEqual(before);
  } finally {
    await server.stop();
    await other.drop();
  }
});
