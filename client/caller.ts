import type { Operation } from '../protocol/define.ts';
import { CovistaError } from '../protocol/errors.ts';
import { type OperationName, operations } from '../protocol/operations/index.ts';
import { RequestBody } from './body.ts';
import { ChannelCall } from './channel-call.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { ClientSettings } from './settings.ts';
import { StreamCall } from './stream-call.ts';
import type { CallOptions, ChannelOptions, CommandOptions, Methods } from './types.ts';
import { UnaryCall } from './unary-call.ts';
import { randomKey } from './values.ts';

/** Streams that can be continued behind an item, and the input that does it. */
const RESUMES: Partial<Record<OperationName, (input: object, lastItem: unknown) => unknown>> = {
  'dataset.watch': (input, event) => ({ ...input, after: (event as { readonly sequence: number }).sequence }),
};

/** What of an operation its caller goes by; the build of the workbench leaves out the rest of the registry. */
export type CalledOperation = Pick<Operation, 'kind' | 'duration' | 'body'>;

interface Target {
  readonly dispatcher: Dispatcher;
  readonly settings: ClientSettings;
}

/** Builds the functions of all operations from the registry. */
export function buildMethods(target: Target): Methods {
  const registry: Readonly<Record<string, Readonly<Record<string, CalledOperation>>>> = operations;
  const nouns = Object.entries(registry).map(([noun, verbs]) => {
    const methods = Object.entries(verbs).map(([verb, operation]) => [verb, buildMethod(`${noun}.${verb}` as OperationName, operation, target)]);
    return [noun, Object.fromEntries(methods)];
  });
  return Object.fromEntries(nouns) as Methods;
}

function buildMethod(name: OperationName, operation: CalledOperation, target: Target): unknown {
  if (operation.kind === 'stream') return (input: object = {}, options: CallOptions = {}) => stream(name, { input, options }, target);
  if (operation.kind === 'channel') return (input: object, options: ChannelOptions) => channel(name, { input, options }, target);
  const timeoutMs = defaultTimeoutMs(operation, target.settings);
  return (input: object = {}, options: CommandOptions = {}) => request(name, operation, { input, options: { timeoutMs, ...options } }, target);
}

function defaultTimeoutMs({ kind, duration }: CalledOperation, { queryTimeoutMs, commandTimeoutMs }: ClientSettings): number {
  if (duration === 'endless') return Number.POSITIVE_INFINITY;
  return kind === 'command' || duration === 'long' ? commandTimeoutMs : queryTimeoutMs;
}

interface Invocation<Options> {
  readonly input: object;
  readonly options: Options;
}

function request(name: OperationName, operation: CalledOperation, invocation: Invocation<CommandOptions>, { dispatcher }: Target): Promise<unknown> {
  const { signal, timeoutMs = Number.POSITIVE_INFINITY, idempotencyKey = randomKey(), body, onProgress } = invocation.options;
  const call = new UnaryCall({
    operation: name,
    input: invocation.input,
    idempotencyKey: operation.kind === 'command' ? idempotencyKey : null,
    body: body === undefined ? undefined : new RequestBody(body),
    onProgress,
  });
  if (body !== undefined && operation.body === undefined) call.failed(new CovistaError('invalid_input', `${name} takes no body`));
  else dispatcher.submit(call, { signal, timeoutMs });
  return call.result;
}

/** Opens a channel; the limit of time is for the opening. */
function channel(name: OperationName, { input, options }: Invocation<ChannelOptions>, { dispatcher, settings }: Target): Promise<unknown> {
  const call: ChannelCall = new ChannelCall({
    operation: name,
    input,
    listener: options,
    cancel: () => dispatcher.cancel(call, new CovistaError('cancelled', 'the channel is not wanted any more')),
  });
  dispatcher.submit(call, { signal: options.signal, timeoutMs: options.timeoutMs ?? settings.queryTimeoutMs });
  return call.result;
}

/** Nothing is asked for until somebody iterates; who iterates twice asks twice. */
function stream(name: OperationName, { input, options }: Invocation<CallOptions>, { dispatcher }: Target): AsyncIterable<unknown> {
  const resume = RESUMES[name];
  return {
    [Symbol.asyncIterator]: () => {
      const call: StreamCall = new StreamCall({
        operation: name,
        input,
        onProgress: options.onProgress,
        resumeInput: resume && ((lastItem) => resume(input, lastItem)),
        cancel: () => dispatcher.cancel(call, new CovistaError('cancelled', 'the reader wants no more')),
      });
      dispatcher.submit(call, { signal: options.signal, timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY });
      return call;
    },
  };
}
