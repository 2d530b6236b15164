import { CLOSE_CODES, closeCodeOf } from '../../protocol/close-codes.ts';
import { CovistaError, errorBody } from '../../protocol/errors.ts';
import { decodeClientFrame, FRAME, type Hello } from '../../protocol/frame.ts';
import { SUPPORTED_VERSIONS } from '../../protocol/version.ts';
import type { Actor } from '../gateway/authenticate.ts';
import type { Logger } from '../shared/log.ts';
import { closeReason } from './close-reason.ts';
import { type Counts, enterSession } from './counts.ts';
import { Outbox, type SendSocket } from './outbox.ts';
import { Session, type SessionContext } from './session.ts';

export type DoorKind = 'rpc' | 'perspective' | 'documents';

/** One WebSocket, as the engine sees it. */
export interface Door {
  /** Which kind of socket it is, for those who watch the server. */
  readonly kind: DoorKind;
  /** Bytes that wait to be sent, those that the engine holds included. */
  readonly queuedBytes: number;
  /** Whether it is a session of a server admin, which maintenance leaves alone. */
  readonly isAdmin: boolean;
  /** A message came; its bytes are valid during this call only. */
  receive(message: ArrayBuffer, isBinary: boolean): void;
  /** The socket took what it held back. */
  drained(): void;
  /** The socket is gone, whoever closed it. */
  closed(): void;
  /** Tells the client to reconnect elsewhere; resolves when nothing is in flight. */
  drain(reason: string): Promise<void>;
  /** Ends the connection for a reason, which the client is told. */
  close(reason: CovistaError): void;
}

/** The part of a WebSocket that a connection needs. */
export interface ConnectionSocket extends SendSocket {
  end(code: number, reason: string): void;
}

/** What the connections of a server share. */
export interface ConnectionContext extends SessionContext {
  readonly log: Logger;
  /** A connection entered or left the time before its session. */
  readonly onAwaiting: (change: 1 | -1) => void;
  /** Sessions of each subject. */
  readonly sessions: Counts;
}

/**
 * The life of a connection. What is not in this table is a `protocol_error`, which closes.
 *
 *   awaiting        hello                  → authenticating
 *   awaiting        deadline               → closing (timeout)
 *   authenticating  token accepted         → open, and welcome is sent
 *   authenticating  token refused          → closing (unauthenticated)
 *   authenticating  server drains          → closing (draining), unless it is a server admin
 *   authenticating  deadline               → closing (timeout)
 *   open            request, body, cancel, credit, channel, refresh, fragment → open
 *   open            goodbye                → closing (normal)
 *   open            token expires          → closing (session_expired)
 *   open            server drains          → open; requests are refused (draining), and it closes when none is in flight
 *   any             protocol_error         → closing
 *   any             outbox overflows       → closing (slow_consumer)
 *   any             socket lost            → closing
 *   closing         anything               → closing
 */
type State =
  | { readonly kind: 'awaiting'; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'authenticating'; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'open'; readonly session: Session }
  | { readonly kind: 'closing' };

/** One WebSocket on `/rpc`. */
export class Connection implements Door {
  readonly kind = 'rpc';
  readonly id: string;
  readonly #address: string;
  readonly #socket: ConnectionSocket;
  readonly #context: ConnectionContext;
  readonly #outbox: Outbox;
  #state: State;

  constructor(options: { readonly id: string; readonly address: string; readonly socket: ConnectionSocket; readonly context: ConnectionContext }) {
    const { id, address, socket, context } = options;
    this.id = id;
    this.#address = address;
    this.#socket = socket;
    this.#context = context;
    const onOverflow = (): void => this.close(new CovistaError('slow_consumer', 'the reader fell too far behind'));
    this.#outbox = new Outbox({ socket, limits: context.limits, onOverflow });
    const { helloTimeoutMs } = context.limits;
    const deadline = setTimeout(() => this.close(new CovistaError('timeout', `there was no session within ${helloTimeoutMs} ms`)), helloTimeoutMs);
    this.#state = { kind: 'awaiting', deadline };
    context.onAwaiting(1);
  }

  get isAdmin(): boolean {
    return this.#state.kind === 'open' && this.#state.session.isAdmin;
  }

  get queuedBytes(): number {
    return this.#outbox.queuedBytes + (this.#state.kind === 'closing' ? 0 : this.#socket.getBufferedAmount());
  }

  /** A message came; its bytes are valid during this call only. */
  receive(message: ArrayBuffer, isBinary: boolean): void {
    this.#outbox.isGathered = true;
    try {
      if (!isBinary) throw new CovistaError('protocol_error', 'frames are binary messages');
      this.#accept(new Uint8Array(message));
    } catch (fault) {
      this.#abort(fault);
    } finally {
      this.#outbox.isGathered = false;
    }
  }

  /** The socket took what it held back. */
  drained(): void {
    this.#outbox.drained();
  }

  /** The socket is gone, whoever closed it. */
  closed(): void {
    this.#enterClosing(new CovistaError('cancelled', 'the connection was lost'));
  }

  /** Tells the client to reconnect elsewhere; resolves when none of its requests is in flight. */
  drain(reason: string): Promise<void> {
    if (this.#state.kind !== 'open') return Promise.resolve();
    const delayMs = Math.floor(Math.random() * this.#context.limits.reconnectDelayMs);
    this.#outbox.send([FRAME.goodbye, reason, delayMs], null, 'respond');
    return this.#state.session.drain(new CovistaError('draining', reason));
  }

  /** Ends the connection for a reason, which the client is told. */
  close(reason: CovistaError): void {
    if (this.#state.kind === 'closing') return;
    this.#outbox.send([FRAME.error, null, errorBody(reason), this.id], null, 'respond');
    this.#end(closeCodeOf(reason.code), reason);
  }

  #end(code: number, reason: CovistaError): void {
    // Sending the reason may itself have overflowed the outbox and ended the connection.
    if (this.#state.kind === 'closing') return;
    this.#outbox.flushNow();
    this.#enterClosing(reason);
    this.#socket.end(code, closeReason(reason.message));
  }

  #enterClosing(reason: CovistaError): void {
    const state = this.#state;
    if (state.kind === 'closing') return;
    this.#state = { kind: 'closing' };
    this.#outbox.close();
    if (state.kind === 'open') {
      this.#context.sessions.leave(state.session.subject);
      state.session.end(reason);
    } else this.#stopAwaiting(state.deadline);
    const { log } = this.#context;
    if (log.isLevelEnabled('debug')) log.debug({ connectionId: this.id, code: reason.code, reason: reason.message }, 'a connection ended');
  }

  #abort(fault: unknown): void {
    if (fault instanceof CovistaError) {
      this.close(fault);
      return;
    }
    this.#context.log.error({ err: fault, connectionId: this.id }, 'a connection met a fault');
    this.close(new CovistaError('internal', `the server met a fault; its log has it as ${this.id}`));
  }

  #accept(bytes: Uint8Array): void {
    const state = this.#state;
    if (state.kind === 'open') state.session.take(decodeClientFrame(bytes));
    else if (state.kind === 'awaiting') this.#greet(this.#readHello(bytes), state.deadline);
    else if (state.kind === 'authenticating') throw new CovistaError('protocol_error', 'nothing may follow hello before welcome');
  }

  #readHello(bytes: Uint8Array): Hello {
    const { helloBytesMax } = this.#context.limits;
    if (bytes.length > helloBytesMax) throw new CovistaError('payload_too_large', `hello has at most ${helloBytesMax} bytes`);
    const frame = decodeClientFrame(bytes);
    if (frame[0] !== FRAME.hello) throw new CovistaError('protocol_error', 'the first frame must be hello');
    return frame;
  }

  #greet([, protocolVersion, token]: Hello, deadline: NodeJS.Timeout): void {
    if (!SUPPORTED_VERSIONS.includes(protocolVersion)) {
      throw new CovistaError('unsupported_version', `this server does not speak protocol version ${protocolVersion}`, {
        supported: SUPPORTED_VERSIONS,
      });
    }
    this.#state = { kind: 'authenticating', deadline };
    this.#context.authenticator.admit(token, this.#address).then(
      (actor) => this.#welcome(actor, protocolVersion),
      (fault: unknown) => this.#abort(fault),
    );
  }

  #welcome(actor: Actor, protocolVersion: number): void {
    if (this.#state.kind !== 'authenticating') return;
    try {
      if (this.#context.isDraining() && !actor.serverAdmin) throw new CovistaError('draining', 'the server takes no new work now');
      enterSession(this.#context, { subject: actor.subject, address: this.#address });
    } catch (fault) {
      this.#abort(fault);
      return;
    }
    this.#stopAwaiting(this.#state.deadline);
    const session = new Session({
      actor,
      connectionId: this.id,
      address: this.#address,
      outbox: this.#outbox,
      context: this.#context,
      abort: (fault) => this.#abort(fault),
      leave: () => this.#end(CLOSE_CODES.normal, new CovistaError('cancelled', 'the client said goodbye')),
    });
    this.#state = { kind: 'open', session };
    const { frameBytesMax, requestBytesMax, fragmentBytes, requestsInFlightMax, channelsMax, streamCreditBytes, uploadChunkBytesMax } =
      this.#context.limits;
    const bounds = { frameBytesMax, requestBytesMax, fragmentBytes, requestsInFlightMax, channelsMax, streamCreditBytes, uploadChunkBytesMax };
    this.#outbox.send([FRAME.welcome, protocolVersion, session.info, bounds, this.id], null, 'respond');
  }

  #stopAwaiting(deadline: NodeJS.Timeout): void {
    clearTimeout(deadline);
    this.#context.onAwaiting(-1);
  }
}
