import { CovistaError, ERRORS, errorBody } from '../../protocol/errors.ts';
import { FragmentJoiner } from '../../protocol/fragments.ts';
import {
  type Body,
  type Cancel,
  type ChannelFrame,
  type ClientFrame,
  type Credit,
  decodeClientFrame,
  FRAME,
  type Fragment,
  type Request,
  type SessionInfo,
} from '../../protocol/frame.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Actor, Authenticator } from '../gateway/authenticate.ts';
import { Call } from '../gateway/call.ts';
import { AUTHENTICATE } from '../gateway/call-audit.ts';
import type { Gateway } from '../gateway/dispatch.ts';
import { isDrainExempt } from '../gateway/drain-exempt.ts';
import { setLongTimeout } from '../shared/long-timeout.ts';
import { Exchange } from './exchange.ts';
import type { Outbox } from './outbox.ts';

/** What sessions need of the server. */
export interface SessionContext {
  readonly gateway: Gateway;
  readonly authenticator: Authenticator;
  readonly limits: Limits;
  /** Whether the server takes no new work. */
  readonly isDraining: () => boolean;
}

export interface SessionOptions {
  readonly actor: Actor;
  readonly connectionId: string;
  readonly address: string;
  readonly outbox: Outbox;
  readonly context: SessionContext;
  /** Ends the connection because of a fault; whatever is no CovistaError is one of the server. */
  readonly abort: (fault: unknown) => void;
  /** The client said goodbye. */
  readonly leave: () => void;
}

/** What an authenticated connection does: requests and what belongs to them, and the token that it lives on. */
export class Session {
  readonly #options: SessionOptions;
  readonly #exchanges = new Map<number, Exchange>();
  readonly #joiner: FragmentJoiner;
  #actor: Actor;
  #stopExpiry: () => void;
  #stopWatching: () => void;
  #channels = 0;
  #isRefreshing = false;
  #isOver = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#actor = options.actor;
    this.#joiner = new FragmentJoiner(options.context.limits.requestBytesMax);
    this.#stopExpiry = this.#startExpiry();
    this.#stopWatching = this.#watch();
  }

  get isAdmin(): boolean {
    return this.#actor.serverAdmin;
  }

  get subject(): string {
    return this.#actor.subject;
  }

  get info(): SessionInfo {
    const { subject, expiresAtMs } = this.#actor;
    return { subject, expiresAt: expiresAtMs === null ? null : new Date(expiresAtMs).toISOString() };
  }

  /** Takes a frame of the client; throws what ends the connection. */
  take(frame: ClientFrame): void {
    if (frame[0] === FRAME.request) this.#start(frame);
    else if (frame[0] === FRAME.refresh) this.#refresh(frame[1]);
    else if (frame[0] === FRAME.fragment) this.#join(frame);
    else if (frame[0] === FRAME.goodbye) this.#options.leave();
    else if (frame[0] === FRAME.hello) throw new CovistaError('protocol_error', 'hello may be said once only');
    else this.#forward(frame);
  }

  /** Ends what would go on for good; resolves when no request is in flight. */
  drain(reason: CovistaError): Promise<void> {
    for (const exchange of this.#exchanges.values()) exchange.drain(reason);
    if (this.#exchanges.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  /** The connection is over: what is in flight is cancelled. */
  end(reason: CovistaError): void {
    this.#isOver = true;
    this.#stopExpiry();
    this.#stopWatching();
    for (const exchange of this.#exchanges.values()) exchange.cancel(reason);
  }

  /** Frames that belong to a request. One that has ended may still be sent what was under way, which is dropped. */
  #forward(frame: Body | Cancel | Credit | ChannelFrame): void {
    const exchange = this.#exchanges.get(frame[1]);
    if (frame[0] === FRAME.body) exchange?.receiveBody(frame[2], frame[3]);
    else if (frame[0] === FRAME.credit) exchange?.grant(frame[2]);
    else if (frame[0] === FRAME.channel) exchange?.receiveMessage(frame[2]);
    else exchange?.cancel(new CovistaError('cancelled', 'the caller cancelled the request'));
  }

  #join([, lane, bytes, more]: Fragment): void {
    const whole = this.#joiner.add(lane, bytes, more);
    if (whole === undefined) return;
    const frame = decodeClientFrame(whole);
    if (frame[0] === FRAME.fragment) throw new CovistaError('protocol_error', 'a fragment may not hold a fragment');
    this.take(frame);
  }

  #start(request: Request): void {
    const number = request[1];
    if (this.#exchanges.has(number)) throw new CovistaError('protocol_error', `request number ${number} is in flight already`);
    const refusal = this.#refusal(request[2]);
    if (refusal === undefined) {
      this.#dispatch(request);
      return;
    }
    if (refusal.code === 'rate_limited') this.#note(refusal, request[2]);
    this.#options.outbox.send([FRAME.error, number, errorBody(refusal), this.#options.connectionId], number, 'respond');
  }

  /** For the audit. */
  #note(refusal: CovistaError, operation: string): void {
    const { address, context } = this.#options;
    context.gateway.refused(refusal, { operation, address, subject: this.subject });
  }

  #refusal(operation: string): CovistaError | undefined {
    const { isDraining, limits } = this.#options.context;
    if (isDraining() && !isDrainExempt(operation)) return new CovistaError('draining', 'the server takes no new work now');
    const { requestsInFlightMax } = limits;
    if (this.#exchanges.size - this.#channels < requestsInFlightMax) return undefined;
    return new CovistaError('rate_limited', `at most ${requestsInFlightMax} requests of a connection may be in flight`, { requestsInFlightMax });
  }

  #dispatch(request: Request): void {
    const { address, context } = this.#options;
    const number = request[1];
    const call = new Call({
      operation: request[2],
      input: request[3],
      actor: this.#actor,
      address,
      connection: this,
      idempotencyKey: request[4],
      body: undefined,
    });
    const receiver = request[5] ? this.#newExchange(number, call) : undefined;
    receiver?.openBody();
    const outcome = context.gateway.dispatch(call);
    if (receiver === undefined && !(outcome instanceof Promise) && outcome.kind === 'value') {
      // What is answered at once, as most small requests are, needs no bookkeeping.
      this.#respond(call, number, outcome.value);
      return;
    }
    const exchange = receiver ?? this.#newExchange(number, call);
    this.#exchanges.set(number, exchange);
    exchange.answer(outcome).then(
      () => this.#finished(number),
      (fault: unknown) => this.#options.abort(fault),
    );
  }

  #respond(call: Call, number: number, value: unknown): void {
    const { outbox, context } = this.#options;
    try {
      outbox.send([FRAME.response, number, value], number, 'respond');
    } catch (fault) {
      const error = context.gateway.explain(call, fault);
      outbox.send([FRAME.error, number, errorBody(error), call.requestId], number, 'respond');
    }
  }

  #newExchange(number: number, call: Call): Exchange {
    const { outbox, context } = this.#options;
    const onChannel = (change: 1 | -1): CovistaError | undefined => this.#countChannel(change);
    return new Exchange({ number, call, outbox, gateway: context.gateway, limits: context.limits, onChannel });
  }

  /** Channels are no requests in flight: they have a bound of their own. */
  #countChannel(change: 1 | -1): CovistaError | undefined {
    const { channelsMax } = this.#options.context.limits;
    if (change === 1 && this.#channels >= channelsMax) {
      return new CovistaError('rate_limited', `at most ${channelsMax} channels of a connection may be open`, { channelsMax });
    }
    this.#channels += change;
    return undefined;
  }

  #finished(number: number): void {
    this.#exchanges.delete(number);
    if (this.#exchanges.size > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #refresh(token: string): void {
    if (this.#isRefreshing) throw new CovistaError('protocol_error', 'a refresh is under way already');
    this.#isRefreshing = true;
    this.#options.context.authenticator.admit(token, this.#options.address).then(
      (actor) => this.#refreshed(actor),
      (fault: unknown) => this.#refreshFailed(fault),
    );
  }

  #refreshed(actor: Actor): void {
    if (this.#isOver) return;
    if (actor.subject !== this.#actor.subject) {
      const refusal = new CovistaError('forbidden', 'a refresh may not change who the session belongs to');
      this.#note(refusal, AUTHENTICATE);
      this.#refreshFailed(refusal);
      return;
    }
    this.#isRefreshing = false;
    this.#actor = actor;
    for (const exchange of this.#exchanges.values()) exchange.renew(actor);
    this.#stopExpiry();
    this.#stopWatching();
    this.#stopExpiry = this.#startExpiry();
    this.#stopWatching = this.#watch();
    this.#options.outbox.send([FRAME.refreshed, this.info], null, 'respond');
  }

  /** The session goes on with the token that it has. */
  #refreshFailed(fault: unknown): void {
    this.#isRefreshing = false;
    const { abort, outbox, connectionId } = this.#options;
    if (!(fault instanceof CovistaError) || ERRORS[fault.code].closes) abort(fault);
    else outbox.send([FRAME.error, null, errorBody(fault), connectionId], null, 'respond');
  }

  /** A token that is revoked ends the session that lives on it. */
  #watch(): () => void {
    return this.#options.context.authenticator.watch(this.#actor, (reason) => {
      this.#note(reason, AUTHENTICATE);
      this.#options.abort(reason);
    });
  }

  #startExpiry(): () => void {
    const remainingMs = this.#options.context.authenticator.remainingMs(this.#actor);
    if (remainingMs === null) return () => undefined;
    return setLongTimeout(() => this.#options.abort(new CovistaError('session_expired', 'the token has expired')), remainingMs);
  }
}
