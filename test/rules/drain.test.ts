import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

let server: TestServer;
let token: string;
let finish: () => void = () => undefined;
let stuck = 0;

const start = (drainTimeoutMs: number): Promise<TestServer> =>
  startTestServer({
    limits: { drainTimeoutMs, reconnectDelayMs: 1_000 },
    handlers: {
      'dataset.list': () =>
        new Promise((resolve) => {
          finish = () => resolve({ items: [] });
        }),
      'dataset.get': (_input, { signal }) => {
        stuck += 1;
        return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      'dataset.watch': async function* (_input: unknown, { signal }: CallContext) {
        yield { sequence: 1 };
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    },
  });

beforeEach(async () => {
  server = await start(30_000);
  token = await server.token();
});

afterEach(() => server.close());

/** Somebody whose first request is under way, and the stop that waits for it. */
async function stopWhileWorking(): Promise<{ readonly client: RpcClient; readonly closing: Promise<void> }> {
  const client = await RpcClient.open(server.port, token);
  client.request(1, 'dataset.list');
  client.request(2, 'session.whoami');
  await client.last(2);
  server.listener.stopAccepting();
  return { client, closing: server.listener.closeAll('maintenance') };
}

describe('a server that stops', () => {
  test('RPC21 says goodbye with a delay, lets requests in flight finish, then closes', async () => {
    const { client, closing } = await stopWhileWorking();
    const goodbye = await client.frame((frame) => frame[0] === FRAME.goodbye);
    expect(goodbye).toEqual([FRAME.goodbye, 'maintenance', expect.any(Number)]);
    expect(goodbye[2]).toBeLessThan(1_000);
    client.request(3, 'session.whoami');
    expect(await client.errorCode(3)).toBe('draining');
    finish();
    expect(await client.last(1)).toEqual([FRAME.response, 1, { items: [] }]);
    await closing;
    expect((await client.closed).code).toBe(CLOSE_CODES.goingAway);
  });

  test('RPC21 ends streams that would never end, and fails what takes too long', async () => {
    const hasty = await start(100);
    const client = await RpcClient.open(hasty.port, token);
    client.request(1, 'dataset.watch', { datasetId: 1 });
    client.request(2, 'dataset.get', { datasetId: 1 });
    await client.frame((frame) => frame[0] === FRAME.item);
    await expect.poll(() => stuck).toBeGreaterThan(0);
    hasty.listener.stopAccepting();
    const closing = hasty.listener.closeAll('maintenance');
    expect(await client.errorCode(1)).toBe('draining');
    await closing;
    expect((await client.closed).code).toBe(CLOSE_CODES.goingAway);
    hasty.close();
  });

  test('RPC21 takes no new sockets and no new sessions, and closes its port when all is done', async () => {
    const waiting = await RpcClient.connect(server.port);
    const { closing } = await stopWhileWorking();
    await expect(RpcClient.connect(server.port)).rejects.toThrow('503');
    waiting.send([FRAME.hello, PROTOCOL_VERSION, token, 'test']);
    expect(await waiting.errorCode(null)).toBe('draining');
    expect((await waiting.closed).code).toBe(CLOSE_CODES.goingAway);
    const { status } = await fetch(`${server.url}/readyz`, { headers: { connection: 'close' } });
    expect(status).toBe(503);
    finish();
    await closing;
    await expect(RpcClient.connect(server.port)).rejects.toThrow('ECONNREFUSED');
  });

  test('RPC21 who comes while a server stops keeps it from nothing', async () => {
    const { closing } = await stopWhileWorking();
    const late = connect(server.port, '127.0.0.1');
    late.on('error', () => undefined);
    late.write('GET /healthz HTTP/1.1\r\nHost: covista\r\n\r\nPOST /api/datasets HTTP/1.1\r\nHost: covista\r\nContent-Length: 100\r\n\r\n{');
    await once(late, 'data');
    finish();
    await closing;
    late.destroy();
  });

  test('RPC21 a port that another server has is refused', async () => {
    await expect(startTestServer({ listening: { port: server.port } })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('REST12 REST8 answers open HTTP connections with draining, is not ready, and ends their endless streams', async () => {
    const agent = await import('node:http').then(({ Agent }) => new Agent({ keepAlive: true, maxSockets: 1 }));
    const get = async (path: string): Promise<{ status: number; body: string }> => {
      const { request } = await import('node:http');
      return new Promise((resolve, reject) => {
        request({ port: server.port, path, agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
          let body = '';
          response.on('data', (chunk: Buffer) => {
            body += chunk.toString();
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        })
          .on('error', reject)
          .end();
      });
    };
    const watch = await server.fetch('/api/datasets/1/events');
    expect((await get('/healthz')).status).toBe(200);
    server.listener.stopAccepting();
    expect((await get('/readyz')).status).toBe(503);
    expect((await get('/healthz')).status).toBe(200);
    const refused = await get('/api/session');
    expect([refused.status, JSON.parse(refused.body)]).toEqual([503, { error: expect.objectContaining({ code: 'draining' }) }]);
    await server.listener.closeAll('maintenance');
    expect((await watch.text()).trim().split('\n').at(-1)).toContain('"code":"draining"');
    agent.destroy();
  });
});
