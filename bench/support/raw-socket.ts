import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
const [LAST_CONTENT, PING] = [0x2, 0x9];

/** Reads the messages in what a server sends, whose frames (RFC 6455, section 5.2) may be cut anywhere. */
export class FrameReader {
  #rest: Buffer[] = [];
  #have = 0;
  /** Bytes that make the next frame whole, as far as is known. */
  #need = 2;

  read(data: Buffer, onFrame: (payload: Buffer, opcode: number) => void): void {
    this.#rest.push(data);
    this.#have += data.length;
    if (this.#have < this.#need) return;
    const bytes = this.#rest.length === 1 ? data : Buffer.concat(this.#rest);
    let at = 0;
    for (;;) {
      const [head, payload] = measure(bytes, at);
      this.#need = head + payload;
      if (at + head + payload > bytes.length) break;
      onFrame(bytes.subarray(at + head, at + head + payload), (bytes[at] as number) & 0x0f);
      at += head + payload;
    }
    const rest = bytes.subarray(at);
    this.#rest = rest.length === 0 ? [] : [rest];
    this.#have = rest.length;
  }
}

/** Bytes of the head and of the payload of the frame at a place; of the head only, while it is not whole. */
function measure(bytes: Buffer, at: number): readonly [head: number, payload: number] {
  if (at + 2 > bytes.length) return [2, 0];
  const short = (bytes[at + 1] as number) & 0x7f;
  if (short < 126) return [2, short];
  const head = short === 126 ? 4 : 10;
  if (at + head > bytes.length) return [head, 0];
  return [head, short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))];
}

/** A message of a client, under the mask 0, so that it can be made once and sent by many. */
export function clientFrame(payload: Uint8Array, opcode = LAST_CONTENT): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (length >= 65_536) head.writeBigUInt64BE(BigInt(length), 2);
  else if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

/** What comes next; nothing where the connection ends first. */
function nextData(socket: Socket): Promise<Buffer> {
  return new Promise((resolve) => {
    const over = (): void => resolve(Buffer.alloc(0));
    socket.once('close', over);
    socket.once('data', (data: Buffer) => {
      socket.off('close', over);
      resolve(data);
    });
  });
}

/** A WebSocket client that costs far less than the servers that it measures. */
export class RawSocket {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  /** Messages that came; control frames are answered here. */
  onMessage: (payload: Buffer) => void = () => undefined;
  onClose: () => void = () => undefined;
  messages = 0;
  isOver = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('close', () => {
      this.isOver = true;
      this.onClose();
    });
    // What a server that gives this reader up does to the connection is no fault of the bench.
    socket.on('error', () => socket.destroy());
  }

  static async open(port: number, path: string): Promise<RawSocket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const opened = new RawSocket(socket);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
    );
    let head: Buffer = Buffer.alloc(0);
    while (!head.includes(HEAD_END) && !opened.isOver) head = Buffer.concat([head, await nextData(socket)]);
    if (!head.subarray(0, 12).includes('101')) {
      socket.destroy();
      throw new Error(`${path} was refused: ${head.toString('latin1').split('\r\n', 1)[0]}`);
    }
    socket.on('data', (data: Buffer) => opened.#receive(data));
    const rest = head.subarray(head.indexOf(HEAD_END) + HEAD_END.length);
    if (rest.length > 0) socket.unshift(rest);
    return opened;
  }

  send(payload: Uint8Array): void {
    this.#socket.write(clientFrame(payload));
  }

  /** Reads nothing any more: a client that hangs. */
  stall(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What is said because of what came leaves in one write. */
  #receive(data: Buffer): void {
    this.#socket.cork();
    try {
      this.#reader.read(data, (payload, opcode) => this.#take(payload, opcode));
    } finally {
      this.#socket.uncork();
    }
  }

  #take(payload: Buffer, opcode: number): void {
    if (opcode === PING) this.#socket.write(clientFrame(payload, PING + 1));
    if (opcode > LAST_CONTENT) return;
    this.messages += 1;
    this.onMessage(payload);
  }
}
