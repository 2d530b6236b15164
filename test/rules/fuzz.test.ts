import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClientFrame, encodeFrame, FRAME } from '../../protocol/frame.ts';
import { mutate } from '../support/mutate.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/socket-server.ts';

let server: TestServer;
let token: string;

beforeAll(async () => {
  server = await startTestServer({
    handlers: {
      'version.download': async function* () {
        for (let count = 0; count < 5; count += 1) yield new Uint8Array(100);
      },
      'dataset.list': async () => ({ items: [] }),
    },
  });
  token = await server.token();
});

afterAll(() => server.close());

const sessionFrames: readonly ClientFrame[] = [
  [FRAME.request, 1, 'session.whoami', {}, null, false],
  [FRAME.request, 2, 'dataset.list', { search: 'x', limit: 5 }, 'key', false],
  [FRAME.request, 3, 'version.download', { datasetId: 1, versionId: 1 }, null, true],
  [FRAME.body, 3, new Uint8Array(20), false],
  [FRAME.credit, 3, 100],
  [FRAME.cancel, 3],
  [FRAME.fragment, 5, new Uint8Array(20), true],
  [FRAME.refresh, 'token'],
  [FRAME.goodbye, 'bye', 0],
];

/** Sends bytes and then a request: it is answered, or the connection is closed by the protocol, never by accident. */
async function probe(client: RpcClient, bytes: Uint8Array, number: number): Promise<boolean> {
  client.socket.send(bytes);
  client.request(number, 'session.whoami');
  const ended = await Promise.race([client.last(number).catch(() => undefined), client.closed]);
  if (Array.isArray(ended)) return true;
  const { code } = await client.closed;
  expect([1000, 1001, 4400, 4401, 4402, 4413, 4426]).toContain(code);
  return false;
}

/** Damaged copies of frames, the same ones on every run. */
function damaged(frames: readonly ClientFrame[], count: number): Uint8Array[] {
  const samples = fc.sample(fc.tuple(fc.constantFrom(...frames), fc.infiniteStream(fc.nat())), { seed: 20_261_122, numRuns: count });
  return samples.map(([frame, choices]) => mutate(new Uint8Array(encodeFrame(frame)), choices));
}

/** Works through a list with a few at once. */
async function eachOf(list: readonly Uint8Array[], work: (next: () => Uint8Array | undefined) => Promise<void>): Promise<void> {
  const left = [...list];
  await Promise.all(Array.from({ length: 8 }, () => work(() => left.pop())));
}

test('RPC10 2,400 damaged frames of a session crash nothing: each is answered, ignored or closes the connection', async () => {
  await eachOf(damaged(sessionFrames, 2_400), async (next) => {
    let client = await RpcClient.open(server.port, token);
    let number = 1_000;
    for (let bytes = next(); bytes !== undefined; bytes = next()) {
      number += 1;
      if (!(await probe(client, bytes, number))) client = await RpcClient.open(server.port, token);
    }
    client.socket.terminate();
  });
  expect(await (await server.fetch('/api/session')).json()).toMatchObject({ subject: 'alice' });
});

test('RPC1 RPC10 300 damaged hellos crash nothing', async () => {
  await eachOf(damaged([[FRAME.hello, 1, token, 'fuzz']], 300), async (next) => {
    for (let bytes = next(); bytes !== undefined; bytes = next()) {
      const client = await RpcClient.connect(server.port);
      client.socket.send(bytes);
      const ended = await Promise.race([client.frame((frame) => frame[0] === FRAME.welcome).catch(() => undefined), client.closed]);
      if (Array.isArray(ended)) client.socket.terminate();
      else expect([4400, 4401, 4413, 4426]).toContain((await client.closed).code);
    }
  });
});
