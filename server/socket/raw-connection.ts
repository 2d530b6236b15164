import { CLOSE_CODES, closeCodeOf } from '../../protocol/close-codes.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { Actor } from '../gateway/authenticate.ts';
import { Call } from '../gateway/call.ts';
import { AUTHENTICATE } from '../gateway/call-audit.ts';
import type { Outcome } from '../gateway/dispatch.ts';
import { setLongTimeout } from '../shared/long-timeout.ts';
import { closeReason } from './close-reason.ts';
import type { ConnectionContext, ConnectionSocket, Door, DoorKind } from './connection.ts';
import { Conversation, type Way } from './conversation.ts';
import { enterSession } from './counts.ts';

/** What a socket asks for by its address: the channel operation that it carries, and for whom. */
export interface RawTarget {
  readonly operation: string;
  readonly input: unknown;
  readonly token: string;
}

interface RawOptions {
  readonly id: string;
  readonly address: string;
  readonly target: RawTarget;
  readonly socket: ConnectionSocket;
  readonly context: ConnectionContext;
}

/**
 * The life of a raw connection. Until the channel is open, messages wait: `helloBytesMax` until the
 * token is accepted, and then as much as one message may have, since loading what the channel is about may take seconds.
 *
 *   opening   token and channel accepted   → open, and what waits is delivered
 *   opening   refused                      → closed
 *   open      message                      → open
 *   open      channel ends, token expires or is revoked, server drains → closed
 *   any       socket lost                  → closed
 */
type State =
  | { readonly kind: 'opening'; readonly waiting: Uint8Array[] }
  | { readonly kind: 'open'; readonly conversation: Conversation; readonly release: () => void }
  | { readonly kind: 'closed' };

/** What the engine answers when it has sent everything at once. */
const SENT = 1;

/** One WebSocket that carries a single channel, each message being one of the channel's. */
export class RawConnection implements Door, Way {
  readonly kind: DoorKind;
  /** Nothing that a server admin needs in maintenance goes over such a socket. */
  readonly isAdmin = false;
  readonly #options: RawOptions;
  #state: State;
  #waitingBytes = 0;
  /** Whether the engine kept something back when it last took a message: asking it each time costs as much as all else about sending. */
  #isBehind = false;
  #call: Call | undefined;

  constructor(options: RawOptions) {
    this.#options = options;
    this.kind = options.target.operation.startsWith('document.') ? 'documents' : 'perspective';
    const { authenticator, onAwaiting } = options.context;
    this.#state = { kind: 'opening', waiting: [] };
    onAwaiting(1);
    authenticator.admit(options.target.token, options.address).then((actor) => this.#ask(actor), this.#fail);
  }

  get queuedBytes(): number {
    return this.#isBehind && this.#state.kind !== 'closed' ? this.#options.socket.getBufferedAmount() : 0;
  }

  send(bytes: Uint8Array): boolean {
    if (this.#state.kind === 'closed') return true;
    if (this.queuedBytes > this.#options.context.limits.channelOutboxBytesMax) return false;
    this.#isBehind = this.#options.socket.send(bytes, true) !== SENT;
    return true;
  }

  /** What the engine has taken cannot be taken back; it goes with the socket. */
  drop(): void {}

  receive(message: ArrayBuffer, isBinary: boolean): void {
    const state = this.#state;
    if (!isBinary) this.close(new CovistaError('protocol_error', 'messages are binary'));
    else if (state.kind === 'open') state.conversation.receive(new Uint8Array(message.slice(0)));
    else if (state.kind === 'opening') this.#keep(state.waiting, new Uint8Array(message.slice(0)));
  }

  /** The engine keeps what waits for the reader. */
  drained(): void {
    if (this.#state.kind !== 'closed') this.#isBehind = this.#options.socket.getBufferedAmount() > 0;
  }

  closed(): void {
    this.#leave(new CovistaError('cancelled', 'the connection was lost'));
  }

  async drain(reason: string): Promise<void> {
    this.close(new CovistaError('draining', reason));
  }

  close(reason: CovistaError): void {
    if (this.#state.kind === 'closed') return;
    this.#leave(reason);
    this.#options.socket.end(closeCodeOf(reason.code), closeReason(reason.message));
  }

  #keep(waiting: Uint8Array[], bytes: Uint8Array): void {
    const { helloBytesMax, requestBytesMax } = this.#options.context.limits;
    const bytesMax = this.#call === undefined ? helloBytesMax : requestBytesMax;
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes <= bytesMax) waiting.push(bytes);
    else this.close(new CovistaError('payload_too_large', `at most ${bytesMax} bytes may come before the channel is open`));
  }

  #ask(actor: Actor): void {
    if (this.#state.kind !== 'opening') return;
    const { address, target, context } = this.#options;
    const call = new Call({ ...target, actor, address, connection: this, keepsToken: true, idempotencyKey: null, body: undefined });
    call.onCancel = (reason) => this.close(reason);
    this.#call = call;
    Promise.resolve(context.gateway.dispatch(call)).then((outcome) => this.#begin(outcome, call), this.#fail);
  }

  #begin(outcome: Outcome, call: Call): void {
    if (outcome.kind === 'error') {
      this.close(outcome.error);
      return;
    }
    if (outcome.kind !== 'channel') throw new TypeError(`${call.operation} is no channel`);
    const state = this.#state;
    if (state.kind !== 'opening') {
      outcome.abandon();
      return;
    }
    let release: () => void;
    try {
      release = this.#watch(call);
    } catch (fault) {
      outcome.abandon();
      throw fault;
    }
    this.#options.context.onAwaiting(-1);
    const conversation = new Conversation(this, (fault) => this.#options.context.gateway.explain(call, fault));
    this.#state = { kind: 'open', conversation, release };
    conversation.over.then(() => this.#end(), this.#fail);
    // What the channel says first, and what it answers to those who did not wait for it, leave together.
    this.#options.socket.cork(() => {
      conversation.begin(outcome);
      for (const bytes of state.waiting) conversation.receive(bytes);
    });
    // What is gathered counts as sent at first.
    this.drained();
  }

  /** A token that expires or is revoked ends what it opened. */
  #watch({ actor }: Call): () => void {
    const { address, context } = this.#options;
    const { authenticator, gateway, sessions } = context;
    const { subject } = actor;
    enterSession(context, { subject, address });
    const remainingMs = authenticator.remainingMs(actor);
    const expire = (): void => this.close(new CovistaError('session_expired', 'the token has expired'));
    const stopExpiry = remainingMs === null ? () => undefined : setLongTimeout(expire, remainingMs);
    const stopWatching = authenticator.watch(actor, (reason) => {
      gateway.refused(reason, { operation: AUTHENTICATE, address, subject });
      this.close(reason);
    });
    return () => {
      sessions.leave(subject);
      stopExpiry();
      stopWatching();
    };
  }

  #end(): void {
    if (this.#state.kind === 'closed') return;
    this.#leave(new CovistaError('cancelled', 'the channel is over'));
    this.#options.socket.end(CLOSE_CODES.normal, 'the channel is over');
  }

  readonly #fail = (fault: unknown): void => {
    if (!(fault instanceof CovistaError)) {
      this.#options.context.log.error({ err: fault, connectionId: this.#options.id }, 'a raw connection met a fault');
      this.close(new CovistaError('internal', `the server met a fault; its log has it as ${this.#options.id}`));
    } else this.close(fault);
  };

  #leave(reason: CovistaError): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    if (state.kind === 'opening') this.#options.context.onAwaiting(-1);
    else state.release();
    this.#call?.cancel(reason);
    if (state.kind === 'open') state.conversation.close(reason);
  }
}
