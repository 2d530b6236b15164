import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { unpack } from 'msgpackr';
import { FrameReader } from './raw-socket.ts';

/**
 * A load generator that costs far less than what it loads: WebSocket frames made beforehand over bare TCP, answers counted
 * by their headers and not decoded, but for the first ones: what is of no length that these had is no answer, and an end. Every
 * connection keeps `depth` requests under way. Prints the answers per second.
 *
 *   node flood.ts --port P --path PATH --connections N --depth N --seconds N --hello HEX --greetings N --requests HEX,HEX… --answer REGEXP [--text]
 *
 * `hello`, unless empty, is sent first; the requests, of which the first `depth` are used, follow when so many `greetings` have
 * come, and each is answered once, by what matches `answer`. Messages are binary, of msgpack that is matched as JSON, unless
 * `--text` is given.
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    path: { type: 'string', default: '/rpc' },
    greetings: { type: 'string', default: '0' },
    text: { type: 'boolean', default: false },
    connections: { type: 'string' },
    depth: { type: 'string' },
    seconds: { type: 'string' },
    hello: { type: 'string', default: '' },
    requests: { type: 'string' },
    answer: { type: 'string', default: '' },
  },
});

/** A masked message (RFC 6455, section 5.2) of at most 65,535 bytes. */
function clientFrame(payload: Uint8Array): Buffer {
  const mask = randomBytes(4);
  const kind = values.text ? 0x81 : 0x82;
  const head =
    payload.length < 126 ? Buffer.from([kind, 0x80 | payload.length]) : Buffer.from([kind, 0xfe, payload.length >> 8, payload.length & 0xff]);
  const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index & 3] as number)));
  return Buffer.concat([head, mask, masked]);
}

const HEAD_END = '\r\n\r\n';

/** By the length of a message, whether an answer had it; longer ones are none. */
type Lengths = Uint8Array;
const LENGTHS = 65_536;
/** Of greetings, which are not answers. */
const ANY: Lengths = new Uint8Array(LENGTHS).fill(1);

/** Counts the messages in what a server sends, whose frames may be cut anywhere. */
class FrameCounter {
  readonly #known: Lengths;
  #skip = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(known: Lengths) {
    this.#known = known;
  }

  count(data: Buffer): number {
    let frames = 0;
    let at = this.#skip;
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = Buffer.alloc(0);
    while (at + 2 <= bytes.length) {
      const short = (bytes[at + 1] as number) & 0x7f;
      if (short === 126 && at + 4 > bytes.length) break;
      const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
      const end = at + (short === 126 ? 4 : 2) + length;
      if (short === 127 || this.#known[length] === 0) throw new Error(`no answer: ${bytes.toString('latin1', at, end)}`);
      at = end;
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
  socket.on('close', () => {
    if (!isOver) throw new Error('the server closed a connection');
  });
  socket.write(
    `GET ${values.path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  );
  const rest = await behindHead(socket);
  if (hello.length > 0) socket.write(clientFrame(hello));
  const counter = new FrameCounter(ANY);
  for (let greetings = counter.count(rest); greetings < Number(values.greetings); ) greetings += counter.count(await dataOf(socket));
  return socket;
}

async function dataOf(socket: Socket): Promise<Buffer> {
  const [data] = (await once(socket, 'data')) as [Buffer];
  return data;
}

/** What came behind the answer to the handshake. */
async function behindHead(socket: Socket): Promise<Buffer> {
  let data = await dataOf(socket);
  while (!data.includes(HEAD_END)) data = Buffer.concat([data, await dataOf(socket)]);
  return data.subarray(data.indexOf(HEAD_END) + HEAD_END.length);
}

const depth = Number(values.depth);
const requests = (values.requests ?? '').split(',').map((hex) => clientFrame(Buffer.from(hex, 'hex')));
const batch = Buffer.concat(requests.slice(0, depth));
const answer = new RegExp(values.answer);
const lengths: Lengths = new Uint8Array(LENGTHS);
let answers = 0;
let isOver = false;

/** Has all requests answered once, and learns how long answers are. */
async function learn(socket: Socket): Promise<void> {
  const reader = new FrameReader();
  socket.write(batch);
  for (let missing = depth; missing > 0; ) {
    reader.read(await dataOf(socket), (payload) => {
      const said = values.text ? payload.toString() : JSON.stringify(unpack(payload));
      if (!answer.test(said)) throw new Error(`no answer: ${said}`);
      lengths[payload.length] = 1;
      missing -= 1;
    });
  }
}

function drive(socket: Socket): void {
  const counter = new FrameCounter(lengths);
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
await learn(sockets[0] as Socket);
for (const socket of sockets) drive(socket);
const startMs = performance.now();
setTimeout(() => {
  process.stdout.write(`${Math.round((answers * 1000) / (performance.now() - startMs))}\n`);
  isOver = true;
  for (const socket of sockets) socket.destroy();
}, Number(values.seconds) * 1000);
