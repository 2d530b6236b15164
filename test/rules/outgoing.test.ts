import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createRawServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseNetworks } from '../../server/shared/addresses.ts';
import { mayReach, sendOut } from '../../server/shared/outgoing.ts';

const NONE = parseNetworks([]);
const LOOPBACK = parseNetworks(['127.0.0.1', '::1']);
let server: Server;
let port: number;
let asked = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked += 1;
    if (request.url === '/silent') return;
    request.resume().on('end', () => response.writeHead(request.url === '/elsewhere' ? 302 : 204, { location: 'http://127.0.0.1/' }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

async function* body(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('rows');
}

const send = (url: string, allowed = NONE, timeoutMs = 5_000, signal = new AbortController().signal) =>
  sendOut({ url, method: 'POST', headers: { 'content-length': '4' }, body: body(), signal }, { allowed, timeoutMs });

test('SCH9 addresses that are not of the public internet are not reached, however they are written', () => {
  const refused = [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.255.255',
    '192.168.0.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
  ];
  const refused6 = [
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    '::ffff:a00:1',
    '::10.0.0.1',
    '::ffff:0:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
    '2001::1',
    'ff02::1',
  ];
  for (const address of [...refused, ...refused6, 'nonsense']) expect([address, mayReach(address, NONE)]).toEqual([address, false]);
  for (const address of ['1.1.1.1', '8.8.8.8', '2606:4700:4700::1111']) expect([address, mayReach(address, NONE)]).toEqual([address, true]);
  expect(mayReach('10.1.2.3', parseNetworks(['10.1.0.0/16']))).toBe(true);
  expect(mayReach('::ffff:10.1.2.3', parseNetworks(['10.1.0.0/16']))).toBe(true);
});

test('SCH9 a private address, and a name that leads to one, is refused without a connection', async () => {
  const before = asked;
  for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', 'localhost', '2130706433', '0x7f.1', '127.1']) {
    await expect(send(`http://${host}:${port}/`)).rejects.toMatchObject({ code: 'forbidden', message: expect.stringContaining('private address') });
  }
  expect(asked).toBe(before);
  expect(await send(`http://127.0.0.1:${port}/`, LOOPBACK)).toBe(204);
  expect(await send(`http://localhost:${port}/`, LOOPBACK)).toBe(204);
});

test('SCH7 a redirect is an answer and is not followed', async () => {
  const before = asked;
  expect(await send(`http://127.0.0.1:${port}/elsewhere`, LOOPBACK)).toBe(302);
  expect(asked).toBe(before + 1);
});

test('SCH7 who does not answer in time has failed, and who is not there is told apart', async () => {
  await expect(send(`http://127.0.0.1:${port}/silent`, LOOPBACK, 100)).rejects.toMatchObject({ code: 'timeout' });
  const controller = new AbortController();
  const sending = send(`http://127.0.0.1:${port}/silent`, LOOPBACK, 60_000, controller.signal);
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await expect(sending).rejects.toThrow('enough');
  await expect(send('http://127.0.0.1:1/', LOOPBACK)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('ECONNREFUSED'),
  });
});

/** A receiver that says what no HTTP server of Node would; its port. */
async function withReceiver(answer: (socket: Socket) => void, use: (url: string) => Promise<void>): Promise<void> {
  const sockets: Socket[] = [];
  const receiver = createRawServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  try {
    await use(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`);
  } finally {
    for (const socket of sockets) socket.destroy();
    receiver.close();
  }
}

test('SCH7 an answer that changes the protocol ends the delivery, which waits for nothing more', async () => {
  const answer = (socket: Socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n');
  await withReceiver(answer, async (url) => {
    await expect(send(url, LOOPBACK)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

test.each([
  ['a header that never ends', 'HTTP/1.1 200 OK\r\nx-long: ', 'a'],
  ['news that no answer follows', '', 'HTTP/1.1 102 Processing\r\n\r\n'],
])('SCH7 %s is no answer in time', async (_what, first, again) => {
  const answer = (socket: Socket): void => {
    socket.write(first);
    const timer = setInterval(() => socket.write(again), 20);
    socket.on('close', () => clearInterval(timer));
  };
  await withReceiver(answer, async (url) => {
    await expect(send(url, LOOPBACK, 500)).rejects.toMatchObject({ code: 'timeout' });
  });
});
