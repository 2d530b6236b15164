import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { type ClientFrame, encodeFrame, FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

/** Waits for the abort of its signal and then ends as handlers do. */
function untilAborted({ signal }: CallContext): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

interface Gate {
  readonly passed: Promise<void>;
  open(): void;
}

function newGate(): Gate {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
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

async function hello(frame: ClientFrame | Uint8Array | string): Promise<RpcClient> {
  const client = await RpcClient.connect(server.port);
  if (typeof frame === 'string' || frame instanceof Uint8Array) client.socket.send(frame);
  else client.send(frame);
  return client;
}

describe('before the session', () => {
  test('RPC1 RPC4 hello opens a session, and welcome says who, what bounds and which connection', async () => {
    const client = await hello([FRAME.hello, PROTOCOL_VERSION, token, 'test']);
    const welcome = await client.frame((frame) => frame[0] === FRAME.welcome);
    expect(welcome[1]).toBe(PROTOCOL_VERSION);
    expect(welcome[2]).toEqual({ subject: 'alice', expiresAt: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(welcome[3]).toMatchObject({ requestsInFlightMax: 3, fragmentBytes: 65_536 });
    expect(welcome[4]).toMatch(/^[0-9a-f]{8}-/);
    await client.close();
  });

  const notHello: readonly (readonly [string, ClientFrame | Uint8Array | string])[] = [
    ['a request', [FRAME.request, 1, 'session.whoami', {}, null, false]],
    ['a refresh', [FRAME.refresh, 'x']],
    ['a goodbye', [FRAME.goodbye, 'bye', 0]],
    ['a fragment', [FRAME.fragment, 1, new Uint8Array(1), false]],
    ['a credit', [FRAME.credit, 1, 10]],
    ['text', 'hello'],
    ['no msgpack', new Uint8Array([0xc1, 0xff])],
    ['an empty message', new Uint8Array()],
    ['a frame of the server', encodeFrame([FRAME.end, 1])],
  ];
  test.each(notHello)('RPC1 %s instead of hello closes with protocol_error', async (_what, frame) => {
    const client = await hello(frame);
    expect(await client.errorCode(null)).toBe('protocol_error');
    expect((await client.closed).code).toBe(CLOSE_CODES.protocol_error);
  });

  test('RPC2 a hello that is too large closes with payload_too_large', async () => {
    const client = await hello([FRAME.hello, PROTOCOL_VERSION, 'x'.repeat(20_000), 'test']);
    expect(await client.errorCode(null)).toBe('payload_too_large');
    expect((await client.closed).code).toBe(CLOSE_CODES.payload_too_large);
  });

  test('RPC2 silence closes with timeout', async () => {
    const impatient = await startTestServer({ limits: { helloTimeoutMs: 50 } });
    const client = await RpcClient.connect(impatient.port);
    expect(await client.errorCode(null)).toBe('timeout');
    expect((await client.closed).code).toBe(CLOSE_CODES.timeout);
    impatient.close();
  });

  test('RPC3 a version that the server does not speak closes with unsupported_version and says which it speaks', async () => {
    const client = await hello([FRAME.hello, 99, token, 'test']);
    const error = await client.frame((frame) => frame[0] === FRAME.error);
    expect(error[2]).toMatchObject({ code: 'unsupported_version', details: { supported: [PROTOCOL_VERSION] } });
    expect((await client.closed).code).toBe(CLOSE_CODES.unsupported_version);
  });

  test('RPC1 AUTH1 a token that is not accepted closes with unauthenticated', async () => {
    const client = await hello([FRAME.hello, PROTOCOL_VERSION, 'nonsense', 'test']);
    expect(await client.errorCode(null)).toBe('unauthenticated');
    expect((await client.closed).code).toBe(CLOSE_CODES.unauthenticated);
  });

  test('RPC5 a frame that follows hello before welcome closes with protocol_error', async () => {
    const gate = newGate();
    const slow = await startTestServer({ beforeAuthentication: () => gate.passed });
    const client = await RpcClient.connect(slow.port);
    client.send([FRAME.hello, PROTOCOL_VERSION, token, 'test']);
    client.request(1, 'session.whoami');
    expect(await client.errorCode(null)).toBe('protocol_error');
    expect((await client.closed).code).toBe(CLOSE_CODES.protocol_error);
    gate.open();
    slow.close();
  });

  test('RPC24 sockets without a session, and sockets at all, are bounded', async () => {
    const small = await startTestServer({ limits: { connectionsAwaitingHelloMax: 2, connectionsMax: 3 } });
    const waiting = [await RpcClient.connect(small.port), await RpcClient.connect(small.port)];
    await expect(RpcClient.connect(small.port)).rejects.toThrow('503');
    waiting[0]?.send([FRAME.hello, PROTOCOL_VERSION, token, 'test']);
    await waiting[0]?.frame((frame) => frame[0] === FRAME.welcome);
    const third = await RpcClient.open(small.port, token);
    await expect(RpcClient.connect(small.port)).rejects.toThrow('503');
    expect((await small.fetch('/healthz')).status).toBe(503);
    await third.close();
    await RpcClient.open(small.port, token);
    small.close();
  });
});

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
    const client = await RpcClient.open(server.port, await server.token({ ttlMs: 1_000 }));
    expect(await client.errorCode(null)).toBe('session_expired');
    expect((await client.closed).code).toBe(CLOSE_CODES.session_expired);
  });

  test('AUTH9 a refresh moves the expiry of the session', async () => {
    const short = await server.token({ ttlMs: 1_000 });
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
