import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';

/**
 * A load generator that costs far less than what it loads: WebSocket frames made beforehand over bare TCP, answers counted
 * by their headers and not decoded. Every connection keeps `depth` requests under way. Prints the answers per second.
 *
 *   node flood.ts --port P --connections N --depth N --seconds N --hello HEX --requests HEX,HEX…
 *
 * `hello`, unless empty, is sent first and answered once; so is each of the requests, of which the first `depth` are sent.
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    connections: { type: 'string' },
    depth: { type: 'string' },
    seconds: { type: 'string' },
    hello: { type: 'string', default: '' },
    requests: { type: 'string' },
  },
});

/** A masked binary message (RFC 6455, section 5.2) of at most 65,535 bytes. */
function clientFrame(payload: Uint8Array): Buffer {
  const mask = randomBytes(4);
  const head =
    payload.length < 126 ? Buffer.from([0x82, 0x80 | payload.length]) : Buffer.from([0x82, 0xfe, payload.length >> 8, payload.length & 0xff]);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index & 3] as number)));
  return Buffer.concat([head, mask, masked]);
}

/** Counts the messages in what a server sends, whose frames may be cut anywhere. */
class FrameCounter {
  #skip = 0;
  #rest: Buffer = Buffer.alloc(0);

  count(data: Buffer): number {
    let frames = 0;
    let at = this.#skip;
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = Buffer.alloc(0);
    while (at + 2 <= bytes.length) {
      const short = (bytes[at + 1] as number) & 0x7f;
      if (short === 126 && at + 4 > bytes.length) break;
      at += short === 126 ? 4 + bytes.readUInt16BE(at + 2) : 2 + short;
      frames += 1;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
    this.#skip = Math.max(0, at - bytes.length);
    return frames;
  }
}

async function open(port: number, hello: Uint8Array): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  socket.write(
    'GET /rpc HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  await once(socket, 'data');
  if (hello.length > 0) {
    socket.write(clientFrame(hello));
    await once(socket, 'data');
  }
  return socket;
}

const depth = Number(values.depth);
const requests = (values.requests ?? '').split(',').map((hex) => clientFrame(Buffer.from(hex, 'hex')));
const batch = Buffer.concat(requests.slice(0, depth));
let answers = 0;

function drive(socket: Socket): void {
  const counter = new FrameCounter();
  let missing = depth;
  socket.on('data', (data: Buffer) => {
    const frames = counter.count(data);
    answers += frames;
    missing -= frames;
    if (missing > 0) return;
    missing = depth;
    socket.write(batch);
  });
  socket.write(batch);
}

const sockets = await Promise.all(
  Array.from({ length: Number(values.connections) }, () => open(Number(values.port), Buffer.from(values.hello, 'hex'))),
);
for (const socket of sockets) drive(socket);
const startMs = performance.now();
setTimeout(() => {
  process.stdout.write(`${Math.round((answers * 1000) / (performance.now() - startMs))}\n`);
  for (const socket of sockets) socket.destroy();
}, Number(values.seconds) * 1000);
