import { afterAll, expect, test } from 'vitest';
import { readConfig } from '../../server/config.ts';
import { startServer } from '../../server/wiring/server.ts';
import { onPlace, Places } from '../support/backups.ts';
import { query } from '../support/inspect.ts';
import { restClient } from '../support/rest.ts';
import { csv } from '../support/samples.ts';
import { comeDue, runIn, startReceiver, YEARLY } from '../support/schedules.ts';
import { startTestServer } from '../support/server.ts';

const places = new Places();

afterAll(() => places.remove());

test('SCH14 SCH8 a restored installation has the schedules with their history and secrets, and runs them only where it may', async () => {
  const receiver = await startReceiver();
  const server = await startTestServer(['--webhook-networks', '127.0.0.1']);
  const alice = await server.client('alice');
  const { datasetId } = await alice.dataset.create({ name: 'Orders' });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
  await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
  const destination = { kind: 'webhook', url: `${receiver.url}/restored`, secret: 'a secret of some length' } as const;
  const { scheduleId } = await alice.schedule.create({ datasetId, name: 'Orders', ref: 'v1', ...YEARLY, destination });
  await alice.schedule.run({ datasetId, scheduleId });
  await runIn(alice, { datasetId, scheduleId }, 'succeeded');
  const before = await alice.schedule.get({ datasetId, scheduleId });
  const directory = await places.directory();
  expect(await onPlace(server, 'backup', directory)).toMatchObject({ status: 0 });
  const token = await server.token('alice');
  await server.stop();
  const place = await places.empty();
  expect(await onPlace(place, 'restore', directory)).toMatchObject({ status: 0 });
  const start = (...flags: string[]) =>
    startServer(
      readConfig(
        ['--port', '0', '--data-dir', place.dataDir, '--log-level', 'error', '--no-log-pretty', '--webhook-networks', '127.0.0.1', ...flags],
        {
          COVISTA_DATABASE_URL: place.databaseUrl,
          COVISTA_JWT_SECRET: 'test-secret-of-sufficient-length-0123456789',
        },
      ),
    );
  const path = `/api/datasets/${datasetId}/schedules/${scheduleId}`;
  const copy = await start('--no-schedules');
  expect((await restClient(copy.url, token).get(path)).body).toEqual(before);
  await comeDue(place.databaseUrl, scheduleId);
  await copy.stop();
  expect(receiver.received).toHaveLength(1);
  // Jobs are in no backup; who runs schedules makes those that are missing.
  await query(place.databaseUrl, 'DELETE FROM covista_jobs._private_jobs');
  const again = await start();
  await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBe(2);
  await again.stop();
  await receiver.close();
});
