import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Client } from '../../client/index.ts';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import { encodeRequest } from '../../server/shared/perspective/codec.ts';
import type { PerspectiveRequest } from '../../server/shared/perspective/types.ts';
import { RpcClient } from '../support/rpc-client.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { openTableChannel, readRows, rowsOf } from '../support/table-channel.ts';
import { prepareOrders } from '../support/table-world.ts';

let server: TestServer;
let owner: Client;
let datasetId: number;

beforeAll(async () => {
  server = await startTestServer([]);
  ({ owner, datasetId } = await prepareOrders(server));
});

afterAll(async () => {
  await server?.stop();
});

/** A channel by whose socket nothing is read any more once it is paused. */
interface Reader {
  readonly socket: WebSocket;
  send(message: Uint8Array): void;
  /** Resolves with what the reader is told once it reads again. */
  told(): Promise<unknown>;
  close(): Promise<void>;
}

async function overPerspective(tableId: string): Promise<Reader> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/perspective/${tableId}?token=${await server.token('owner')}`);
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  await new Promise((resolve) => socket.once('open', resolve));
  // What is long may come once the token is accepted.
  socket.send(bytesOf({ msgId: 1, entityId: '', kind: 'get_features', body: {} }));
  await new Promise((resolve) => socket.once('message', resolve));
  return { socket, send: (message) => socket.send(message), told: () => closed, close: async () => undefined };
}

/** No frame of a client may be much larger. */
const FRAGMENT_BYTES = 60_000;

async function overRpc(tableId: string): Promise<Reader> {
  const client = await RpcClient.open(Number(new URL(server.url).port), await server.token('owner'));
  client.request(1, 'table.connect', { tableId });
  expect((await client.last(1))[0]).toBe(FRAME.response);
  const told = async (): Promise<unknown> => {
    const code = await client.errorCode(1);
    // It was the channel that was lost, and the connection goes on.
    client.request(2, 'session.whoami');
    expect((await client.last(2))[0]).toBe(FRAME.response);
    return code;
  };
  const send = (message: Uint8Array): void => {
    const frame = encodeFrame([FRAME.channel, 1, message]);
    for (let at = 0; at < frame.length; at += FRAGMENT_BYTES) {
      client.send([FRAME.fragment, 1, frame.slice(at, at + FRAGMENT_BYTES), at + FRAGMENT_BYTES < frame.length]);
    }
  };
  return { socket: client.socket, send, told, close: () => client.close() };
}

const bytesOf = (request: object): Uint8Array => encodeRequest(request as PerspectiveRequest);
const WIDE = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`column ${index} ${'x'.repeat(900)}`, '"price" + 1']));

describe.each(['memory', 'duckdb'] as const)('%s', (engine) => {
  test.each([
    ['a socket of Perspective', overPerspective, expect.toSatisfy((code: number) => code > 1000)],
    ['the channel of a connection', overRpc, 'slow_consumer'],
  ] as const)('TB14 who never reads %s is cut off, and nobody else notices', async (_where, open, told) => {
    const { tableId } = await owner.table.open({ datasetId, ref: 'main', engine }, { perspective: false });
    const other = await openTableChannel(owner, tableId);
    expect(await rowsOf(other, 'own')).toHaveLength(5);
    const reader = await open(tableId);
    const config = { expressions: WIDE, columns: { columns: { columns: Object.keys(WIDE) } } };
    const made = new Promise((resolve) => reader.socket.once('message', resolve));
    reader.send(bytesOf({ msgId: 2, entityId: tableId, kind: 'table_make_view', body: { view_id: 'v', config } }));
    await made;
    reader.socket.pause();
    let asked = 2;
    const ask = (times: number): void => {
      for (const last = asked + times; asked < last; ) {
        asked += 1;
        reader.send(bytesOf({ msgId: asked, entityId: 'v', kind: 'view_to_columns_string', body: { viewport: null } }));
      }
    };
    ask(400);
    const isCutOff = async (): Promise<boolean> => {
      // They go on asking, since a busy engine may refuse some.
      ask(20);
      return (await owner.table.get({ tableId })).connections === 1;
    };
    await expect.poll(isCutOff).toBe(true);
    reader.socket.resume();
    expect(await reader.told()).toEqual(told);
    expect(await readRows(other, 'own')).toHaveLength(5);
    await reader.close();
    other.close();
  });
});
