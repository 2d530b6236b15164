import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '../../client/index.ts';
import { query, sha256 } from '../support/inspect.ts';
import { csv } from '../support/samples.ts';
import { type Receiver, runIn, runsOf, startReceiver, YEARLY } from '../support/schedules.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const AUTHORIZATION = 'Bearer zqcanary-of-the-receiver';

let server: TestServer;
let closed: TestServer;
let receiver: Receiver;
let alice: Client;

beforeAll(async () => {
  receiver = await startReceiver();
  server = await startTestServer([
    '--webhook-networks',
    '127.0.0.1',
    '--schedule-retry-ms',
    '100',
    '--schedule-attempts-max',
    '3',
    '--audit-flush-ms',
    '20',
  ]);
  closed = await startTestServer([]);
  alice = await server.client('alice');
});

afterAll(async () => {
  await server?.stop();
  await closed?.stop();
  await receiver?.close();
});

const webhook = (path: string, options: object = {}) =>
  ({ kind: 'webhook', url: `${receiver.url}${path}`, secret: SECRET, authorization: AUTHORIZATION, ...options }) as const;

async function made(destination: ReturnType<typeof webhook>, client = alice, options: object = {}) {
  const { datasetId } = await client.dataset.create({ name: 'Orders' });
  await client.version.commit({ datasetId, branch: 'main' }, { body: csv('id,price', '1,10', '2,20') });
  await client.tag.create({ datasetId, name: 'v1', ref: 'main' });
  const schedule = await client.schedule.create({ datasetId, name: 'Orders', ref: 'v1', ...YEARLY, destination, ...options });
  return { datasetId, scheduleId: schedule.scheduleId, schedule };
}

const to = (path: string) => receiver.received.filter(({ url }) => url.startsWith(path));

test('SCH7 the file is sent, signed as Standard Webhooks says', async () => {
  const { schedule, ...at } = await made(webhook('/sent?key=zqcanary', { method: 'PUT' }));
  expect(schedule.destination).toEqual({ kind: 'webhook', url: `${receiver.url}/sent`, method: 'PUT', hasAuthorization: true });
  await alice.schedule.run(at);
  const run = await runIn(alice, at, 'succeeded');
  const [{ method, url, headers, body } = { method: '', url: '', headers: {} as Record<string, string>, body: Buffer.alloc(0) }] = to('/sent');
  expect({ method, url, body: String(body) }).toEqual({ method: 'PUT', url: '/sent?key=zqcanary', body: 'id,price\n1,10\n2,20\n' });
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64');
  expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
  expect(headers).toMatchObject({
    authorization: AUTHORIZATION,
    'content-type': 'text/csv; charset=utf-8',
    'content-length': '19',
    'covista-rows': '2',
  });
  expect(run).toMatchObject({ bytes: 19, sha256: sha256(body), downloadable: false, place: `${receiver.url}/sent` });
});

/** What a file that arrived has, as who gets it would read it. */
async function rowsIn(body: Buffer, format: string): Promise<unknown[]> {
  if (format === 'arrow') return [...tableFromIPC(body)].map((row) => ({ id: Number(row.id), price: Number(row.price) }));
  const directory = await mkdtemp(join(tmpdir(), 'covista-received-'));
  const path = join(directory, 'received');
  await writeFile(path, body);
  const reader = { csv: 'read_csv', ndjson: 'read_ndjson', parquet: 'read_parquet' }[format];
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  try {
    const result = await connection.runAndReadAll(`SELECT id::integer AS id, price::integer AS price FROM ${reader}('${path}') ORDER BY id`);
    return result.getRowObjectsJson();
  } finally {
    connection.closeSync();
    await rm(directory, { recursive: true });
  }
}

test.each(
  Object.entries({
    csv: 'text/csv; charset=utf-8',
    ndjson: 'application/x-ndjson',
    parquet: 'application/vnd.apache.parquet',
    arrow: 'application/vnd.apache.arrow.stream',
  }).flatMap(([format, contentType]) => (['PUT', 'POST'] as const).map((method) => ({ format, contentType, method }))),
)('SCH7 a file of $format arrives whole by $method, as what it is', async ({ format, contentType, method }) => {
  const { schedule: _, ...at } = await made(webhook(`/as/${format}/${method}`, { method }), alice, { format });
  await alice.schedule.run(at);
  const run = await runIn(alice, at, 'succeeded');
  const [received] = to(`/as/${format}/${method}`);
  expect(received).toMatchObject({ method, headers: { 'content-type': contentType, 'content-length': String(received?.body.length) } });
  expect(received?.headers['content-disposition']).toMatch(new RegExp(`^attachment; filename="Orders-[^"]*\\.${format}"$`));
  expect(run).toMatchObject({ bytes: received?.body.length, sha256: sha256(received?.body ?? Buffer.alloc(0)) });
  expect(await rowsIn(received?.body ?? Buffer.alloc(0), format)).toEqual([
    { id: 1, price: 10 },
    { id: 2, price: 20 },
  ]);
});

test('SCH10 a receiver that fails is tried again, with the same id, until it takes it', async () => {
  const { schedule: _, ...at } = await made(webhook('/recovers'));
  receiver.answers = [503, 429, 204];
  await alice.schedule.run(at);
  expect(await runIn(alice, at, 'succeeded')).toMatchObject({ attempts: 3, error: null });
  expect(new Set(to('/recovers').map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(to('/recovers')).toHaveLength(3);
});

test('SCH10 SCH12 it is given up after so many tries, and at once where another try would not help; both are told', async () => {
  const { schedule: _, ...at } = await made(webhook('/fails'));
  receiver.answers = [500];
  await alice.schedule.run(at);
  expect(await runIn(alice, at, 'failed')).toMatchObject({ attempts: 3, error: { code: 'unavailable', message: expect.stringContaining('500') } });
  for (const [status, path] of [
    [404, '/never'],
    [302, '/moved'],
  ] as const) {
    receiver.answers = [status];
    await alice.schedule.update({ ...at, destination: webhook(path) });
    await alice.schedule.run(at);
    await expect
      .poll(async () => (await runsOf(alice, at))[0], { timeout: 30_000 })
      .toMatchObject({ state: 'failed', attempts: 1, error: { message: expect.stringContaining(String(status)) } });
    expect(to(path)).toHaveLength(1);
  }
  receiver.answers = [204];
  const failures: unknown[] = [];
  for await (const { kind, data } of alice.dataset.watch({ datasetId: at.datasetId, after: 0 })) {
    if (kind === 'schedule.ran') failures.push(data);
    if (failures.length === 3) break;
  }
  expect(failures).toMatchObject([{ state: 'failed', error: { code: 'unavailable' } }, { state: 'failed' }, { state: 'failed' }]);
  expect(await server.leftovers()).toEqual([]);
});

test('SCH9 what is private is not reached unless a setting allows it', async () => {
  const client = await closed.client('alice');
  await expect(made(webhook('/refused'), client)).rejects.toMatchObject({ code: 'invalid_input', details: { field: 'destination.url' } });
  const { schedule: _, ...at } = await made(webhook('/refused', { url: `${receiver.url.replace('127.0.0.1', 'localhost')}/refused` }), client);
  await client.schedule.run(at);
  expect(await runIn(client, at, 'failed')).toMatchObject({
    attempts: 1,
    error: { code: 'forbidden', message: expect.stringContaining('private address') },
  });
  expect(to('/refused')).toEqual([]);
  for (const url of ['ftp://example.org/', 'file:///etc/passwd', 'http://user:word@example.org/', 'gopher://x'])
    await expect(made(webhook('', { url }), client)).rejects.toMatchObject({ code: 'invalid_input' });
});

test('SCH8 nobody is shown the secrets, and the database does not tell them', async () => {
  const { schedule, ...at } = await made(webhook('/secret?key=zqcanary'));
  await alice.schedule.update({ ...at, name: 'Renamed' });
  await alice.schedule.run(at);
  const run = await runIn(alice, at, 'succeeded');
  const events: unknown[] = [];
  for await (const event of alice.dataset.watch({ datasetId: at.datasetId, after: 0 })) {
    events.push(event);
    if (event.kind === 'schedule.ran') break;
  }
  const shown = JSON.stringify([
    schedule,
    run,
    events,
    await alice.schedule.list({ datasetId: at.datasetId }),
    await alice.audit.list({ datasetId: at.datasetId }),
  ]);
  const tables = ['schedules', 'schedule_runs', 'audit', 'events', 'idempotency', 'covista_jobs.jobs'];
  const stored = await Promise.all(tables.map((table) => query(server.databaseUrl, `SELECT row_to_json(t)::text AS row FROM ${table} AS t`)));
  for (const secret of ['zqcanary', SECRET.slice(6), 'of-the-receiver']) {
    expect(shown).not.toContain(secret);
    expect(JSON.stringify(stored)).not.toContain(secret);
  }
  expect(to('/secret')).toMatchObject([{ url: '/secret?key=zqcanary', headers: { authorization: AUTHORIZATION } }]);
});
