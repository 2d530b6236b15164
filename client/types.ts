import type { Input, Operation, OperationKind, Output } from '../protocol/define.ts';
import type { Progress } from '../protocol/frame.ts';
import type { Operations } from '../protocol/operations/index.ts';
import type { BodySource } from './body.ts';
import type { ChannelListener, OpenChannel } from './channel-call.ts';

export interface CallOptions {
  /** Aborting it cancels the request, on the server too; the call fails with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** The call fails with `timeout` after so long, reconnects and waiting included. */
  readonly timeoutMs?: number | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

export interface CommandOptions extends CallOptions {
  /** The same key on the same command gives the first result again; without one the client makes one for each call. */
  readonly idempotencyKey?: string | undefined;
  /** Bytes that accompany the command, where it takes any. */
  readonly body?: BodySource | undefined;
}

export type ChannelOptions = ChannelListener & Pick<CallOptions, 'signal' | 'timeoutMs'>;

type Options<Kind extends OperationKind> = Kind extends 'command' ? CommandOptions : CallOptions;

type Result<O, Kind extends OperationKind> = Kind extends 'stream' ? AsyncIterable<Output<O>> : Promise<Output<O>>;

/** An input of which nothing is required may be left out. */
type Arguments<I, Options> = Record<never, never> extends I ? [input?: I, options?: Options] : [input: I, options?: Options];

/**
 * An operation as a function: a promise of the result, of a stream its items, of a channel the channel once it is open, its signal and
 * time limit being for the opening. All reject with CovistaError.
 */
export type Method<O> = O extends { readonly kind: 'channel' }
  ? (input: Input<O>, options: ChannelOptions) => Promise<OpenChannel<Output<O>>>
  : O extends Operation<infer Kind, infer _Input, infer _Output>
    ? (...args: Arguments<Input<O>, Options<Kind>>) => Result<O, Kind>
    : never;

/** Every operation of the registry as a function, by noun and verb. */
export type Methods = {
  readonly [Noun in keyof Operations]: { readonly [Verb in keyof Operations[Noun]]: Method<Operations[Noun][Verb]> };
};
