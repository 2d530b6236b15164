import { CLOSE_CODES, closeCodeOf } from '../../protocol/close-codes.ts';
import { CovistaError, ERRORS, errorBody } from '../../protocol/errors.ts';
import { FragmentJoiner } from '../../protocol/fragments.ts';
import {
  type Body,
  type Cancel,
  type ClientFrame,
  type Credit,
  decodeClientFrame,
  FRAME,
  type Fragment,
  type Hello,
  type Request,
  type SessionInfo,
} from '../../protocol/frame.ts';
import type { Limits } from '../../protocol/limits.ts';
import { SUPPORTED_VERSIONS } from '../../protocol/version.ts';
import type { Actor, Authenticator } from '../gateway/authenticate.ts';
import { Call } from '../gateway/call.ts';
import type { Gateway } from '../gateway/dispatch.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import { Exchange } from './exchange.ts';
import { setLongTimeout } from './long-timeout.ts';
import { Outbox, type SendSocket } from './outbox.ts';

/** The part of a WebSocket that a connection needs. */
export interface ConnectionSocket extends SendSocket {
  end(code: number, reason: string): void;
}

/** What the connections of a server share. */
export interface ConnectionContext {
  readonly gateway: Gateway;
  readonly authenticator: Authenticator;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
  /** Whether the server takes no new work. */
  readonly isDraining: () => boolean;
  /** A connection entered or left the state in which it waits for its hello. */
  readonly onAwaiting: (change: 1 | -1) => void;
}

/**
 * The life of a connection. What is not in this table is a `protocol_error`, which closes.
 *
 *   awaiting        hello            → authenticating
 *   awaiting        deadline passes  → closing (timeout)
 *   authenticating  token accepted   → open, and welcome is sent
 *   authenticating  token refused    → closing (unauthenticated)
 *   authenticating  deadline passes  → closing (timeout)
 *   open            request, body, cancel, credit, refresh, fragment → open
 *   open            goodbye          → closing (normal)
 *   open            token expires    → closing (session_expired)
 *   open            outbox overflows → closing (slow_consumer)
 *   open            server drains    → open; requests are refused (draining), and it closes when none is in flight
 *   any             socket lost      → closing
 *   closing         anything         → ignored
 */
type State =
  | { readonly kind: 'awaiting'; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'authenticating'; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'open'; readonly session: Session }
  | { readonly kind: 'closing' };

interface Session {
  actor: Actor;
  stopExpiry: () => void;
  refreshing: boolean;
  readonly exchanges: Map<number, Exchange>;
  readonly joiner: FragmentJoiner;
}

/** One WebSocket on `/rpc`. */
export class Connection {
  readonly id: string;
  readonly #address: string;
  readonly #socket: ConnectionSocket;
  readonly #context: ConnectionContext;
  readonly #outbox: Outbox;
  #state: State;
  #whenIdle: (() => void) | undefined;

  constructor(options: { readonly id: string; readonly address: string; readonly socket: ConnectionSocket; readonly context: ConnectionContext }) {
    this.id = options.id;
    this.#address = options.address;
    this.#socket = options.socket;
    this.#context = options.context;
    this.#outbox = new Outbox({
      socket: options.socket,
      limits: options.context.limits,
      onOverflow: () => this.close(new CovistaError('slow_consumer', 'the reader fell too far behind')),
    });
    const { helloTimeoutMs } = options.context.limits;
    const deadline = setTimeout(() => this.close(new CovistaError('timeout', `there was no session within ${helloTimeoutMs} ms`)), helloTimeoutMs);
    this.#state = { kind: 'awaiting', deadline };
    options.context.onAwaiting(1);
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

  /** Tells the client to go, now or as soon as its requests are answered. Resolves when none is in flight. */
  drain(reason: string): Promise<void> {
    if (this.#state.kind !== 'open') {
      this.close(new CovistaError('draining', reason));
      return Promise.resolve();
    }
    const delayMs = Math.floor(Math.random() * this.#context.limits.reconnectDelayMs);
    this.#outbox.send([FRAME.goodbye, reason, delayMs], null, 'respond');
    if (this.#state.session.exchanges.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  /** Ends the connection for a reason, which the client is told. */
  close(reason: CovistaError): void {
    if (this.#state.kind === 'closing') return;
    this.#outbox.send([FRAME.error, null, errorBody(reason), this.id], null, 'respond');
    this.#end(closeCodeOf(reason.code), reason);
  }

  #end(code: number, reason: CovistaError): void {
    if (this.#state.kind === 'closing') return;
    this.#outbox.flushNow();
    this.#enterClosing(reason);
    // A close frame has room for 123 bytes; characters take up to three of them.
    this.#socket.end(code, reason.message.slice(0, 40));
  }

  #enterClosing(reason: CovistaError): void {
    const state = this.#state;
    if (state.kind === 'closing') return;
    this.#state = { kind: 'closing' };
    this.#outbox.close();
    if (state.kind === 'open') {
      state.session.stopExpiry();
      for (const exchange of state.session.exchanges.values()) exchange.cancel(reason);
    } else {
      clearTimeout(state.deadline);
      this.#context.onAwaiting(-1);
    }
    this.#whenIdle?.();
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
    if (state.kind === 'open') this.#take(decodeClientFrame(bytes), state.session);
    else if (state.kind === 'awaiting') {
      const { helloBytesMax } = this.#context.limits;
      if (bytes.length > helloBytesMax) throw new CovistaError('payload_too_large', `hello has at most ${helloBytesMax} bytes`);
      const frame = decodeClientFrame(bytes);
      if (frame[0] !== FRAME.hello) throw new CovistaError('protocol_error', 'the first frame must be hello');
      this.#greet(frame, state.deadline);
    } else if (state.kind === 'authenticating') throw new CovistaError('protocol_error', 'nothing may follow hello before welcome');
  }

  #greet([, protocolVersion, token]: Hello, deadline: NodeJS.Timeout): void {
    if (!SUPPORTED_VERSIONS.includes(protocolVersion)) {
      throw new CovistaError('unsupported_version', `this server does not speak protocol version ${protocolVersion}`, {
        supported: SUPPORTED_VERSIONS,
      });
    }
    if (this.#context.isDraining()) throw new CovistaError('draining', 'the server is stopping');
    this.#state = { kind: 'authenticating', deadline };
    this.#context.authenticator.authenticate(token).then(
      (actor) => this.#welcome(actor, protocolVersion),
      (fault: unknown) => this.#abort(fault),
    );
  }

  #welcome(actor: Actor, protocolVersion: number): void {
    if (this.#state.kind !== 'authenticating') return;
    clearTimeout(this.#state.deadline);
    this.#context.onAwaiting(-1);
    const { limits } = this.#context;
    const session: Session = {
      actor,
      stopExpiry: this.#startExpiry(actor),
      refreshing: false,
      exchanges: new Map(),
      joiner: new FragmentJoiner(limits.requestBytesMax),
    };
    this.#state = { kind: 'open', session };
    const { frameBytesMax, requestBytesMax, fragmentBytes, requestsInFlightMax, streamCreditBytes, uploadChunkBytesMax } = limits;
    const bounds = { frameBytesMax, requestBytesMax, fragmentBytes, requestsInFlightMax, streamCreditBytes, uploadChunkBytesMax };
    this.#outbox.send([FRAME.welcome, protocolVersion, sessionInfo(actor), bounds, this.id], null, 'respond');
  }

  #startExpiry(actor: Actor): () => void {
    const endsAtMs = this.#context.authenticator.holdsUntilMs(actor);
    if (endsAtMs === null) return () => undefined;
    return setLongTimeout(() => this.close(new CovistaError('session_expired', 'the token has expired')), endsAtMs - this.#context.clock.now());
  }

  #take(frame: ClientFrame, session: Session): void {
    if (frame[0] === FRAME.request) this.#start(frame, session);
    else if (frame[0] === FRAME.refresh) this.#refresh(frame[1], session);
    else if (frame[0] === FRAME.fragment) this.#join(frame, session);
    else if (frame[0] === FRAME.goodbye) this.#end(CLOSE_CODES.normal, new CovistaError('cancelled', 'the client said goodbye'));
    else if (frame[0] === FRAME.hello) throw new CovistaError('protocol_error', 'hello may be said once only');
    else this.#forward(frame, session);
  }

  /** Frames that belong to a request. One that has ended may still be sent what was under way, which is dropped. What is kept is copied out of the engine's buffer. */
  #forward(frame: Body | Cancel | Credit, session: Session): void {
    const exchange = session.exchanges.get(frame[1]);
    if (frame[0] === FRAME.body) exchange?.receiveBody(new Uint8Array(frame[2]), frame[3]);
    else if (frame[0] === FRAME.credit) exchange?.grant(frame[2]);
    else exchange?.cancel(new CovistaError('cancelled', 'the caller cancelled the request'));
  }

  #join([, lane, bytes, more]: Fragment, session: Session): void {
    const whole = session.joiner.add(lane, new Uint8Array(bytes), more);
    if (whole === undefined) return;
    const frame = decodeClientFrame(whole);
    if (frame[0] === FRAME.fragment) throw new CovistaError('protocol_error', 'a fragment may not hold a fragment');
    this.#take(frame, session);
  }

  #start(request: Request, session: Session): void {
    const number = request[1];
    const { limits, gateway } = this.#context;
    if (session.exchanges.has(number)) throw new CovistaError('protocol_error', `request number ${number} is in flight already`);
    const refusal = this.#refusal(session);
    if (refusal !== undefined) {
      this.#outbox.send([FRAME.error, number, errorBody(refusal), this.id], number, 'respond');
      return;
    }
    const call = new Call({
      operation: request[2],
      input: request[3],
      actor: session.actor,
      address: this.#address,
      idempotencyKey: request[4],
      body: undefined,
    });
    let exchange: Exchange | undefined;
    if (request[5]) {
      exchange = new Exchange({ number, call, outbox: this.#outbox, limits });
      exchange.openBody();
    }
    const outcome = gateway.dispatch(call);
    if (exchange === undefined && !(outcome instanceof Promise) && outcome.kind === 'value') {
      this.#outbox.send([FRAME.response, number, outcome.value], number, 'respond');
      return;
    }
    exchange ??= new Exchange({ number, call, outbox: this.#outbox, limits });
    session.exchanges.set(number, exchange);
    exchange.answer(outcome).then(
      () => this.#finished(number, session),
      (fault: unknown) => this.#abort(fault),
    );
  }

  #refusal(session: Session): CovistaError | undefined {
    const { requestsInFlightMax } = this.#context.limits;
    if (this.#context.isDraining()) return new CovistaError('draining', 'the server is stopping');
    if (session.exchanges.size < requestsInFlightMax) return undefined;
    return new CovistaError('rate_limited', `at most ${requestsInFlightMax} requests of a connection may be in flight`, { requestsInFlightMax });
  }

  #finished(number: number, session: Session): void {
    session.exchanges.delete(number);
    if (session.exchanges.size === 0) this.#whenIdle?.();
  }

  #refresh(token: string, session: Session): void {
    if (session.refreshing) throw new CovistaError('protocol_error', 'a refresh is under way already');
    session.refreshing = true;
    this.#context.authenticator.authenticate(token).then(
      (actor) => this.#refreshed(actor, session),
      (fault: unknown) => this.#refreshFailed(fault, session),
    );
  }

  #refreshed(actor: Actor, session: Session): void {
    if (this.#state.kind !== 'open') return;
    if (actor.subject !== session.actor.subject) {
      this.#refreshFailed(new CovistaError('forbidden', 'a refresh may not change who the session belongs to'), session);
      return;
    }
    session.refreshing = false;
    session.stopExpiry();
    session.actor = actor;
    session.stopExpiry = this.#startExpiry(actor);
    this.#outbox.send([FRAME.refreshed, sessionInfo(actor)], null, 'respond');
  }

  /** The session goes on with the token that it has. */
  #refreshFailed(fault: unknown, session: Session): void {
    session.refreshing = false;
    if (!(fault instanceof CovistaError) || ERRORS[fault.code].closes) this.#abort(fault);
    else this.#outbox.send([FRAME.error, null, errorBody(fault), this.id], null, 'respond');
  }
}

function sessionInfo(actor: Actor): SessionInfo {
  return { subject: actor.subject, expiresAt: actor.expiresAtMs === null ? null : new Date(actor.expiresAtMs).toISOString() };
}
