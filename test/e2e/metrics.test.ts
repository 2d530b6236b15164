import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { withMetrics } from '../../server/gateway/metrics-face.ts';
import { largest, Metrics } from '../../server/shared/metrics.ts';
import { TimeHistogram } from '../../server/shared/time-histogram.ts';
import { JOBS } from '../support/background-jobs.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openTableChannel, rowsOf } from '../support/table-channel.ts';

let server: TestServer;
let backups: string;

beforeAll(async () => {
  backups = await mkdtemp(join(tmpdir(), 'covista-metrics-backups-'));
  server = await startTestServer(['--backup-dir', backups]);
});

afterAll(async () => {
  await server?.stop();
  await rm(backups, { recursive: true, force: true });
});

/** The value of a sample by its name and labels, as they are written. */
async function read(sample: string, from = server): Promise<number | undefined> {
  const response = await fetch(`${from.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  const line = (await response.text()).split('\n').find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

/** The metrics that the requirements name, and those that running the server needs. */
const NAMED = [
  ...['dataset_upload_duration_seconds', 'version_creation_rate_total', 'storage_usage_by_dataset_bytes', 'schema_change_frequency_total'],
  ...['table_creation_time_seconds', 'memory_usage_per_table_bytes', 'active_table_count', 'view_computation_time_seconds'],
  ...['end_to_end_latency_seconds', 'permission_check_duration_seconds', 'cache_hit_ratio', 'error_rate_by_endpoint_total'],
  ...['connections', 'channels', 'outbox_bytes', 'worker_threads', 'worker_failures_total', 'database_connections', 'database_waiting'],
  ...['queries', 'documents', 'document_channels', 'commits_waiting', 'job_lag_seconds', 'metric_failures_total', 'table_engine_objects'],
  ...['table_engine_memory_bytes'],
];

describe('metrics', () => {
  test('OPS1 they tell what was done, what failed, and what is held', async () => {
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Measured' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', '1,a', '2,b') });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', '1,a') });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,title', '1,a') });
    const { tableId } = await alice.table.open({ datasetId, ref: 'main', engine: 'memory' }, { perspective: false });
    await alice.table.connect({ tableId }, { onMessage: () => undefined });
    const document = await alice.document.open(`dataset/${datasetId}`);
    await document.whenSynced();
    await expect(alice.dataset.get({ datasetId: 999_999 })).rejects.toMatchObject({ code: 'not_found' });
    expect(await read('covista_version_creation_rate_total')).toBe(3);
    expect(await read('covista_schema_change_frequency_total')).toBe(1);
    expect(await read('covista_requests_total{operation="dataset.create"}')).toBe(1);
    expect(await read('covista_error_rate_by_endpoint_total{operation="dataset.get",code="not_found"}')).toBe(1);
    expect(await read('covista_dataset_upload_duration_seconds_count')).toBe(3);
    expect(await read('covista_end_to_end_latency_seconds_count{operation="version.commit",outcome="done"}')).toBe(3);
    expect(await read('covista_end_to_end_latency_seconds_count{operation="dataset.get",outcome="failed"}')).toBe(1);
    expect(await read('covista_table_creation_time_seconds_count{engine="memory"}')).toBe(1);
    expect(await read('covista_permission_check_duration_seconds_count')).toBeGreaterThan(0);
    expect(await read('covista_active_table_count{engine="memory"}')).toBe(1);
    expect(await read(`covista_storage_usage_by_dataset_bytes{dataset="${datasetId}"}`)).toBeGreaterThan(12);
    expect(await read('covista_storage_usage_by_dataset_bytes{dataset="other"}')).toBe(0);
    expect(await read('covista_cache_hit_ratio{cache="grants"}')).toBeGreaterThan(0);
    expect(await read('covista_connections{kind="rpc"}')).toBe(1);
    expect(await read('covista_channels{operation="table.connect"}')).toBe(1);
    expect(await read('covista_channels{operation="document.connect"}')).toBe(1);
    expect(await read('covista_documents')).toBe(1);
    expect(await read('covista_worker_threads{worker="perspective-memory"}')).toBe(1);
    expect(await read('covista_worker_failures_total{worker="perspective-memory"}')).toBe(0);
    expect(await read('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
    expect(await read('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0);
    const text = await (await fetch(`${server.url}/metrics`)).text();
    for (const name of NAMED) expect(text).toMatch(new RegExp(`^# TYPE covista_${name} (histogram|counter|gauge)$`, 'm'));
  });

  test('OPS1 making views and reading windows is timed, over REST, RPC and the protocol of Perspective alike', async () => {
    // Others would count with it.
    const own = await startTestServer();
    const alice = await own.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Timed' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', '1,a', '2,b') });
    for (const engine of ['memory', 'duckdb'] as const) {
      const { tableId } = await alice.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
      const timed = async (): Promise<number> => (await read(`covista_view_computation_time_seconds_count{engine="${engine}"}`, own)) ?? 0;
      const before = await timed();
      const { viewId } = await alice.view.create({ tableId });
      await alice.view.data({ tableId, viewId });
      expect([engine, await timed()]).toEqual([engine, before + 2]);
      const channel = await openTableChannel(alice, tableId);
      expect(await rowsOf(channel, 'mine')).toHaveLength(2);
      await channel.ask('table_make_view', tableId, { view_id: 'wrong', config: { group_by: ['nowhere'] } });
      channel.close();
      // What the guard refuses, no engine computes.
      expect([engine, await timed()]).toEqual([engine, before + 4]);
    }
    await own.stop();
  });

  test('OPS1 every background job tells how late it is', async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    const jobs = [...text.matchAll(/^covista_job_lag_seconds\{job="(\w+)"\} ([\d.e+-]+)$/gm)].map(([, job, lag]) => [job, Number(lag)] as const);
    const expected = Object.entries(JOBS).filter(([, condition]) => condition !== 'with a webhook of alerts');
    expect(jobs.map(([job]) => job).sort()).toEqual(expected.map(([job]) => job));
    for (const [job, lag] of jobs) expect([job, lag >= 0 && lag < 3_600]).toEqual([job, true]);
  });

  test('OPS4 what cannot be read is left out and counted', async () => {
    const metrics = new Metrics();
    metrics.gauge('away', 'Asks a database that is away', [], () => Promise.reject(new Error('away')));
    metrics.gauge('here', 'Is there', [], () => [{ labels: {}, value: 7 }]);
    const lines = (await metrics.text()).split('\n');
    expect(lines).toContain('covista_here 7');
    expect(lines.filter((line) => line.startsWith('covista_away'))).toEqual([]);
    expect(await metrics.text()).toContain('covista_metric_failures_total{metric="away"}');
  });

  test('OPS3 of many things the largest have a label, the others are told together', () => {
    const values = Array.from({ length: 30 }, (_, index) => [`t${index}`, index] as const);
    const readings = largest('table', values, 20);
    expect(readings).toHaveLength(21);
    expect(readings[0]).toEqual({ labels: { table: 't29' }, value: 29 });
    expect(readings[20]).toEqual({ labels: { table: 'other' }, value: 45 });
  });

  test('OPS1 a histogram counts within bounds, and what one time stands for', () => {
    const histogram = new TimeHistogram('t_seconds', 'Help', ['operation']);
    histogram.observe(['a"b'], 0.002, 16);
    histogram.observe(['a"b'], 400);
    const lines = histogram.text().split('\n');
    expect(lines).toContain('t_seconds_bucket{le="0.001",operation="a\\"b"} 0');
    expect(lines).toContain('t_seconds_bucket{le="0.0025",operation="a\\"b"} 16');
    expect(lines).toContain('t_seconds_bucket{le="+Inf",operation="a\\"b"} 17');
    expect(lines).toContain('t_seconds_count{operation="a\\"b"} 17');
  });

  test('OPS3 names that callers make up make no label', async () => {
    const client = await RpcClient.open(Number(new URL(server.url).port), await server.token('alice'));
    for (let number = 1; number <= 3; number += 1) {
      client.request(number, `made.up${number}`);
      await client.last(number);
    }
    await client.close();
    expect(await read('covista_error_rate_by_endpoint_total{operation="unknown",code="unknown_operation"}')).toBe(3);
    expect(await (await fetch(`${server.url}/metrics`)).text()).not.toContain('made.up');
  });

  test('OPS1 OPS3 what REST refuses before it is carried out counts, by what it asked for', async () => {
    const own = await startTestServer(['--http-json-bytes-max', '1024']);
    const token = await own.token('alice');
    const create = async (body: string, authorization = `Bearer ${token}`, type = 'application/json'): Promise<number> => {
      const headers = { 'content-type': type, ...(authorization === '' ? {} : { authorization }) };
      return (await fetch(`${own.url}/api/datasets`, { method: 'POST', headers, body })).status;
    };
    const statuses = [
      await create('{"name": '),
      await create('{"name": "Typed"}', undefined, 'text/plain'),
      await create(JSON.stringify({ name: 'x'.repeat(2_000) })),
      await create('{"name": "Nobody"}', ''),
      await create('{"name": "Somebody"}', 'Bearer made.up'),
      await create('{"name": "Measured"}'),
      (await fetch(`${own.url}/api/made-up`)).status,
    ];
    expect(statuses).toEqual([400, 400, 413, 401, 401, 201, 404]);
    const failed = (code: string) => read(`covista_error_rate_by_endpoint_total{operation="dataset.create",code="${code}"}`, own);
    expect([await failed('invalid_input'), await failed('payload_too_large'), await failed('unauthenticated')]).toEqual([2, 1, 2]);
    expect(await read('covista_requests_total{operation="dataset.create"}', own)).toBe(6);
    expect(await read('covista_end_to_end_latency_seconds_count{operation="dataset.create",outcome="failed"}', own)).toBe(5);
    expect(await (await fetch(`${own.url}/metrics`)).text()).not.toMatch(/made.?up/);
    await own.stop();
  });

  test('OPS2 where others can reach the server, they are for server admins', async () => {
    const admit = async (token: string) => {
      if (token === '') throw new CovistaError('unauthenticated', 'there is no token');
      return { subject: token, groups: [], serverAdmin: token === 'admin', claims: {}, expiresAtMs: null };
    };
    const none = { handle: async () => ({ status: 404, headers: [], body: { kind: 'none' } as const }) };
    const face = withMetrics(none, { metrics: new Metrics(), authenticator: { admit }, isReachable: true });
    const statusFor = async (authorization: string, path = '/metrics', method = 'GET'): Promise<number> => {
      const nothing = (): void => undefined;
      const request = {
        method,
        path,
        query: '',
        address: '10.0.0.1',
        header: () => authorization,
        onAbort: nothing,
        onDrain: nothing,
        onEnd: nothing,
      };
      return (await face.handle({ ...request, body: { async *[Symbol.asyncIterator]() {} } })).status;
    };
    expect([await statusFor(''), await statusFor('Bearer alice'), await statusFor('Bearer admin')]).toEqual([401, 403, 200]);
    expect([await statusFor('', '/metrics', 'HEAD'), await statusFor('Bearer admin', '/metrics', 'HEAD')]).toEqual([401, 200]);
    expect(await statusFor('', '/else')).toBe(404);
  });
});
