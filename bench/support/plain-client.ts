import * as Y from 'yjs';
import { backoffMs } from '../../client/backoff.ts';
import { askMessage, readMessage } from '../../client/documents/wire.ts';
import { defaultSettings } from '../../client/settings.ts';
import { DOCUMENT_MESSAGE } from '../../protocol/documents/messages.ts';
import { decodeServerFrame, encodeFrame, FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { presenceMessage } from './document-edits.ts';
import { NOTHING_NEW } from './document-servers.ts';
import { RawSocket } from './raw-socket.ts';

export interface PlainClientOptions {
  readonly port: number;
  readonly token: string;
  readonly subject: string;
  /** The name of the document that it has open. */
  readonly document: string;
  /** What all plain clients of one document have of it: they only read. */
  readonly copy: Y.Doc;
}

const REQUEST = 1;
const { backoffBaseMs, backoffMaxMs } = defaultSettings;

/**
 * One person with one document, at a fraction of the SDK's cost, so that one processor carries thousands: it says what the SDK says,
 * in the same order, leaves and comes back when the SDK would (SPEC.md, SDK11), and asks for what its copy lacks.
 */
export class PlainClient {
  /** Bytes that all of them received. */
  static receivedBytes = 0;
  readonly #options: PlainClientOptions;
  readonly #clientId = Math.floor(Math.random() * 2 ** 32);
  #socket: RawSocket | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isAway = false;
  readonly #synced = Promise.withResolvers<void>();
  #back: PromiseWithResolvers<void> | undefined;

  constructor(options: PlainClientOptions) {
    this.#options = options;
    void this.#connect();
  }

  /** Resolves when it has the document for the first time. */
  whenSynced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Resolves when it has lost the document, from now on, and has it again. */
  whenBack(): Promise<void> {
    this.#back ??= Promise.withResolvers();
    return this.#back.promise;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  async #connect(): Promise<void> {
    const { port, token } = this.#options;
    const socket = await RawSocket.open(port, '/rpc').catch(() => undefined);
    if (this.#isClosed) socket?.close();
    else if (socket === undefined) this.#lost();
    else {
      this.#socket = socket;
      socket.onMessage = (payload) => this.#receive(socket, payload);
      socket.onClose = () => this.#socket === socket && this.#lost();
      socket.send(encodeFrame([FRAME.hello, PROTOCOL_VERSION, token, 'plain']));
    }
  }

  #lost(): void {
    this.#failures += 1;
    this.#leave(backoffMs(this.#failures - 1, backoffBaseMs, backoffMaxMs));
  }

  #leave(delayMs: number): void {
    this.#socket = undefined;
    this.#isAway = true;
    if (!this.#isClosed) this.#timer = setTimeout(() => void this.#connect(), delayMs);
  }

  #receive(socket: RawSocket, payload: Buffer): void {
    PlainClient.receivedBytes += payload.length;
    const frame = decodeServerFrame(payload);
    if (frame[0] === FRAME.welcome) socket.send(encodeFrame([FRAME.request, REQUEST, 'document.connect', this.#input, null, false]));
    else if (frame[0] === FRAME.goodbye) {
      this.#leave(frame[2] + backoffMs(0, backoffBaseMs, backoffMaxMs));
      socket.close();
    } else if (frame[0] === FRAME.response) this.#begin(socket);
    else if (frame[0] === FRAME.channel) this.#hear(socket, frame[2]);
    else if (frame[0] === FRAME.error || frame[0] === FRAME.end) socket.close();
  }

  get #input(): unknown {
    return { name: this.#options.document, receipts: true };
  }

  #begin(socket: RawSocket): void {
    this.#say(socket, askMessage(this.#isAway ? this.#options.copy : NOTHING));
    this.#say(socket, this.#presence());
  }

  #hear(socket: RawSocket, bytes: Uint8Array): void {
    if (bytes[0] !== DOCUMENT_MESSAGE.sync) return;
    const message = readMessage(bytes);
    if (message.kind === 'ask') this.#say(socket, NOTHING_NEW);
    else if (message.kind === 'difference') this.#catchUp(message.update);
  }

  #catchUp(update: Uint8Array): void {
    const { copy } = this.#options;
    // The first one has all of it, which the others get too.
    if (this.#isAway || copy.store.clients.size === 0) Y.applyUpdate(copy, update);
    this.#failures = 0;
    this.#synced.resolve();
    if (this.#isAway) this.#back?.resolve();
    this.#isAway = false;
  }

  #presence(): Uint8Array {
    const { subject } = this.#options;
    return presenceMessage(this.#clientId, 1, { user: { subject, name: subject, color: '#336699' } });
  }

  #say(socket: RawSocket, message: Uint8Array): void {
    socket.send(encodeFrame([FRAME.channel, REQUEST, message]));
  }
}

/** A copy that has nothing. */
const NOTHING = new Y.Doc();
