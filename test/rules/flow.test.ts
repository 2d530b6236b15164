import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLOSE_CODES } from '../../protocol/close-codes.ts';
import { splitFrame } from '../../protocol/fragments.ts';
import { encodeFrame, FRAME, type ServerFrame } from '../../protocol/frame.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const CREDIT = 64 * KiB;

let server: TestServer;
let token: string;
/** What the endless download has given out. */
let producedBytes = 0;
let releasedStreams = 0;

async function* endless(): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      producedBytes += 16 * KiB;
      yield new Uint8Array(16 * KiB);
    }
  } finally {
    releasedStreams += 1;
  }
}

beforeAll(async () => {
  server = await startTestServer({
    limits: { streamCreditBytes: CREDIT, socketBufferBytesMax: 128 * KiB, outboxBytesMax: 48 * MiB, requestBytesMax: 2 * MiB },
    handlers: {
      'version.download': endless,
      'dataset.list': ({ search }: { search: string }) => ({ items: [], next: 'x'.repeat(Number(search)) }),
      'dataset.create': ({ description }: { description: string }) => ({ description: description.length }),
      'diff.stream': async function* () {
        yield { changes: [] };
        throw new Error('in the middle');
      },
    },
  });
  token = await server.token();
});

afterAll(() => server.close());

const download = { datasetId: 1, versionId: 1, format: 'csv' };
const isItem = (number: number) => (frame: ServerFrame) => frame[0] === FRAME.item && frame[1] === number;

/** A request whose answer follows everything that the server sent before. */
async function settle(client: RpcClient, number: number): Promise<void> {
  client.request(number, 'session.whoami');
  await client.last(number);
}

/** Resolves when a figure has not changed for a while. */
async function standstill(figure: () => number): Promise<void> {
  let latest = -1;
  await expect
    .poll(
      () => {
        const before = latest;
        latest = figure();
        return latest === before;
      },
      { interval: 200, timeout: 20_000 },
    )
    .toBe(true);
}

describe('items', () => {
  test('RPC17 a stream stops when its credit is used up and goes on when it gets more; cancel ends it', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'version.download', download);
    const first = [];
    while (first.length * 16 * KiB < CREDIT) first.push(await client.frame(isItem(1)));
    await settle(client, 2);
    expect(client.received.filter(isItem(1))).toEqual([]);
    client.send([FRAME.credit, 1, 20 * KiB]);
    await client.frame(isItem(1));
    await client.frame(isItem(1));
    await settle(client, 3);
    expect(client.received.filter(isItem(1))).toEqual([]);
    const before = releasedStreams;
    client.send([FRAME.cancel, 1]);
    expect(await client.errorCode(1)).toBe('cancelled');
    expect(releasedStreams).toBe(before + 1);
    await client.close();
  });

  test('RPC6 a stream that fails in the middle ends with an error', async () => {
    const client = await RpcClient.open(server.port, token);
    client.request(1, 'diff.stream', { datasetId: 1, from: 'main~1', to: 'main' });
    await client.frame(isItem(1));
    expect(await client.errorCode(1)).toBe('internal');
    await client.close();
  });

  test('RPC19 a reader that grants credit and does not read stops the stream: nothing piles up', async () => {
    const client = await RpcClient.open(server.port, token);
    const before = producedBytes;
    client.request(1, 'version.download', download);
    client.send([FRAME.credit, 1, 1024 * MiB]);
    await client.frame(isItem(1));
    client.socket.pause();
    await standstill(() => producedBytes);
    // Half of the outbox, the socket's buffers and those of the kernel on both sides.
    expect(producedBytes - before).toBeLessThan(24 * MiB + 32 * MiB);
    client.socket.terminate();
    const released = releasedStreams;
    await expect.poll(() => releasedStreams).toBeGreaterThanOrEqual(released);
  });

  test('RPC13 a lost connection releases a stream', async () => {
    const client = await RpcClient.open(server.port, token);
    const before = releasedStreams;
    client.request(1, 'version.download', download);
    await client.frame(isItem(1));
    client.socket.terminate();
    await expect.poll(() => releasedStreams).toBe(before + 1);
  });
});

describe('large frames', () => {
  test('RPC11 a large request travels in fragments of any size, between other frames', async () => {
    const client = await RpcClient.open(server.port, token);
    const encoded = encodeFrame([FRAME.request, 1, 'dataset.create', { name: 'x', description: 'd'.repeat(9_000) }, null, false]);
    const pieces = [...splitFrame(encoded, 5, 1_000)];
    expect(pieces.length).toBeGreaterThan(9);
    for (const piece of pieces) {
      client.socket.send(piece);
      client.send([FRAME.credit, 77, 1]);
    }
    expect(await client.last(1)).toEqual([FRAME.response, 1, { description: 9_000 }]);
    await client.close();
  });

  test('RPC11 fragments beyond the bound of a request close with payload_too_large', async () => {
    const client = await RpcClient.open(server.port, token);
    for (let sent = 0; sent <= 2 * MiB; sent += 64 * KiB) client.send([FRAME.fragment, sent, new Uint8Array(64 * KiB), true]);
    expect(await client.errorCode(null)).toBe('payload_too_large');
    expect((await client.closed).code).toBe(CLOSE_CODES.payload_too_large);
  });

  test('RPC11 a fragment in a fragment, an empty one that is not the last, and pieces that make no frame are protocol errors', async () => {
    const inner = encodeFrame([FRAME.fragment, 1, new Uint8Array(1), false]);
    for (const [bytes, more] of [
      [inner, false],
      [new Uint8Array(), true],
      [new Uint8Array([0xc1]), false],
    ] as const) {
      const client = await RpcClient.open(server.port, token);
      client.send([FRAME.fragment, 1, bytes, more]);
      expect(await client.errorCode(null)).toBe('protocol_error');
      expect((await client.closed).code).toBe(CLOSE_CODES.protocol_error);
    }
  });

  test('RPC11 a message beyond the bound of a frame loses the connection', async () => {
    const client = await RpcClient.open(server.port, token);
    client.socket.send(new Uint8Array(300 * KiB));
    await client.closed;
  });

  test('RPC18 a large answer comes in fragments, takes turns with others, and never blocks small ones', async () => {
    const client = await RpcClient.open(server.port, token);
    client.socket.pause();
    client.request(1, 'dataset.list', { search: String(16 * MiB).slice(0, 8) });
    client.request(2, 'dataset.list', { search: String(16 * MiB).slice(0, 8) });
    client.request(3, 'session.whoami');
    client.socket.resume();
    const sizes = await Promise.all([client.last(1), client.last(2), client.last(3)]);
    expect(sizes.slice(0, 2).map((frame) => (frame[2] as { next: string }).next.length)).toEqual([16 * MiB, 16 * MiB]);
    const order = client.raw.flatMap((frame) => (frame[0] === FRAME.fragment || frame[0] === FRAME.response ? [frame[1]] : []));
    expect(order.indexOf(3)).toBeLessThan(order.lastIndexOf(1));
    expect(order.indexOf(3)).toBeLessThan(order.lastIndexOf(2));
    expect(order.indexOf(2)).toBeLessThan(order.lastIndexOf(1));
    const fragments = client.raw.flatMap((frame) => (frame[0] === FRAME.fragment ? [frame[2].length] : []));
    expect(Math.max(...fragments)).toBe(64 * KiB);
    await client.close();
  });

  test('RPC19 answers that nobody reads close with slow_consumer', async () => {
    const client = await RpcClient.open(server.port, token);
    client.socket.pause();
    for (let number = 1; number <= 8; number += 1) client.request(number, 'dataset.list', { search: String(8 * MiB) });
    await expect.poll(async () => (await server.fetch('/healthz')).ok).toBe(true);
    client.socket.resume();
    const { code } = await client.closed;
    expect([CLOSE_CODES.slow_consumer, 1006]).toContain(code);
  });
});
