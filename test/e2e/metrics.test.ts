import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { withMetrics } from '../../server/gateway/metrics-face.ts';
import { Metrics } from '../../server/shared/metrics.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { csv } from '../support/samples.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(async () => {
  await server?.stop();
});

/** The value of a sample by its name and labels, as they are written. */
async function read(sample: string): Promise<number | undefined> {
  const response = await fetch(`${server.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  const line = (await response.text()).split('\n').find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

describe('metrics', () => {
  test('OPS1 they tell what was done, what failed, and what is held', async () => {
    const alice = await server.client('alice');
    const { datasetId } = await alice.dataset.create({ name: 'Measured' });
    await alice.version.commit({ datasetId, branch: 'main' }, { body: csv('id,name', '1,a', '2,b') });
    await alice.table.open({ datasetId, ref: 'main', engine: 'memory' }, { perspective: false });
    await expect(alice.dataset.get({ datasetId: 999_999 })).rejects.toMatchObject({ code: 'not_found' });
    expect(await read('covista_versions_created_total')).toBe(1);
    expect(await read('covista_requests_total{operation="dataset.create"}')).toBe(1);
    expect(await read('covista_errors_total{operation="dataset.get",code="not_found"}')).toBe(1);
    expect(await read('covista_dataset_upload_duration_seconds_count')).toBe(1);
    expect(await read('covista_table_creation_seconds_count')).toBe(1);
    expect(await read('covista_active_tables{engine="memory"}')).toBe(1);
    expect(await read(`covista_storage_bytes{dataset="${datasetId}"}`)).toBeGreaterThan(12);
    expect(await read('covista_storage_bytes{dataset="other"}')).toBe(0);
    expect(await read('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
  });

  test('OPS3 names that callers make up make no label', async () => {
    const client = await RpcClient.open(Number(new URL(server.url).port), await server.token('alice'));
    for (let number = 1; number <= 3; number += 1) {
      client.request(number, `made.up${number}`);
      await client.last(number);
    }
    await client.close();
    expect(await read('covista_errors_total{operation="unknown",code="unknown_operation"}')).toBe(3);
    expect(await (await fetch(`${server.url}/metrics`)).text()).not.toContain('made.up');
  });

  test('OPS2 where others can reach the server, they are for server admins', async () => {
    const admit = async (token: string) => {
      if (token === '') throw new CovistaError('unauthenticated', 'there is no token');
      return { subject: token, groups: [], serverAdmin: token === 'admin', claims: {}, expiresAtMs: null };
    };
    const none = { handle: async () => ({ status: 404, headers: [], body: { kind: 'none' } as const }) };
    const face = withMetrics(none, { metrics: new Metrics(), authenticator: { admit }, isReachable: true });
    const statusFor = async (authorization: string, path = '/metrics'): Promise<number> => {
      const nothing = (): void => undefined;
      const request = {
        method: 'GET',
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
    expect(await statusFor('', '/else')).toBe(404);
  });
});
