import { randomBytes } from 'node:crypto';
import type { CovistaError } from '../../protocol/errors.ts';
import type { Progress } from '../../protocol/frame.ts';
import type { CallContext } from '../operations/handler.ts';
import type { Access } from '../services/access/access.ts';
import type { Actor } from '../services/access/actor.ts';
import type { Idempotency, Provenance } from '../storage/stores.ts';

export interface CallRequest {
  /** `noun.verb`, as the caller wrote it. */
  readonly operation: string;
  /** Not validated yet. */
  readonly input: unknown;
  readonly actor: Actor;
  readonly address: string;
  /** Of a call that comes over a socket beside others. */
  readonly connection?: object;
  /** Whether its connection keeps the token that it began with. */
  readonly keepsToken?: boolean;
  readonly idempotencyKey: string | null;
  readonly body: AsyncIterable<Uint8Array> | undefined;
}

const PROCESS_PREFIX = randomBytes(4).toString('hex');
let requests = 0;

/** Names a request in logs and errors, uniquely over servers and restarts. */
export function nextRequestId(): string {
  requests += 1;
  return `${PROCESS_PREFIX}-${requests.toString(36)}`;
}

/** Who calls without a token; only public operations let it in. */
export const ANONYMOUS: Actor = { subject: '', groups: [], serverAdmin: false, claims: {}, expiresAtMs: null };

/**
 * One call on its way to a handler, and what the handler knows of it. Signal, request id and provenance are made when they
 * are first asked for, because most small calls never ask.
 */
export class Call implements CallContext {
  readonly operation: string;
  readonly input: unknown;
  readonly actor: Actor;
  readonly address: string;
  readonly connection: object;
  readonly idempotencyKey: string | null;
  body: AsyncIterable<Uint8Array> | undefined;
  /** Who wants to know how far the call has come; progress made before somebody listens is lost. */
  onProgress: ((progress: Progress) => void) | undefined;
  /** Who the caller is by the token that the session has got since, for what goes on. */
  renewedActor: Actor | undefined;
  /** Who wants to know at once that the call was cancelled, by whomever. */
  onCancel: ((reason: CovistaError) => void) | undefined;
  /** What the caller may do on the dataset of the operation; set by the gateway before the handler runs. */
  access: Access | undefined;
  idempotency: Idempotency | undefined;
  /** Whether the gateway let it through to its handler. */
  isPermitted: boolean;
  /** Whether it was ended because the permission was lost, which is audited already. */
  isEnded: boolean;
  /** Whether it goes on for as long as the caller stays, so that a server that stops must end it. */
  isEndless: boolean;
  readonly #keepsToken: boolean;
  #requestId: string | undefined;
  #reason: CovistaError | undefined;
  #onRenewed: readonly ((actor: Actor) => void)[] | undefined;
  #controller: AbortController | undefined;

  constructor({ operation, input, actor, address, connection, keepsToken = false, idempotencyKey, body }: CallRequest) {
    this.operation = operation;
    this.input = input;
    this.actor = actor;
    this.address = address;
    this.connection = connection ?? this;
    this.idempotencyKey = idempotencyKey;
    this.body = body;
    this.onProgress = undefined;
    this.renewedActor = undefined;
    this.onCancel = undefined;
    this.access = undefined;
    this.idempotency = undefined;
    this.isPermitted = false;
    this.isEnded = false;
    this.isEndless = false;
    this.#keepsToken = keepsToken;
    this.#requestId = undefined;
    this.#reason = undefined;
    this.#onRenewed = undefined;
    this.#controller = undefined;
  }

  get requestId(): string {
    this.#requestId ??= nextRequestId();
    return this.#requestId;
  }

  get provenance(): Provenance {
    const { operation, actor, address, requestId } = this;
    const common = { actor: actor.subject, operation, requestId, address };
    return this.idempotency === undefined ? common : { ...common, idempotency: this.idempotency };
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Why the call was cancelled, if it was. */
  get cancelledBy(): CovistaError | undefined {
    return this.#reason;
  }

  /** Asks the handler to stop; the first reason counts. */
  cancel(reason: CovistaError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.onCancel?.(reason);
  }

  /** The session has another token of the same subject. */
  renew(actor: Actor): void {
    this.renewedActor = actor;
    for (const listener of this.#onRenewed ?? []) listener(actor);
  }

  /** Whoever can never hear is not remembered: there may be thousands of them. */
  whenRenewed(listener: (actor: Actor) => void): void {
    if (this.#keepsToken) return;
    this.#onRenewed = [...(this.#onRenewed ?? []), listener];
    if (this.renewedActor !== undefined) listener(this.renewedActor);
  }

  /** A function of its own, so that handlers may pass it on. */
  get progress(): (progress: Progress) => void {
    return (progress) => this.onProgress?.(progress);
  }
}
