import { CovistaError, ERRORS, errorFromBody } from '../protocol/errors.ts';
import { FragmentJoiner, splitFrame } from '../protocol/fragments.ts';
import {
  type Bounds,
  type ChannelFrame,
  type ClientFrame,
  type Credit,
  decodeServerFrame,
  type End,
  type ErrorFrame,
  encodeFrame,
  FRAME,
  type Item,
  type ProgressFrame,
  type RequestNumber,
  type Response,
  type SessionInfo,
} from '../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../protocol/version.ts';
import type { ClientSettings } from './settings.ts';

export interface Welcomed {
  readonly session: SessionInfo;
  readonly bounds: Bounds;
  readonly connectionId: string;
}

/** Frames that belong to a request, by its number. */
export type AnswerFrame = Response | ErrorFrame | Item | End | ProgressFrame | Credit | ChannelFrame;

export interface LinkEvents {
  welcomed(link: Link): void;
  /** `bytes` is the size of the encoded frame, by which credit is counted. */
  answered(link: Link, frame: AnswerFrame, bytes: number): void;
  refreshed(link: Link, session: SessionInfo): void;
  /** An error of the connection that does not close it. */
  complained(link: Link, error: CovistaError): void;
  goodbye(link: Link, reconnectDelayMs: number): void;
  /** Comes exactly once, and last. */
  closed(link: Link, reason: CovistaError): void;
}

interface LinkOptions {
  readonly url: URL;
  readonly token: string;
  readonly name: string;
  readonly settings: ClientSettings;
  readonly events: LinkEvents;
}

/** Requests of callers are numbered from 1; this one probes whether the server is still there. */
const PROBE: RequestNumber = 0;

/** One WebSocket, from its hello to its end: frames in, frames out. A lost one is replaced, never revived. */
export class Link {
  readonly #socket: WebSocket;
  readonly #options: LinkOptions;
  readonly #joiner: FragmentJoiner;
  readonly #opening: ReturnType<typeof setTimeout>;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #welcomed: Welcomed | undefined;
  #heard = true;
  #probing = false;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#joiner = new FragmentJoiner(options.settings.fragmentsBytesMax);
    const { connectTimeoutMs } = options.settings;
    this.#opening = setTimeout(() => this.close(lost(`the server did not welcome within ${connectTimeoutMs} ms`)), connectTimeoutMs);
    this.#socket = new WebSocket(options.url);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onopen = () => this.#transmit(encodeFrame([FRAME.hello, PROTOCOL_VERSION, options.token, options.name]));
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onerror = () => this.close(lost(`${this.#welcomed ? 'lost the connection' : 'no connection'} to ${options.url.origin}`));
    this.#socket.onclose = (event) => this.close(lost(`the connection was closed (${event.code}${event.reason && `: ${event.reason}`})`));
  }

  /** What the server said at the beginning; undefined before. */
  get welcomed(): Welcomed | undefined {
    return this.#welcomed;
  }

  /**
   * Sends a frame, in fragments where it is large; on a link that is closed it goes nowhere, since `closed` has told so.
   * Throws `payload_too_large` for what the server would not take.
   */
  send(frame: ClientFrame, lane = 0): void {
    const bounds = this.#welcomed?.bounds;
    if (this.#closed || bounds === undefined) return;
    const encoded = encodeFrame(frame);
    if (encoded.length > bounds.requestBytesMax)
      throw new CovistaError('payload_too_large', `a request of ${encoded.length} bytes is larger than the server's ${bounds.requestBytesMax}`, {
        bytes: encoded.length,
        bytesMax: bounds.requestBytesMax,
      });
    for (const piece of splitFrame(encoded, lane, bounds.fragmentBytes)) this.#transmit(piece);
  }

  refresh(token: string): void {
    this.send([FRAME.refresh, token]);
  }

  close(reason: CovistaError): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#opening);
    clearInterval(this.#heartbeat);
    // A socket that is still opening answers close() with an error event; nobody needs that one any more.
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.onerror = () => undefined;
    this.#socket.close();
    this.#options.events.closed(this, reason);
  }

  #transmit(bytes: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes as Uint8Array<ArrayBuffer>);
  }

  #receive(data: unknown): void {
    this.#heard = true;
    try {
      if (!(data instanceof ArrayBuffer)) throw new CovistaError('protocol_error', 'the server sent a text message');
      this.#decode(new Uint8Array(data));
    } catch (cause) {
      this.close(cause instanceof CovistaError ? cause : new CovistaError('internal', 'the client failed at a frame of the server', {}, cause));
    }
  }

  #decode(bytes: Uint8Array): void {
    const frame = decodeServerFrame(bytes);
    if (frame[0] === FRAME.fragment) {
      const whole = this.#joiner.add(frame[1], frame[2], frame[3]);
      if (whole !== undefined) this.#decode(whole);
    } else if (frame[0] === FRAME.welcome) this.#enter({ session: frame[2], bounds: frame[3], connectionId: frame[4] });
    else if (frame[0] === FRAME.goodbye) this.#options.events.goodbye(this, frame[2]);
    else if (frame[0] === FRAME.refreshed) this.#options.events.refreshed(this, frame[1]);
    else if (frame[0] === FRAME.error && frame[1] === null) this.#complain(errorFromBody(frame[2]));
    else if (frame[1] !== PROBE) this.#options.events.answered(this, frame, bytes.length);
  }

  #enter(welcomed: Welcomed): void {
    clearTimeout(this.#opening);
    this.#welcomed = welcomed;
    this.#heartbeat = setInterval(() => this.#beat(), this.#options.settings.heartbeatMs);
    this.#options.events.welcomed(this);
  }

  /** Before the welcome every error ends the link; later only those that say so. */
  #complain(error: CovistaError): void {
    if (this.#welcomed === undefined || ERRORS[error.code].closes) this.close(error);
    else this.#options.events.complained(this, error);
  }

  /** A browser does not show pings, so that only an answer tells a quiet connection from a dead one. */
  #beat(): void {
    const silent = !this.#heard;
    if (silent && this.#probing) {
      this.close(lost('the server is silent'));
      return;
    }
    this.#probing = silent;
    this.#heard = false;
    if (this.#probing) this.send([FRAME.request, PROBE, 'session.whoami', {}, null, false]);
  }
}

function lost(message: string): CovistaError {
  return new CovistaError('unavailable', message, { connectionLost: true });
}
