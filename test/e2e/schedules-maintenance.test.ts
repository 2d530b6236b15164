import { expect, test } from 'vitest';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { comeDue, runIn, runsOf, startReceiver, YEARLY } from '../support/schedules.ts';
import { startTestServer } from '../support/server.ts';

test('SCH15 in maintenance no schedule runs, and what came meanwhile is caught up once', async () => {
  const receiver = await startReceiver();
  const server = await startTestServer(['--webhook-networks', '127.0.0.1', '--reconnect-delay-ms', '50']);
  try {
    const alice = await server.client('alice');
    const operator = await server.client('operator', { admin: true });
    const { datasetId } = await alice.dataset.create({ name: 'Orders' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', '1') });
    await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
    const destination = { kind: 'webhook', url: `${receiver.url}/orders`, secret: 'a secret of some length' } as const;
    const schedule = await alice.schedule.create({ datasetId, name: 'Orders', ref: 'v1', ...YEARLY, destination });
    const at = { datasetId, scheduleId: schedule.scheduleId };
    const listening = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%jobs%'`;
    const listeners = async (): Promise<number> => (await query(server.databaseUrl, listening)).length;
    await expect.poll(listeners).toBe(1);
    // What is under way when maintenance begins goes on to its end.
    let answer = (): void => undefined;
    receiver.answering = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await alice.schedule.run(at);
    await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBe(1);
    expect(await operator.admin['maintenance.enter']({ wait: false })).toMatchObject({ state: 'draining' });
    answer();
    await expect.poll(async () => (await operator.admin['maintenance.status']()).state, { timeout: 30_000 }).toBe('maintenance');
    expect(await query(server.databaseUrl, 'SELECT state FROM schedule_runs')).toEqual([{ state: 'succeeded' }]);

    const rest = await server.rest('alice');
    const refused = await rest.send('POST', `/api/datasets/${datasetId}/schedules/${at.scheduleId}/run`, {});
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'draining' } } });
    for (let times = 0; times < 3; times += 1) await comeDue(server.databaseUrl, at.scheduleId);
    expect(await listeners()).toBe(0);
    const jobs = `SELECT locked_at FROM covista_jobs.jobs WHERE key = 'schedule:' || $1 AND run_at <= now()`;
    expect(await query(server.databaseUrl, jobs, [at.scheduleId])).toEqual([{ locked_at: null }]);
    expect(receiver.received).toHaveLength(1);

    await operator.admin['maintenance.leave']();
    await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBe(2);
    await runIn(alice, at, 'succeeded');
    expect(await runsOf(alice, at)).toHaveLength(2);
  } finally {
    await server.stop();
    await receiver.close();
  }
});
