import { CovistaError, errorFromBody } from '../protocol/errors.ts';
import { type End, type ErrorFrame, FRAME, type Response } from '../protocol/frame.ts';
import { defaultLimits } from '../protocol/limits.ts';
import type { Call } from './call.ts';
import { Connection, type ConnectionState } from './connection.ts';
import { Exchange } from './exchange.ts';
import type { AnswerFrame, Link } from './link.ts';
import type { ClientSettings, TokenSource } from './settings.ts';

interface DispatcherOptions {
  readonly url: URL;
  readonly token: TokenSource;
  readonly name: string;
  readonly settings: ClientSettings;
  readonly onState: (state: ConnectionState) => void;
}

export interface CallLimits {
  readonly signal: AbortSignal | undefined;
  /** Infinite: none. */
  readonly timeoutMs: number;
}

/** A call that is not over, with what must be undone when it is. */
interface Entry {
  readonly call: Call;
  exchange: Exchange | undefined;
  release: () => void;
}

/** Exchanges of one link by number; one whose call is over stays until the server has answered, as it counts for the server. */
interface Exchanges {
  readonly byNumber: Map<number, Exchange>;
  /** How many are channels that were opened; they do not count as requests in flight. */
  channels: number;
}

/** Brings calls to the server and answers back, over as many links as that takes. */
export class Dispatcher {
  readonly #connection: Connection;
  readonly #settings: ClientSettings;
  readonly #entries = new Map<Call, Entry>();
  readonly #exchanges = new Map<Link, Exchanges>();
  /** Calls without an exchange, in the order in which they go out. */
  #waiting = new Set<Entry>();
  #numbers = 0;

  constructor({ settings, onState, ...target }: DispatcherOptions) {
    this.#settings = settings;
    this.#connection = new Connection({
      ...target,
      settings,
      events: {
        opened: (link) => {
          this.#exchanges.set(link, { byNumber: new Map(), channels: 0 });
          this.#sendWaiting();
        },
        answered: (link, frame, bytes) => this.#receive(link, frame, bytes),
        leaving: (link) => this.#leave(link),
        lost: (link, reason) => this.#lost(link, reason),
        closed: (reason) => this.#failAll(reason),
        changed: onState,
      },
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  close(reason: CovistaError): void {
    this.#connection.close(reason);
  }

  /** Sends a call as soon as there is a link with a place for it. Its outcome reaches the call, never this method. */
  submit(call: Call, limits: CallLimits): void {
    const refusal = this.#refusal(limits.signal);
    if (refusal === undefined) this.#accept(call, limits);
    else call.failed(refusal);
  }

  #accept(call: Call, limits: CallLimits): void {
    const entry: Entry = { call, exchange: undefined, release: () => undefined };
    entry.release = this.#limit(entry, limits);
    this.#entries.set(call, entry);
    this.#waiting.add(entry);
    this.#sendWaiting();
  }

  /** Ends a call from this side; the server is told when it has it. */
  cancel(call: Call, error: CovistaError): void {
    const entry = this.#entries.get(call);
    if (entry === undefined) return;
    entry.exchange?.cancel();
    this.#forget(entry);
    call.failed(error);
  }

  #refusal(signal: AbortSignal | undefined): CovistaError | undefined {
    const { state } = this.#connection;
    if (state.kind === 'closed') return state.reason;
    if (signal?.aborted === true) return cancelled(signal);
    if (this.#waiting.size < this.#settings.waitingMax) return undefined;
    return new CovistaError('rate_limited', `${this.#waiting.size} requests already wait to be sent`, { waitingMax: this.#settings.waitingMax });
  }

  #limit({ call }: Entry, { signal, timeoutMs }: CallLimits): () => void {
    const abort = (): void => this.cancel(call, cancelled(signal));
    const expire = (): void => this.cancel(call, new CovistaError('timeout', `${call.operation} was not answered within ${timeoutMs} ms`));
    signal?.addEventListener('abort', abort);
    const timer = Number.isFinite(timeoutMs) ? setTimeout(expire, timeoutMs) : undefined;
    return () => {
      signal?.removeEventListener('abort', abort);
      clearTimeout(timer);
    };
  }

  #sendWaiting(): void {
    for (const entry of this.#waiting) {
      const link = this.#connection.link;
      const exchanges = link && this.#exchanges.get(link);
      // One of the server's places is kept for the probe of the link.
      if (
        link === undefined ||
        exchanges === undefined ||
        exchanges.byNumber.size - exchanges.channels + 1 >= (link.welcomed?.bounds.requestsInFlightMax ?? 0)
      )
        return;
      this.#send(entry, link, exchanges);
    }
  }

  #send(entry: Entry, link: Link, exchanges: Exchanges): void {
    this.#numbers += 1;
    const { call } = entry;
    const exchange = new Exchange({ call, link, number: this.#numbers, bodyFailed: (error) => this.#bodyFailed(entry, exchange, error) });
    this.#waiting.delete(entry);
    entry.exchange = exchange;
    exchanges.byNumber.set(exchange.number, exchange);
    call.sent(exchange);
    try {
      exchange.send();
    } catch (error) {
      // Nothing has left yet: the server does not know of it.
      exchanges.byNumber.delete(exchange.number);
      this.#forget(entry);
      call.failed(error instanceof CovistaError ? error : new CovistaError('invalid_input', 'the input cannot be encoded', {}, error));
    }
  }

  #bodyFailed(entry: Entry, exchange: Exchange, error: CovistaError): void {
    if (entry.exchange === exchange) this.cancel(entry.call, error);
  }

  #receive(link: Link, frame: AnswerFrame, bytes: number): void {
    const exchange = frame[1] === null ? undefined : this.#exchanges.get(link)?.byNumber.get(frame[1]);
    if (exchange === undefined) return;
    if (frame[0] === FRAME.credit) exchange.grant(frame[2]);
    else if (frame[0] === FRAME.progress) this.#liveCall(exchange)?.progressed(frame[2]);
    else if (frame[0] === FRAME.item) this.#liveCall(exchange)?.item(frame[2], bytes);
    else if (frame[0] === FRAME.channel) this.#liveCall(exchange)?.message(frame[2]);
    else if (frame[0] === FRAME.response && exchange.call.isLasting) this.#opened(exchange, frame[2]);
    else this.#conclude(exchange, frame);
  }

  /** The exchange's call, unless it is over or has another exchange by now. */
  #liveCall(exchange: Exchange): Call | undefined {
    return this.#entries.get(exchange.call)?.exchange === exchange ? exchange.call : undefined;
  }

  #opened(exchange: Exchange, opened: unknown): void {
    const exchanges = this.#exchanges.get(exchange.link);
    if (exchanges !== undefined) exchanges.channels += 1;
    exchange.isOpen = true;
    const entry = this.#entries.get(exchange.call);
    // From now on it lasts as long as both sides want.
    entry?.release();
    this.#liveCall(exchange)?.answered(opened);
    this.#sendWaiting();
  }

  /** The last frame of an exchange. */
  #conclude(exchange: Exchange, frame: Response | ErrorFrame | End): void {
    const call = this.#liveCall(exchange);
    exchange.end();
    const exchanges = this.#exchanges.get(exchange.link);
    exchanges?.byNumber.delete(exchange.number);
    if (exchanges !== undefined && exchange.isOpen) exchanges.channels -= 1;
    if (call !== undefined && frame[0] === FRAME.error) this.#refused(call, exchange.link, errorFromBody(frame[2]));
    else if (call !== undefined) {
      this.#forget(this.#entries.get(call));
      if (frame[0] === FRAME.response) call.answered(frame[2]);
      else call.ended();
    }
    this.#finishIdle(exchange.link);
    this.#sendWaiting();
  }

  #refused(call: Call, link: Link, error: CovistaError): void {
    // The server stops: the same request may be carried out by the next one.
    if (error.code === 'draining') this.#connection.leave(link, defaultLimits.reconnectDelayMs, error);
    if (error.code === 'draining' || error.code === 'slow_consumer') this.#again([call], error);
    else {
      this.#forget(this.#entries.get(call));
      call.failed(error);
    }
  }

  #lost(link: Link, reason: CovistaError): void {
    const exchanges = [...(this.#exchanges.get(link)?.byNumber.values() ?? [])];
    this.#exchanges.delete(link);
    for (const exchange of exchanges) exchange.end();
    this.#again(
      exchanges.flatMap((exchange) => this.#liveCall(exchange) ?? []),
      reason,
    );
  }

  /** Streams without an end would keep the link for ever: they go on elsewhere, the others finish here. */
  #leave(link: Link): void {
    const exchanges = [...(this.#exchanges.get(link)?.byNumber.values() ?? [])];
    const moving = exchanges.filter((exchange) => this.#liveCall(exchange)?.movable === true);
    for (const exchange of moving) exchange.cancel();
    this.#again(
      moving.map(({ call }) => call),
      new CovistaError('draining', 'the server is stopping'),
    );
    this.#finishIdle(link);
  }

  /** Puts calls back in front of those that were never sent, except those that cannot be sent twice. */
  #again(calls: readonly Call[], reason: CovistaError): void {
    const again: Entry[] = [];
    for (const call of calls) {
      const entry = this.#entries.get(call);
      if (entry === undefined) continue;
      entry.exchange = undefined;
      if (call.interrupted(reason)) again.push(entry);
      else this.#forget(entry);
    }
    this.#waiting = new Set([...again, ...this.#waiting]);
    this.#sendWaiting();
  }

  #finishIdle(link: Link): void {
    if (this.#exchanges.get(link)?.byNumber.size === 0) this.#connection.finish(link);
  }

  #forget(entry: Entry | undefined): void {
    if (entry === undefined) return;
    entry.release();
    this.#waiting.delete(entry);
    this.#entries.delete(entry.call);
  }

  #failAll(reason: CovistaError): void {
    const entries = [...this.#entries.values()];
    for (const entry of entries) this.#forget(entry);
    for (const { call } of entries) call.failed(reason);
  }
}

function cancelled(signal: AbortSignal | undefined): CovistaError {
  return new CovistaError('cancelled', 'the caller cancelled the request', {}, signal?.reason);
}
