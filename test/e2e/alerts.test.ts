import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { resolveLimits } from '../../protocol/limits.ts';
import { Tightening } from '../../server/gateway/tightening.ts';
import { Denials } from '../../server/services/access/denials.ts';
import { Creations, slowVersionCreation } from '../../server/services/alerts/rules.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer | undefined;

afterEach(async () => {
  await server?.stop();
  server = undefined;
});

const SECRET = 'a secret between server and receiver';

interface Received {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A receiver of webhooks that answers with these statuses in turn, then with 204. */
async function receiver(...statuses: number[]): Promise<{ url: string; received: Received[]; close(): void }> {
  const received: Received[] = [];
  const http = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    received.push({ headers: request.headers, body });
    response.writeHead(statuses.shift() ?? 204).end();
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/alerts`, received, close: () => http.close() };
}

async function alertOf(running: TestServer, name: string) {
  const operator = await running.rest('operator', { admin: true });
  const { body } = (await operator.get('/api/admin/alerts')) as unknown as { body: { items: { name: string }[]; recent: object[]; webhook: object } };
  return { ...body, alert: body.items.find((item) => item.name === name) as Record<string, unknown> | undefined };
}

describe('alerts', () => {
  test('OPS5 OPS8 OPS9 a spike of refusals names who made it, is audited, a metric, and delivered, signed, until it is taken', async () => {
    const target = await receiver(500, 503);
    server = await startTestServer([
      ...['--alert-denials-per-minute', '10', '--alert-period-ms', '50', '--alert-webhook-backoff-ms', '10', '--audit-flush-ms', '50'],
      ...['--alert-webhook-url', target.url, '--alert-webhook-secret', SECRET],
    ]);
    const mallory = await server.rest('mallory');
    for (let number = 1; number <= 11; number += 1) expect((await mallory.get(`/api/datasets/${number}`)).status).toBe(404);
    const running = server;
    await expect.poll(async () => (await alertOf(running, 'permission_denial_spike')).alert?.state).toBe('firing');
    const { alert, recent } = await alertOf(running, 'permission_denial_spike');
    expect(alert).toMatchObject({ action: 'check_for_attack', unit: 'per minute', threshold: 10, value: 11, fired: 1 });
    expect(alert?.detail).toMatchObject({ subjects: { mallory: 11 }, tightenedSubjects: ['mallory'], tightenedAddresses: [] });
    expect(recent[0]).toMatchObject({ name: 'permission_denial_spike', state: 'firing' });
    await expect.poll(() => target.received.length).toBe(3);
    const [first, , last] = target.received;
    expect(last?.headers['x-covista-delivery']).toBe(first?.headers['x-covista-delivery']);
    const signed = `${String(last?.headers['x-covista-timestamp'])}.${last?.body}`;
    expect(last?.headers['x-covista-signature']).toBe(`sha256=${createHmac('sha256', SECRET).update(signed).digest('hex')}`);
    expect(JSON.parse(last?.body ?? '')).toMatchObject({ event: 'alert', name: 'permission_denial_spike', state: 'firing' });
    await expect
      .poll(async () => (await alertOf(running, 'permission_denial_spike')).webhook)
      .toMatchObject({ delivered: 1, failedAttempts: 2, queued: 0 });
    const operator = await running.rest('operator', { admin: true });
    const audited = async () => (await operator.get('/api/audit?operation=alert.permission_denial_spike')).body as unknown as { items: object[] };
    await expect
      .poll(async () => (await audited()).items[0])
      .toMatchObject({ outcome: 'ok', detail: { state: 'firing', action: 'check_for_attack' } });
    const metrics = await (await fetch(`${running.url}/metrics`)).text();
    expect(metrics).toContain('covista_alert_firing{alert="permission_denial_spike"} 1');
    expect(metrics).toContain('covista_alerts_total{alert="permission_denial_spike"} 1');
    expect(metrics).toContain('covista_tightened_callers 1');
    target.close();
  });

  test('OPS8 who made the spike may ask only a little; the others go on', async () => {
    server = await startTestServer(['--alert-denials-per-minute', '10', '--alert-period-ms', '50', '--alert-tight-requests-per-second', '1']);
    const running = server;
    const mallory = await server.rest('mallory');
    for (let number = 1; number <= 11; number += 1) await mallory.get(`/api/datasets/${number}`);
    await expect.poll(async () => (await mallory.get('/api/session')).status).toBe(429);
    const alice = await running.rest('alice');
    for (let turn = 0; turn < 5; turn += 1) expect((await alice.get('/api/session')).status).toBe(200);
  });

  test('OPS6 tables that nobody uses go when memory is short, then no new ones are let in', async () => {
    const bytes = 256 * 1024;
    server = await startTestServer([
      ...['--alert-period-ms', '50', '--tables-bytes-max', String(4 * bytes), '--table-bytes-max', String(4 * bytes)],
      ...['--alert-memory-percent', '60'],
    ]);
    const running = server;
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Memory' });
    const open = (ref: string) => alice.table.open({ datasetId, ref, engine: 'memory' }, { perspective: false });
    const hold = async (ref: string) => alice.table.connect({ tableId: (await open(ref)).tableId }, { onMessage: () => undefined });
    for (let version = 1; version <= 4; version += 1) {
      await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id', String(version)) });
    }
    const now = () => alertOf(running, 'high_memory_usage');
    await hold('1');
    await open('2');
    await open('3');
    await expect.poll(async () => (await now()).recent[0]).toMatchObject({ state: 'resolved' });
    const { alert, recent } = await now();
    expect(alert).toMatchObject({ state: 'ok', action: 'evict_idle_tables', unit: 'percent', threshold: 60 });
    expect(recent[1]).toMatchObject({ state: 'firing', detail: { evictedTables: 1, newTablesRefused: false } });
    await hold('2');
    await hold('3');
    await expect.poll(async () => (await now()).alert?.detail).toMatchObject({ evictedTables: 0, newTablesRefused: true });
    await expect(open('4')).rejects.toMatchObject({ code: 'memory_limit' });
    // Those that are loaded go on, and an engine that takes no memory does.
    await open('3');
    await alice.table.open({ datasetId, ref: '4', engine: 'duckdb' }, { perspective: false });
    alice.close();
    await expect.poll(async () => (await now()).alert?.state).toBe('ok');
  });

  test('OPS7 versions that take too long name their files', () => {
    const limits = resolveLimits({ alertVersionCreationMs: 30_000 });
    let nowMs = 1_000_000;
    const creations = new Creations({ limits, clock: { now: () => nowMs } });
    const rule = slowVersionCreation(creations, limits);
    const sample = { datasetId: 7 as never, versionId: 1 as never, rows: 10 };
    for (let index = 0; index < 20; index += 1) creations.note({ ...sample, fileName: `small-${index}.csv`, bytes: 100, creationMs: 50 });
    expect(rule.measure()).toMatchObject({ value: 50 });
    creations.note({ ...sample, fileName: 'huge.csv', bytes: 9e9, creationMs: 31_000 });
    expect(rule.measure()).toMatchObject({ value: 50 });
    creations.note({ ...sample, fileName: 'larger.csv', bytes: 9e10, creationMs: 90_000.4 });
    expect(rule.measure()).toMatchObject({ value: 31_000 });
    expect(rule.act()).toMatchObject({ files: [{ fileName: 'larger.csv', bytes: 9e10, creationMs: 90_000 }, { fileName: 'huge.csv' }] });
    nowMs += limits.alertVersionWindowMs + 1;
    expect(rule.measure()).toMatchObject({ value: 0 });
    const over = creations.begin({ datasetId: 7 as never, fileName: 'hangs.csv', bytes: 5e9 });
    nowMs += 30_000;
    expect(rule.measure()).toMatchObject({ value: 0, detail: { versions: 0 } });
    nowMs += 1;
    expect(rule.measure()).toMatchObject({ value: 30_001, detail: { versions: 1 } });
    expect(rule.act()).toMatchObject({ files: [{ fileName: 'hangs.csv', bytes: 5e9, versionId: null }] });
    over();
    expect(rule.measure()).toMatchObject({ value: 0 });
  });

  test('OPS7 files of slow versions are named to whoever runs the server', async () => {
    server = await startTestServer(['--alert-version-creation-ms', '1', '--alert-period-ms', '50']);
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Slow' });
    await alice.version.commit({ datasetId, branch: 'main', fileName: 'slow.csv' }, { body: csv('id', '1', '2') });
    const running = server;
    const now = async () => (await alertOf(running, 'slow_version_creation')).alert;
    // It may have been seen while it was being made.
    await expect.poll(now).toMatchObject({ state: 'firing', detail: { files: [{ versionId: 1 }] } });
    const alert = await now();
    expect(alert).toMatchObject({ action: 'investigate_file_size', unit: 'ms', threshold: 1, fired: 1 });
    expect(alert?.detail).toMatchObject({ files: [{ datasetId, versionId: 1, fileName: 'slow.csv', rows: 2 }] });
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain('covista_alert_firing{alert="slow_version_creation"} 1');
  });

  test('OPS8 one person is over the threshold for one, though all together are not over theirs', async () => {
    server = await startTestServer([
      ...['--alert-denials-per-minute', '1000', '--alert-denials-per-caller-per-minute', '10', '--alert-period-ms', '50'],
    ]);
    const running = server;
    const refuse = async (subject: string, times: number): Promise<void> => {
      const person = await running.rest(subject);
      for (let number = 1; number <= times; number += 1) expect((await person.get(`/api/datasets/${number}`)).status).toBe(404);
    };
    for (const subject of ['bob', 'carol', 'dave']) await refuse(subject, 3);
    const now = () => alertOf(running, 'permission_denial_spike');
    expect((await now()).alert).toMatchObject({ state: 'ok' });
    await refuse('mallory', 11);
    const mallory = { state: 'firing', threshold: 1_000, detail: { tightenedSubjects: ['mallory'] } };
    await expect.poll(async () => (await now()).alert).toMatchObject(mallory);
  });

  test('OPS8 refusals are forgotten after a minute, and an address of another machine is held to less', () => {
    const limits = resolveLimits({ alertTightRequestsPerSecond: 1, alertTightMs: 1_000 });
    let nowMs = 1_000_000;
    const clock = { now: () => nowMs };
    const denials = new Denials({ limits, clock });
    denials.note({ actor: 'mallory', address: '203.0.113.9' });
    denials.note({ actor: '', address: '203.0.113.9' });
    expect(denials.recent()).toMatchObject({ total: 2, subjects: new Map([['mallory', 1]]), addresses: new Map([['203.0.113.9', 2]]) });
    nowMs += 61_000;
    expect(denials.recent().total).toBe(0);
    const tightening = new Tightening({ limits, clock });
    expect(tightening.tightenAddress('127.0.0.1')).toBe(false);
    expect(tightening.tightenAddress('203.0.113.9')).toBe(true);
    expect(tightening.size).toBe(1);
    tightening.take({ subject: 'alice', address: '203.0.113.10' });
    nowMs += 1_001;
    tightening.take({ subject: 'alice', address: '203.0.113.9' });
    expect(tightening.size).toBe(0);
  });
});
