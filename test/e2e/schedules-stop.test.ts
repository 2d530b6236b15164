import { rm } from 'node:fs/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createEmptyDatabase } from '../support/database.ts';
import { query } from '../support/inspect.ts';
import { prepareProcessServer, temporaryDirectory } from '../support/process-server.ts';
import { csv } from '../support/samples.ts';
import { runIn, YEARLY } from '../support/schedules.ts';

test('SCH11 one that stops gives back at once what waits for its turn, and ends what has begun', { timeout: 120_000 }, async () => {
  const database = await createEmptyDatabase();
  const dataDir = await temporaryDirectory();
  const flags = ['--schedule-files-at-once-max', '1', '--drain-timeout-ms', '60000'];
  const options = { dataDir, flags, environment: { COVISTA_DATABASE_URL: database.url } };
  const [stopping, staying] = [await prepareProcessServer(options), await prepareProcessServer(options)];
  const locker = new pg.Client({ connectionString: database.url });
  await locker.connect();
  const runs = async (): Promise<{ state: string; worker: string }[]> =>
    (await query(database.url, 'SELECT state, worker FROM schedule_runs ORDER BY run_id')) as never;
  try {
    const run = await stopping.start();
    const alice = await stopping.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Orders' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,price', '1,10', '2,20') });
    await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
    const schedules = [];
    for (const name of ['First', 'Second']) schedules.push(await alice.schedule.create({ datasetId, name, ref: 'v1', ...YEARLY }));
    // A file begins with looking up its ref, and so waits for as long as that cannot be read.
    await locker.query('BEGIN; LOCK TABLE pointers IN ACCESS EXCLUSIVE MODE');
    for (const { scheduleId } of schedules) {
      await alice.schedule.run({ datasetId, scheduleId });
      await expect.poll(async () => (await runs()).at(-1)?.state, { timeout: 20_000 }).toBe('running');
    }
    const before = await runs();
    await staying.start();
    run.kill('SIGTERM');
    await expect.poll(async () => (await runs())[1]?.worker !== before[1]?.worker, { timeout: 20_000 }).toBe(true);
    expect((await runs())[0]).toEqual(before[0]);
    await locker.query('COMMIT');
    const other = await staying.client('alice');
    for (const { scheduleId } of schedules)
      expect(await runIn(other, { datasetId, scheduleId }, 'succeeded')).toMatchObject({ attempts: 1, rows: 2 });
    expect((await runs())[0]?.worker).toBe(before[0]?.worker);
    expect(await run.ended).toEqual({ code: 0, signal: null });
  } finally {
    await locker.end();
    await stopping.dispose();
    await staying.dispose();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  }
});
