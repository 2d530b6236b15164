import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { type ClientFrame, encodeFrame, FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { newGate } from '../support/gate.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

let server: TestServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer({ limits: { requestsInFlightMax: 3 } });
  token = await server.token({ ttlMs: 3_600_000 });
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

  test('RPC22 sockets without a session, and sockets at all, are bounded', async () => {
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
