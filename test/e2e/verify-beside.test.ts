import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyInstallation } from '../../server/storage/backup/verify.ts';
import { createLocalObjects } from '../../server/storage/files/local-objects.ts';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { startTestServer } from '../support/server.ts';

test('BAK5 what the server removes while its files are compared is not missing, and what is missing is', async () => {
  const server = await startTestServer(['--retention-period-ms', '200', '--file-reader-lease-ms', '3000']);
  try {
    const { databaseUrl, dataDir } = server;
    const alice = await server.client('alice');
    const made = async (name: string): Promise<number> => {
      const { datasetId } = await alice.dataset.create({ name });
      await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
      return datasetId;
    };
    const [kept, removed] = [await made('Kept'), await made('Removed')];
    const [lost = ''] = await server.objects(kept);
    const objects = createLocalObjects(join(dataDir, 'objects'));
    let isRemoved = false;
    const found = await verifyInstallation({
      dataDir,
      databaseUrl,
      mend: false,
      from: undefined,
      objects: {
        list: objects.list,
        // What is compared is known by now, and goes before its turn.
        read: async function* (objectKey) {
          if (!isRemoved) {
            isRemoved = true;
            await rm(join(dataDir, 'objects', 'datasets', String(kept), lost));
            await alice.dataset.delete({ datasetId: removed });
            await query(databaseUrl, `UPDATE datasets SET deleted_at = deleted_at - interval '8 days' WHERE dataset_id = $1`, [removed]);
            await expect.poll(() => server.objects(removed), { timeout: 30_000 }).toEqual([]);
          }
          yield* objects.read(objectKey);
        },
      },
    });
    expect(found.objects).toBe(4);
    expect(found.problems).toEqual([`object datasets/${kept}/${lost} is missing`]);
  } finally {
    await server.stop();
  }
});
