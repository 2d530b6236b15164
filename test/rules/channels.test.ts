import { afterAll, beforeAll, expect, test } from 'vitest';
import { CovistaError } from '../../protocol/errors.ts';
import { splitFrame } from '../../protocol/fragments.ts';
import { encodeFrame, FRAME, type ServerFrame } from '../../protocol/frame.ts';
import type { Outcome } from '../../server/gateway/dispatch.ts';
import type { Channel, ChannelPeer } from '../../server/shared/channel.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

interface Opened {
  readonly peer: ChannelPeer;
  received: Uint8Array[];
  closed: number;
}

let server: TestServer;
let token: string;
const opened: Opened[] = [];
let abandoned = 0;

/** Echoes every message; a message that begins with 0xff makes it throw. */
function echo(): Outcome {
  return {
    kind: 'channel',
    opened: { ready: true },
    attach: (peer): Channel => {
      const entry: Opened = { peer, received: [], closed: 0 };
      opened.push(entry);
      return {
        receive: (bytes) => {
          if (bytes[0] === 0xff) throw new CovistaError('invalid_input', 'this channel takes no 0xff');
          entry.received.push(bytes);
          peer.send(bytes);
        },
        closed: () => {
          entry.closed += 1;
        },
      };
    },
    abandon: () => {
      abandoned += 1;
    },
  };
}

beforeAll(async () => {
  server = await startTestServer({
    limits: { channelsMax: 2, requestsInFlightMax: 1, channelOutboxBytesMax: 1 * MiB, socketBufferBytesMax: 128 * KiB },
    before: (gateway) => ({
      ...gateway,
      dispatch: (call) => (call.operation === 'test.echo' ? Promise.resolve(echo()) : gateway.dispatch(call)),
    }),
  });
  token = await server.token();
});

afterAll(() => server.close());

const connect = (): Promise<RpcClient> => RpcClient.open(server.port, token);

const isChannel = (number: number) => (frame: ServerFrame) => frame[0] === FRAME.channel && frame[1] === number;

async function open(client: RpcClient, number: number): Promise<Opened> {
  client.request(number, 'test.echo');
  await client.frame((frame) => frame[0] === FRAME.response && frame[1] === number);
  return opened.at(-1) as Opened;
}

test('CH1 messages of any size come back whole and in order', async () => {
  const client = await connect();
  await open(client, 1);
  const sizes = [1, 100_000, 10, 64 * KiB, 300_000, 0, 7];
  const messages = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  for (const message of messages) {
    for (const piece of splitFrame(encodeFrame([FRAME.channel, 1, message]), 1, 64 * KiB)) client.socket.send(piece);
  }
  const echoed: Uint8Array[] = [];
  while (echoed.length < messages.length) echoed.push((await client.frame(isChannel(1)))[2] as Uint8Array);
  expect(echoed.map(({ length }) => length)).toEqual(sizes);
  for (const [index, message] of messages.entries()) expect(Buffer.compare(echoed[index] as Uint8Array, message)).toBe(0);
  await client.close();
});

test('CH2 a cancel ends it, and so does what it throws; both ends learn of it once', async () => {
  const client = await connect();
  const first = await open(client, 1);
  client.send([FRAME.cancel, 1]);
  expect(await client.last(1)).toMatchObject([FRAME.error, 1, { code: 'cancelled' }, expect.any(String)]);
  client.send([FRAME.channel, 1, new Uint8Array([1])]);
  const second = await open(client, 2);
  client.send([FRAME.channel, 2, new Uint8Array([0xff])]);
  expect(await client.last(2)).toMatchObject([FRAME.error, 2, { code: 'invalid_input' }, expect.any(String)]);
  const third = await open(client, 3);
  third.peer.send(new Uint8Array([9]));
  third.peer.close();
  third.peer.send(new Uint8Array([10]));
  expect((await client.frame(isChannel(3)))[2]).toEqual(new Uint8Array([9]));
  expect(await client.frame((frame) => frame[0] === FRAME.end)).toEqual([FRAME.end, 3]);
  expect([first, second, third].map(({ closed, received }) => [closed, received.length])).toEqual([
    [1, 0],
    [1, 0],
    [1, 0],
  ]);
  await client.close();
});

test('CH4 a reader who does not read loses the channel, and the connection goes on', async () => {
  const client = await connect();
  const { peer } = await open(client, 1);
  client.socket.pause();
  const piece = new Uint8Array(256 * KiB);
  for (let index = 0; index < 200; index += 1) {
    peer.send(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(opened.at(-1)?.closed).toBe(1);
  expect(peer.queuedBytes).toBeLessThanOrEqual(1 * MiB);
  client.socket.resume();
  expect(await client.frame((frame) => frame[0] === FRAME.error && frame[1] === 1)).toMatchObject([
    FRAME.error,
    1,
    { code: 'slow_consumer' },
    expect.any(String),
  ]);
  client.request(2, 'session.whoami');
  expect(await client.last(2)).toMatchObject([FRAME.response, 2, { subject: 'alice' }]);
  await client.close();
});

test('CH5 channels are bounded, and are no requests in flight', async () => {
  const client = await connect();
  await open(client, 1);
  await open(client, 2);
  const before = abandoned;
  client.request(3, 'test.echo');
  expect(await client.last(3)).toMatchObject([FRAME.error, 3, { code: 'rate_limited', details: { channelsMax: 2 } }, expect.any(String)]);
  expect(abandoned).toBe(before + 1);
  client.request(4, 'session.whoami');
  expect((await client.last(4))?.[0]).toBe(FRAME.response);
  client.send([FRAME.cancel, 1]);
  await client.frame((frame) => frame[0] === FRAME.error && frame[1] === 1);
  await open(client, 5);
  await client.close();
});

test('CH6 a lost connection closes them', async () => {
  const client = await connect();
  const entry = await open(client, 1);
  await client.close();
  await expect.poll(() => entry.closed).toBe(1);
  expect(() => entry.peer.send(encodeFrame([FRAME.end, 1]))).not.toThrow();
});

test('CH3 a server that stops ends them with the reason', async () => {
  const own = await startTestServer({ before: (gateway) => ({ ...gateway, dispatch: () => Promise.resolve(echo()) }) });
  const client = await RpcClient.open(own.port, await own.token());
  const entry = await open(client, 1);
  own.listener.stopAccepting();
  const over = own.listener.closeAll('the server is stopping');
  expect(await client.frame((frame) => frame[0] === FRAME.error && frame[1] === 1)).toMatchObject([
    FRAME.error,
    1,
    { code: 'draining' },
    expect.any(String),
  ]);
  await over;
  expect(entry.closed).toBe(1);
  own.close();
});
