import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { query } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { comeDue, DIRECTORY, runIn, runsOf, YEARLY } from '../support/schedules.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let alice: Client;

beforeAll(async () => {
  server = await startTestServer(['--schedule-retry-ms', '200', '--schedule-lease-ms', '2000', '--audit-flush-ms', '20']);
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
});

const ROWS = csv('id,region,price', '1,EU,10', '2,US,20', '3,EU,30');

async function dataset(): Promise<number> {
  const { datasetId } = await alice.dataset.create({ name: 'Orders', key: ['id'] });
  await alice.version.commit({ datasetId, branch: 'main' }, { body: ROWS });
  await alice.tag.create({ datasetId, name: 'v1', ref: 'main' });
  return datasetId;
}

async function made(options: Partial<Parameters<Client['schedule']['create']>[0]> = {}, client = alice) {
  const datasetId = options.datasetId ?? (await dataset());
  const { scheduleId } = await client.schedule.create({ name: 'Sales by region', ref: 'v1', ...YEARLY, ...options, datasetId });
  return { datasetId, scheduleId };
}

async function bytesOf(client: Client, at: { datasetId: number; scheduleId: number; runId: number }): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const item of client.schedule.download(at)) if (item instanceof Uint8Array) chunks.push(item);
  return Buffer.concat(chunks).toString();
}

const filesOf = async (datasetId: number): Promise<string[]> =>
  readdir(join(server.dataDir, 'exports', String(datasetId)), { recursive: true, withFileTypes: true }).then(
    (entries) => entries.filter((entry) => entry.isFile()).map(({ name }) => name),
    () => [],
  );

describe('what is exported', () => {
  test('SCH1 SCH5 a view of a tag becomes a file with its rows, which the history tells of', async () => {
    const config = { columns: ['price'], group_by: ['region'], aggregates: { price: 'sum' } };
    const at = await made({ config });
    const asked = await alice.schedule.run(at);
    expect(asked).toMatchObject({ cause: 'asked', attempts: 0, error: null });
    const run = await runIn(alice, at, 'succeeded');
    expect(run).toMatchObject({ runId: asked.runId, versionId: 1, rows: 3, attempts: 1, downloadable: true, error: null });
    const text = await bytesOf(alice, { ...at, runId: run.runId });
    expect(text).toContain('EU');
    expect(text).toContain('40');
    expect(run.bytes).toBe(Buffer.byteLength(text));
    expect(run.place).toMatch(new RegExp(`^exports/${at.datasetId}/reports/Sales-by-region-\\d{8}T\\d{6}Z-s${at.scheduleId}-r${run.runId}-1\\.csv$`));
    expect(await readFile(join(server.dataDir, run.place as string), 'utf8')).toBe(text);
  });

  test.each(['csv', 'ndjson', 'parquet', 'arrow'] as const)('SCH1 all rows, without a view, as %s', async (format) => {
    const at = await made({ format });
    await alice.schedule.run(at);
    expect(await runIn(alice, at, 'succeeded')).toMatchObject({
      rows: 3,
      downloadable: true,
      place: expect.stringMatching(new RegExp(`\\.${format}$`)),
    });
  });

  test('SCH1 a saved view of the dataset, as it is at the time of the run', async () => {
    const datasetId = await dataset();
    const document = await alice.document.open(`dataset/${datasetId}`);
    const views = document.savedViews();
    const { id: savedView } = views.create({ name: 'Prices', config: { columns: ['price'] } });
    await document.whenDurable();
    const at = await made({ datasetId, savedView });
    views.update(savedView, { config: { columns: ['id', 'price'] } });
    await document.whenDurable();
    await alice.schedule.run(at);
    const run = await runIn(alice, at, 'succeeded');
    expect((await bytesOf(alice, { ...at, runId: run.runId })).split('\n')[0]?.replaceAll('"', '')).toBe('id,price');
    views.remove(savedView);
    await document.whenDurable();
    await alice.schedule.run(at);
    expect(await runIn(alice, at, 'failed')).toMatchObject({
      attempts: 1,
      error: { code: 'not_found', message: expect.stringContaining(savedView) },
    });
  });

  test('SCH1 a private view of the owner, and of nobody else and no other dataset', async () => {
    const datasetId = await dataset();
    const own = await alice.document.savedViews(datasetId, 'private');
    const { id: savedView } = own.create({ name: 'Mine', config: { columns: ['id', 'price'], filter: [['price', '>', 10]] } });
    await (await alice.document.open('user/alice')).whenDurable();
    const at = await made({ datasetId, savedView });
    await alice.schedule.run(at);
    const run = await runIn(alice, at, 'succeeded');
    expect((await bytesOf(alice, { ...at, runId: run.runId })).split('\n')[0]?.replaceAll('"', '')).toBe('id,price');
    await expect(made({ savedView })).rejects.toMatchObject({ code: 'not_found', details: { savedView } });
    await alice.grant.create({ datasetId, principal: 'user:bob', permission: 'admin' });
    const bob = await server.client('bob');
    const others = bob.schedule.create({ datasetId, name: 'x', ref: 'v1', ...YEARLY, savedView });
    await expect(others).rejects.toMatchObject({ code: 'not_found', details: { savedView } });
  });

  test('SCH1 a tag is meant unless a branch is said, and a branch moves', async () => {
    const datasetId = await dataset();
    const create = (options: object) => alice.schedule.create({ datasetId, name: 'x', ref: 'main', ...YEARLY, ...options });
    await expect(create({})).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'refKind', kind: 'branch' } });
    await expect(create({ ref: 'v1', refKind: 'branch' })).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'refKind' } });
    await expect(create({ ref: 'nothing' })).rejects.toMatchObject({ code: 'not_found' });
    const { scheduleId } = await create({ refKind: 'branch' });
    await alice.version.commit({ datasetId, branch: 'main', mode: 'append' }, { body: csv('id,region,price', '4,EU,1') });
    await alice.schedule.run({ datasetId, scheduleId });
    expect(await runIn(alice, { datasetId, scheduleId }, 'succeeded')).toMatchObject({ versionId: 2, rows: 4 });
  });

  test('SCH1 SCH5 bad input is refused, saying what and where', async () => {
    const datasetId = await dataset();
    const refusal = (options: object) =>
      alice.schedule.create({ datasetId, name: 'x', ref: 'v1', ...YEARLY, ...options } as never).then(
        () => 'made',
        (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
      );
    expect(await refusal({ config: { columns: ['nothing'], filter: [['nowhere', '==', 1]] } })).toMatch(/invalid_input: .*"nothing", "nowhere"/);
    expect(await refusal({ cron: '99 * * * *' })).toMatch(/invalid_input: cron: .*minute: 99/);
    expect(await refusal({ cron: '0 0 31 2 *' })).toMatch(/invalid_input: .*never comes/);
    expect(await refusal({ cron: '2026-01-01T00:00:00' })).toMatch(/invalid_input: .*cron/);
    expect(await refusal({ timeZone: 'Middle/Earth' })).toMatch(/invalid_input: .*time zone/);
    expect(await refusal({ savedView: 'absent' })).toMatch(/not_found: .*"absent"/);
    for (const directory of ['..', '../x', 'a/../b', '/etc', 'a//b', 'a/', '.hidden', 'a\\b', 'a/..', 'C:', 'x\0y', 'a/. ', '~', 'x'.repeat(201)])
      expect([directory, await refusal({ destination: { kind: 'directory', directory } })]).toEqual([
        directory,
        expect.stringMatching(/^invalid_input/),
      ]);
  });
});

describe('when', () => {
  test('SCH3 a time that comes makes one run, and the next is set', async () => {
    const at = await made({ cron: '*/5 * * * *', timeZone: 'Europe/Berlin' });
    await comeDue(server.databaseUrl, at.scheduleId);
    const run = await runIn(alice, at, 'succeeded');
    expect(run).toMatchObject({ cause: 'cron' });
    const { nextAt, lastRun } = await alice.schedule.get(at);
    expect(Date.parse(nextAt ?? '')).toBeGreaterThan(Date.now());
    expect(lastRun).toEqual(run);
    expect(await runsOf(alice, at)).toHaveLength(1);
  });

  test('SCH2 the next times are told, and change with the expression', async () => {
    const at = await made();
    const { times } = await alice.schedule.times({ datasetId: at.datasetId, cron: '0 6 * * *', timeZone: 'Europe/Berlin' });
    expect(times).toHaveLength(5);
    const { nextAt } = await alice.schedule.update({ ...at, cron: '0 6 * * *', timeZone: 'Europe/Berlin' });
    expect(nextAt).toBe(times[0]);
  });

  test('SCH3 SCH12 one that is paused does not run until it is resumed, and runs when it is asked to', async () => {
    const at = await made();
    expect(await alice.schedule.pause(at)).toMatchObject({ nextAt: null, paused: { by: 'alice', reason: 'asked' } });
    await query(server.databaseUrl, `SELECT FROM covista_jobs.add_job('schedule', json_build_object('id', $1::int))`, [at.scheduleId]);
    await alice.schedule.run(at);
    await runIn(alice, at, 'succeeded');
    expect(await runsOf(alice, at)).toHaveLength(1);
    expect(await alice.schedule.resume(at)).toMatchObject({ paused: null, nextAt: expect.stringMatching(/-01-01T00:00:00.000Z$/) });
    const { items } = await alice.audit.list({ datasetId: at.datasetId });
    const done = items.filter(({ operation }) => operation.startsWith('schedule.')).map(({ operation, actor }) => `${actor} ${operation}`);
    expect(done.reverse()).toEqual(['create', 'pause', 'run', 'run', 'resume'].map((verb) => `alice schedule.${verb}`));
  });
});

describe('as whom', () => {
  test('SCH4 SCH13 it exports what its owner may see, and stops when they may no more', async () => {
    const datasetId = await dataset();
    const grant = (rowFilter: string) =>
      alice.grant.create({ datasetId, principal: 'user:bob', permission: 'read', rowFilter, columnMask: ['price'] });
    const { grantId } = await grant('region = {{area}}');
    const bob = await server.client('bob', { claims: { area: 'EU' } });
    const at = await made({ datasetId }, bob);
    await bob.schedule.run(at);
    const first = await runIn(bob, at, 'succeeded');
    expect(first.rows).toBe(2);
    expect(await bytesOf(bob, { ...at, runId: first.runId })).toBe('id,region\n1,EU\n3,EU\n');
    // Who sees something else by now does not get what was made of it; admins do.
    const elsewhere = await server.client('bob', { claims: { area: 'US' } });
    await expect(bytesOf(elsewhere, { ...at, runId: first.runId })).rejects.toMatchObject({ code: 'forbidden' });
    expect(await bytesOf(alice, { ...at, runId: first.runId })).toContain('EU');
    await alice.grant.revoke({ datasetId, grantId });
    await comeDue(server.databaseUrl, at.scheduleId);
    expect(await runIn(alice, at, 'failed')).toMatchObject({ error: { code: 'forbidden' } });
    expect(await alice.schedule.get(at)).toMatchObject({ paused: { by: '', reason: 'permission_lost' }, nextAt: null });
  });

  test('SCH4 revoking the person or the token pauses it at once, and a newer token resumes it', async () => {
    const datasetId = await dataset();
    await alice.grant.create({ datasetId, principal: 'user:carol', permission: 'read' });
    const at = await made({ datasetId }, await server.client('carol'));
    const operator = await server.client('operator', { admin: true });
    await operator.session.revoke({ subject: 'carol' });
    expect(await alice.schedule.get(at)).toMatchObject({ paused: { by: 'operator', reason: 'revoked' }, nextAt: null });
    const carol = await server.client('carol');
    expect(await carol.schedule.resume(at)).toMatchObject({ paused: null });
    await carol.schedule.run(at);
    await runIn(carol, at, 'succeeded');
  });

  test('SCH4 claims that are too old pause it, and being a server admin counts for nothing', async () => {
    const at = await made();
    await query(server.databaseUrl, `UPDATE schedules SET claims_at = now() - interval '91 days' WHERE schedule_id = $1`, [at.scheduleId]);
    await comeDue(server.databaseUrl, at.scheduleId);
    await runIn(alice, at, 'failed');
    expect(await alice.schedule.get(at)).toMatchObject({ paused: { reason: 'claims_expired' } });
    const operator = await server.client('operator', { admin: true });
    await expect(made({ datasetId: at.datasetId }, operator)).rejects.toMatchObject({ code: 'forbidden' });
    const [{ claims } = { claims: {} }] = await query<{ claims: object }>(server.databaseUrl, 'SELECT claims FROM schedules LIMIT 1');
    expect(claims).not.toHaveProperty('covista_admin');
  });

  test('SCH12 the owner and admins hear what happened, others that something did', async () => {
    const datasetId = await dataset();
    for (const reader of ['dave', 'erin']) await alice.grant.create({ datasetId, principal: `user:${reader}`, permission: 'read' });
    const [dave, erin] = [await server.client('dave'), await server.client('erin')];
    const at = await made({ datasetId }, dave);
    await dave.schedule.run(at);
    await runIn(dave, at, 'succeeded');
    const heard = async (client: Client) => {
      const events: { kind: string; actor: string; data: object }[] = [];
      for await (const { kind, actor, data } of client.dataset.watch({ datasetId, after: 0 })) {
        if (kind.startsWith('schedule.')) events.push({ kind, actor, data });
        if (kind === 'schedule.ran') return events;
      }
      return events;
    };
    for (const client of [alice, dave]) {
      expect(await heard(client)).toMatchObject([
        { kind: 'schedule.changed', actor: 'dave', data: { action: 'create' } },
        { kind: 'schedule.changed', data: { action: 'run' } },
        { kind: 'schedule.ran', data: { state: 'succeeded', versionId: 1, rows: 3 } },
      ]);
    }
    for (const { actor, data } of await heard(erin)) expect({ actor, data }).toEqual({ actor: '', data: {} });
    await expect(erin.schedule.get(at)).rejects.toMatchObject({ code: 'not_found' });
    expect((await erin.schedule.list({ datasetId })).items).toEqual([]);
    expect((await alice.schedule.list({ datasetId })).items).toMatchObject([{ owner: 'dave' }]);
    await expect(alice.schedule.run(at)).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('what is kept', () => {
  test('SCH6 the newest files are kept, and a schedule goes with its runs and files', async () => {
    const at = await made({ filesKept: 2 });
    for (let count = 1; count <= 3; count += 1) {
      await alice.schedule.run(at);
      await expect.poll(async () => (await runsOf(alice, at)).filter(({ state }) => state === 'succeeded').length, { timeout: 30_000 }).toBe(count);
    }
    expect((await runsOf(alice, at)).map(({ downloadable }) => downloadable)).toEqual([true, true, false]);
    expect(await filesOf(at.datasetId)).toHaveLength(2);
    const oldest = (await runsOf(alice, at)).at(-1);
    await expect(bytesOf(alice, { ...at, runId: oldest?.runId ?? 0 })).rejects.toMatchObject({ code: 'not_found' });
    await alice.schedule.delete(at);
    expect(await filesOf(at.datasetId)).toEqual([]);
    await expect(alice.schedule.get(at)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('SCH15 runs are counted by what became of them', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    expect(text).toMatch(/covista_schedule_runs_total\{outcome="succeeded"\} [1-9]/);
    expect(text).toMatch(/covista_job_lag_seconds\{job="schedules"\} \d/);
  });
});

test('SCH5 of directories of the same name, each dataset has its own', async () => {
  const [one, other] = [await made({ destination: DIRECTORY }), await made({ destination: DIRECTORY })];
  for (const at of [one, other]) {
    await alice.schedule.run(at);
    expect((await runIn(alice, at, 'succeeded')).place).toContain(`exports/${at.datasetId}/reports/`);
  }
});
