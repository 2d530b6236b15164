import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FRAME } from '../../protocol/frame.ts';
import type { CallContext } from '../../server/operations/handler.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const CREDIT = 64 * KiB;

let server: TestServer;
let token: string;
let takenBytes = 0;
const lostBodies: string[] = [];
let allowReading: () => void = () => undefined;

async function countBody({ offset }: { offset: number }, { body }: CallContext): Promise<unknown> {
  if (offset === 1) return { offset: 0 };
  if (offset === 2) await new Promise<void>((resolve) => (allowReading = resolve));
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      takenBytes += chunk.length;
    }
  } catch (fault) {
    lostBodies.push((fault as Error).message);
    throw fault;
  }
  return { offset: bytes };
}

beforeAll(async () => {
  server = await startTestServer({
    limits: { streamCreditBytes: CREDIT },
    handlers: {
      'version.download': () => new ReadableStream(),
      'upload.write': countBody,
      'version.commit': (_input: unknown, { progress, body }: CallContext) => {
        progress({ phase: 'counting', done: 1, total: 2, unit: 'rows' });
        return countBody({ offset: 0 }, { body } as CallContext);
      },
    },
  });
  token = await server.token();
});

afterAll(() => server.close());

const download = { datasetId: 1, versionId: 1, format: 'csv' };
const upload = (offset: number) => ({ uploadId: '5f0b7f0e-6f0e-4f0e-8f0e-0f0e0f0e0f0e', offset });

/** A request whose answer follows everything that the server sent before. */
async function settle(client: RpcClient, number: number): Promise<void> {
  client.request(number, 'session.whoami');
  await client.last(number);
}

describe('bodies', () => {
  test('RPC15 a body streams to its handler, which grants credit as it reads', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'upload.write', upload(0), { body: true });
    let credit = CREDIT;
    let sent = 0;
    while (sent < 1 * MiB) {
      while (credit < 16 * KiB) {
        const grant = await client.frame((frame) => frame[0] === FRAME.credit && frame[1] === 1);
        credit += grant[2] as number;
      }
      client.send([FRAME.body, 1, new Uint8Array(16 * KiB), false]);
      credit -= 16 * KiB;
      sent += 16 * KiB;
    }
    client.send([FRAME.body, 1, new Uint8Array(), true]);
    expect(await client.last(1)).toEqual([FRAME.response, 1, { offset: 1 * MiB }]);
    await client.close();
  });

  test('RPC15 no credit comes while the handler does not read, and a body beyond its credit is a protocol error', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'upload.write', upload(2), { body: true });
    for (let sent = 0; sent < CREDIT; sent += 16 * KiB) client.send([FRAME.body, 1, new Uint8Array(16 * KiB), false]);
    await settle(client, 2);
    expect(client.received.filter((frame) => frame[0] === FRAME.credit)).toEqual([]);
    client.send([FRAME.body, 1, new Uint8Array(1), false]);
    expect(await client.errorCode(null)).toBe('protocol_error');
    await client.closed;
    allowReading();
  });

  test('RPC15 a body for a request without one, or after its end, is a protocol error', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'version.download', download);
    client.send([FRAME.body, 1, new Uint8Array(1), false]);
    expect(await client.errorCode(null)).toBe('protocol_error');
    await client.closed;
  });

  test('RPC12 RPC15 a handler that answers without reading leaves the rest of the body to be ignored', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'upload.write', upload(1), { body: true });
    client.send([FRAME.body, 1, new Uint8Array(16 * KiB), false]);
    expect(await client.last(1)).toEqual([FRAME.response, 1, { offset: 0 }]);
    client.send([FRAME.body, 1, new Uint8Array(16 * KiB), true]);
    await settle(client, 2);
    await client.close();
  });

  test('RPC12 RPC13 a body may still be on its way when its request is cancelled', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'upload.write', upload(2), { body: true });
    client.send([FRAME.cancel, 1]);
    client.send([FRAME.body, 1, new Uint8Array(KiB), false]);
    client.send([FRAME.body, 1, new Uint8Array(KiB), true]);
    await settle(client, 2);
    allowReading();
    expect(await client.errorCode(1)).toBe('cancelled');
    await client.close();
  });

  test('RPC15 no body is an empty one, and an operation that takes none refuses one', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'upload.write', upload(0));
    expect(await client.last(1)).toEqual([FRAME.response, 1, { offset: 0 }]);
    client.request(2, 'session.whoami', {}, { body: true });
    expect(await client.errorCode(2)).toBe('invalid_input');
    await client.close();
  });

  test('RPC13 a body whose connection is lost fails in the handler instead of ending early', async () => {
    const client = await RpcClient.open(server.port, token);
    const before = takenBytes;
    client.request(1, 'upload.write', upload(0), { body: true });
    client.send([FRAME.body, 1, new Uint8Array(KiB), false]);
    await expect.poll(() => takenBytes).toBe(before + KiB);
    client.socket.terminate();
    await expect.poll(() => lostBodies).toContain('the connection was lost');
  });

  test('RPC20 progress is told as it comes', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'version.commit', { datasetId: 1, branch: 'main' }, { body: true });
    client.send([FRAME.body, 1, new Uint8Array(), true]);
    await client.last(1);
    expect(client.received).toContainEqual([FRAME.progress, 1, { phase: 'counting', done: 1, total: 2, unit: 'rows' }]);
    await client.close();
  });
});
