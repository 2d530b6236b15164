import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { newGate } from '../support/gate.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

/** Waits for the abort of its signal and then ends as handlers do. */
function untilAborted({ signal }: CallContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

let server: TestServer;
let token: string;
const aborted: string[] = [];
const searching = newGate();

beforeAll(async () => {
  server = await startTestServer({
    limits: { requestsInFlightMax: 3 },
    handlers: {
      'dataset.get': (_input, context) => untilAborted(context).catch((reason: Error) => Promise.reject(aborted.push(reason.message) && reason)),
      'dataset.list': async () => {
        await searching.passed;
        return { items: [] };
      },
      'branch.list': () => {
        throw new Error('a fault with a secret: hunter2');
      },
      'tag.list': () => {
        const circle: unknown[] = [];
        circle.push(circle);
        return { items: circle };
      },
    },
  });
  token = await server.token({ ttlMs: 3_600_000, claims: { groups: ['team'] } });
});

afterAll(() => server.close());

describe('requests', () => {
  test('RPC6 each request has one answer, in whatever order they are ready', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(7, 'dataset.list');
    client.request(8, 'session.whoami');
    const first = await client.last(8);
    searching.open();
    expect(first).toEqual([FRAME.response, 8, { subject: 'alice', groups: ['team'], serverAdmin: false, expiresAt: expect.any(String) }]);
    expect(await client.last(7)).toEqual([FRAME.response, 7, { items: [] }]);
    await client.close();
  });

  test('RPC6 RPC9 errors of a request leave the connection open', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'no.such');
    expect(await client.errorCode(1)).toBe('unknown_operation');
    client.request(1, 'dataset.create', { name: 5, color: 'red' });
    const error = await client.frame((frame) => frame[0] === FRAME.error);
    expect(error[2]).toMatchObject({
      code: 'invalid_input',
      details: { issues: expect.arrayContaining([expect.objectContaining({ path: 'name' })]) },
    });
    client.request(1, 'session.whoami');
    expect((await client.last(1))[0]).toBe(FRAME.response);
    await client.close();
  });

  test('RPC10 a fault answers with internal and a request id, and tells nothing of itself', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'branch.list', { datasetId: 1 });
    const error = await client.frame((frame) => frame[0] === FRAME.error);
    expect(error[2]).toMatchObject({ code: 'internal' });
    expect(JSON.stringify(error)).not.toContain('hunter2');
    expect(error[3]).toMatch(/^[0-9a-f]{8}-/);
    await client.close();
  });

  test('RPC10 a result that cannot be encoded is a fault of its request alone', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'tag.list', { datasetId: 1 });
    client.request(2, 'session.whoami');
    expect(await client.errorCode(1)).toBe('internal');
    expect((await client.last(2))[0]).toBe(FRAME.response);
    await client.close();
  });

  test('RPC7 a request number that is in flight closes with protocol_error', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'dataset.get', { datasetId: 1 });
    client.request(1, 'session.whoami');
    expect(await client.errorCode(null)).toBe('protocol_error');
    expect((await client.closed).code).toBe(CLOSE_CODES.protocol_error);
  });

  test('RPC8 more requests in flight than allowed are rate_limited, and the others go on', async () => {
    const client = await RpcClient.open(server.port, token);
    for (const number of [1, 2, 3, 4]) client.request(number, 'dataset.get', { datasetId: 1 });
    expect(await client.errorCode(4)).toBe('rate_limited');
    client.send([FRAME.cancel, 2]);
    expect(await client.errorCode(2)).toBe('cancelled');
    client.request(5, 'session.whoami');
    expect((await client.last(5))[0]).toBe(FRAME.response);
    await client.close();
  });

  test('RPC13 cancel stops the handler; the answer is the error cancelled', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'dataset.get', { datasetId: 1 });
    client.send([FRAME.cancel, 1]);
    expect(await client.errorCode(1)).toBe('cancelled');
    await client.close();
  });

  test('RPC13 a lost connection cancels what is in flight', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'dataset.get', { datasetId: 1 });
    client.request(2, 'session.whoami');
    await client.last(2);
    client.socket.terminate();
    await expect.poll(() => aborted).toContain('the connection was lost');
  });

  test('RPC12 frames for requests that have ended are ignored', async () => {
    const client = await RpcClient.open(server.port, token);
    client.send([FRAME.cancel, 99]);
    client.send([FRAME.credit, 99, 1000]);
    client.send([FRAME.body, 99, new Uint8Array(10), true]);
    client.request(1, 'session.whoami');
    expect((await client.last(1))[0]).toBe(FRAME.response);
    await client.close();
  });

  test('RPC14 an operation that takes longer than it may fails with timeout', async () => {
    const hasty = await startTestServer({
      limits: { operationTimeoutMs: 20 },
      handlers: { 'dataset.get': (_input, context) => untilAborted(context) },
    });
    const client = await RpcClient.open(hasty.port, token);
    client.request(1, 'dataset.get', { datasetId: 1 });
    expect(await client.errorCode(1)).toBe('timeout');
    hasty.close();
  });
});

describe('the end of a session', () => {
  test('RPC16 the goodbye of a client closes normally', async () => {
    const client = await RpcClient.open(server.port, token);
    client.send([FRAME.goodbye, 'done', 0]);
    expect((await client.closed).code).toBe(CLOSE_CODES.normal);
  });

  test('RPC1 a second hello closes with protocol_error', async () => {
    const client = await RpcClient.open(server.port, token);
    client.send([FRAME.hello, PROTOCOL_VERSION, token, 'again']);
    expect(await client.errorCode(null)).toBe('protocol_error');
    await client.closed;
  });

  test('AUTH8 a token that expires closes with session_expired', async () => {
    const client = await RpcClient.open(server.port, await server.token({ ttlMs: 3_000 }));
    expect(await client.errorCode(null)).toBe('session_expired');
    expect((await client.closed).code).toBe(CLOSE_CODES.session_expired);
  });

  test('AUTH9 a refresh moves the expiry of the session', async () => {
    const short = await server.token({ ttlMs: 3_000 });
    const [client, twin] = [await RpcClient.open(server.port, short), await RpcClient.open(server.port, short)];
    client.send([FRAME.refresh, await server.token({ ttlMs: 3_600_000, claims: { groups: ['other'] } })]);
    const refreshed = await client.frame((frame) => frame[0] === FRAME.refreshed);
    expect(refreshed[1]).toMatchObject({ subject: 'alice' });
    await twin.closed;
    client.request(1, 'session.whoami');
    expect((await client.last(1))[2]).toMatchObject({ groups: ['other'] });
    await client.close();
  });

  test('AUTH9 a refresh with a bad token, or of somebody else, is refused and the session goes on', async () => {
    const client = await RpcClient.open(server.port, token);
    client.send([FRAME.refresh, 'nonsense']);
    expect(await client.errorCode(null)).toBe('unauthenticated');
    client.send([FRAME.refresh, await server.token({ subject: 'mallory' })]);
    expect(await client.errorCode(null)).toBe('forbidden');
    client.request(1, 'session.whoami');
    expect((await client.last(1))[2]).toMatchObject({ subject: 'alice' });
    await client.close();
  });

  test('AUTH9 a second refresh while one is under way closes with protocol_error', async () => {
    const gate = newGate();
    const slow = await startTestServer({ beforeAuthentication: (given) => (given === token ? Promise.resolve() : gate.passed) });
    const client = await RpcClient.open(slow.port, token);
    client.send([FRAME.refresh, await server.token({ ttlMs: 5_000 })]);
    client.send([FRAME.refresh, await server.token({ ttlMs: 6_000 })]);
    expect(await client.errorCode(null)).toBe('protocol_error');
    expect((await client.closed).code).toBe(CLOSE_CODES.protocol_error);
    gate.open();
    slow.close();
  });
});
