import { once } from 'node:events';
import { WebSocket } from 'ws';
import { FragmentJoiner } from '../../protocol/fragments.ts';
import { type ClientFrame, decodeServerFrame, encodeFrame, FRAME, type ServerFrame } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';

/** How a socket ended. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A client that sends any frame or bytes and shows every frame that comes, joined but otherwise as it is. */
export class RpcClient {
  readonly socket: WebSocket;
  /** Resolves when the socket is closed. */
  readonly closed: Promise<Closed>;
  /** Every message as it came, fragments included. */
  readonly raw: ServerFrame[] = [];
  readonly #received: ServerFrame[] = [];
  readonly #joiner = new FragmentJoiner(1 << 30);
  readonly #waiting: { readonly wanted: (frame: ServerFrame) => boolean; readonly resolve: (frame: ServerFrame) => void }[] = [];
  #isClosed = false;
  #fail: ((fault: Error) => void)[] = [];

  private constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data: Buffer) => this.#receive(data));
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.#isClosed = true;
        for (const fail of this.#fail) fail(new Error(`the socket was closed: ${code} ${reason}`));
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** Connects without a word. */
  static async connect(port: number): Promise<RpcClient> {
    const client = new RpcClient(`ws://127.0.0.1:${port}/rpc`);
    await once(client.socket, 'open');
    return client;
  }

  /** Connects, says hello and waits for the welcome. */
  static async open(port: number, token: string): Promise<RpcClient> {
    const client = await RpcClient.connect(port);
    client.send([FRAME.hello, PROTOCOL_VERSION, token, 'test']);
    await client.frame((frame) => frame[0] === FRAME.welcome);
    return client;
  }

  send(frame: ClientFrame): void {
    this.socket.send(encodeFrame(frame));
  }

  request(number: number, operation: string, input: unknown = {}, options: { readonly key?: string; readonly body?: boolean } = {}): void {
    this.send([FRAME.request, number, operation, input, options.key ?? null, options.body ?? false]);
  }

  /** The next frame that fits, past or future; each is given once. Rejects when the socket closes before it came. */
  frame(wanted: (frame: ServerFrame) => boolean): Promise<ServerFrame> {
    const index = this.#received.findIndex(wanted);
    if (index >= 0) return Promise.resolve(this.#received.splice(index, 1)[0] as ServerFrame);
    if (this.#isClosed) return Promise.reject(new Error('the socket is closed and the frame never came'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ wanted, resolve });
      this.#fail.push(reject);
    });
  }

  /** The response, error or end of a request. */
  last(number: number): Promise<ServerFrame> {
    return this.frame((frame) => frame[1] === number && (frame[0] === FRAME.response || frame[0] === FRAME.error || frame[0] === FRAME.end));
  }

  /** The code of the error that answers a request, or of the connection's (null). */
  async errorCode(number: number | null): Promise<string> {
    const frame = await this.frame((candidate) => candidate[0] === FRAME.error && candidate[1] === number);
    return frame[0] === FRAME.error ? frame[2].code : 'none';
  }

  /** Frames that came and were not asked for. */
  get received(): readonly ServerFrame[] {
    return this.#received;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.closed;
  }

  #receive(data: Buffer): void {
    const frame = decodeServerFrame(new Uint8Array(data));
    this.raw.push(frame);
    const whole = frame[0] === FRAME.fragment ? this.#joiner.add(frame[1], frame[2], frame[3]) : data;
    if (whole !== undefined) this.#deliver(frame[0] === FRAME.fragment ? decodeServerFrame(whole) : frame);
  }

  #deliver(frame: ServerFrame): void {
    const index = this.#waiting.findIndex(({ wanted }) => wanted(frame));
    if (index < 0) this.#received.push(frame);
    else this.#waiting.splice(index, 1)[0]?.resolve(frame);
  }
}
