import type { Operation, Output, ParsedInput } from '../../protocol/define.ts';
import type { Progress } from '../../protocol/frame.ts';
import type { Operations } from '../../protocol/operations/index.ts';
import type { Access } from '../services/access/access.ts';
import type { Actor } from '../services/access/actor.ts';
import type { Opening } from '../shared/channel.ts';
import type { Provenance } from '../storage/stores.ts';

/** Everything that a handler knows of its call beside the input. */
export interface CallContext {
  readonly actor: Actor;
  /** What calls over one connection have in common. */
  readonly connection: object;
  /** What the caller may do on the dataset that the operation's permission names; undefined for other operations. */
  readonly access: Access | undefined;
  readonly provenance: Provenance;
  /** Aborts when the caller cancels, disconnects, or the operation's time is over. */
  readonly signal: AbortSignal;
  /** The bytes that accompany the request, where the operation takes any. */
  readonly body: AsyncIterable<Uint8Array> | undefined;
  progress(progress: Progress): void;
  /** Calls back, for as long as a channel lasts, when its session has got another token of the same person. */
  whenRenewed(listener: (actor: Actor) => void): void;
}

type Result<O> =
  O extends Operation<'stream', infer _I, infer _S>
    ? AsyncIterable<Output<O>>
    : O extends Operation<'channel', infer _I, infer _S>
      ? Opening<Output<O>> | Promise<Opening<Output<O>>>
      : Output<O> | Promise<Output<O>>;

export type Handler<O> = (input: ParsedInput<O>, context: CallContext) => Result<O>;

/** A handler for every operation of a resource: an operation without one does not compile. */
export type ResourceHandlers<Noun extends keyof Operations> = {
  readonly [Verb in keyof Operations[Noun]]: Handler<Operations[Noun][Verb]>;
};

export type Handlers = { readonly [Noun in keyof Operations]: ResourceHandlers<Noun> };
