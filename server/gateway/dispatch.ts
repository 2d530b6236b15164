import type { Operation, PermissionLevel } from '../../protocol/define.ts';
import { CovistaError } from '../../protocol/errors.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import type { Limits } from '../../protocol/limits.ts';
import { operationsByName } from '../../protocol/operations/index.ts';
import type { Handlers } from '../operations/handler.ts';
import type { Access } from '../services/access/access.ts';
import type { Actor } from '../services/access/actor.ts';
import type { Opening } from '../shared/channel.ts';
import type { Logger } from '../shared/log.ts';
import type { IdempotencyStore } from '../storage/stores.ts';
import type { Call } from './call.ts';
import { createCallAudit, isLoss, type Refused, recordLoss, recordRefusal } from './call-audit.ts';
import { createIdempotency } from './idempotency.ts';
import { type HeldEntry, type HoldOptions, holdPermission, watched } from './permission-hold.ts';
import { RateLimit } from './rate-limit.ts';
import { assertSteppedUp, type StepUp } from './step-up.ts';
import type { Tightening } from './tightening.ts';
import { validate } from './validate.ts';

/** What became of a call. The items of a stream fail with CovistaError only; a channel is attached or abandoned once. */
export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'stream'; readonly items: AsyncIterable<unknown> }
  | ({ readonly kind: 'channel' } & Opening<unknown>)
  | { readonly kind: 'error'; readonly error: CovistaError };

export interface Gateway {
  /** Carries a call to its handler and back; at once where the handler answers at once. Never throws. */
  dispatch(call: Call): Outcome | Promise<Outcome>;
  /** What the caller of a call is told of a fault that came up while its outcome was carried back; logs what is the server's own. */
  explain(call: Call, fault: unknown): CovistaError;
  /** Notes that somebody was turned away before there was a call. */
  refused(fault: unknown, refused: Refused): void;
  /** Notes that a request for an operation of the registry failed before there was a call, which counts with those of calls. */
  failedBefore(operation: string, fault: unknown, startedAtMs: number): void;
}

/** What the actor may do on the dataset; throws `not_found` or `forbidden`. */
export type Authorize = (actor: Actor, level: PermissionLevel, datasetId: DatasetId, state: 'present' | 'deleted') => Access | Promise<Access>;

export interface GatewayOptions extends HoldOptions {
  readonly handlers: Handlers;
  readonly authorize: Authorize;
  readonly idempotency: Pick<IdempotencyStore, 'find'>;
  /** What counts as a second factor where an operation asks for one. */
  readonly stepUp: StepUp;
  readonly limits: Pick<Limits, 'requestsPerSubjectPerSecond' | 'rateKeysMax' | 'operationTimeoutMs' | 'commitTimeoutMs' | 'idempotencyKeyCharsMax'>;
  readonly tightening?: Pick<Tightening, 'take'>;
  readonly log: Logger;
}

type Handle = (input: unknown, call: Call) => unknown;

/** An operation with its handler and what follows from its declaration. */
export interface Entry extends HeldEntry {
  readonly name: string;
  readonly operation: Operation;
  readonly handle: Handle;
}

/** The only road to a handler: find, validate, authorize, repeat or handle. */
export function createGateway(options: GatewayOptions): Gateway {
  const entries = buildEntries(options);
  const idempotency = createIdempotency(options);
  const { requestsPerSubjectPerSecond: most, rateKeysMax: keysMax } = options.limits;
  const rate = new RateLimit({ what: 'requests of yours', limit: 'requestsPerSubjectPerSecond', most, periodMs: 1_000, keysMax });
  const { explain, used } = createReports(entries, options);
  const find = createFinder(entries);
  const fail = (call: Call, fault: unknown): Outcome => ({ kind: 'error', error: explain(call, fault) });

  const run = (entry: Entry, call: Call, input: unknown): Outcome | Promise<Outcome> => {
    const result = entry.handle(input, call);
    if (entry.operation.kind === 'stream') {
      const onFirst = (first: unknown): void => used(entry, call, input, first);
      return { kind: 'stream', items: guard(entry, call, result as AsyncIterable<unknown>, { ...options, explain, onFirst }) };
    }
    if (!isPromise(result)) return finish(entry, call, input, result);
    return settle(entry, call, input, result);
  };

  const finish = (entry: Entry, call: Call, input: unknown, result: unknown): Outcome => {
    const opening = entry.operation.kind === 'channel' ? (result as Opening<unknown>) : undefined;
    used(entry, call, input, opening === undefined ? result : opening.opened);
    return opening === undefined ? { kind: 'value', value: result } : { kind: 'channel', ...watched(entry, call, opening, options) };
  };

  const settle = async (entry: Entry, call: Call, input: unknown, result: PromiseLike<unknown>): Promise<Outcome> => {
    const disarm = armTimeout(entry, call);
    const letGo = holdPermission(entry, call, options);
    try {
      return finish(entry, call, input, await result);
    } catch (fault) {
      return fail(call, fault);
    } finally {
      letGo();
      disarm();
    }
  };

  const proceed = (entry: Entry, call: Call, input: unknown, access: Access | undefined): Outcome | Promise<Outcome> => {
    if (entry.operation.stepUp === true) assertSteppedUp(call.actor, options.stepUp);
    call.access = access;
    call.isPermitted = true;
    call.isEndless = entry.timeoutMs === null;
    // No body is an empty one, so that handlers know one case only.
    if (entry.operation.body !== undefined) call.body ??= NO_BODY;
    if (call.idempotencyKey === null || entry.operation.kind !== 'command') return run(entry, call, input);
    return idempotency.once(entry, call, input, () => run(entry, call, input)).catch((fault: unknown) => fail(call, fault));
  };

  return {
    explain,
    refused: (fault, refused) => recordRefusal(options.audit, fault, refused),
    failedBefore: () => undefined,
    dispatch: (call) => {
      try {
        rate.take(call.actor.subject);
        options.tightening?.take({ subject: call.actor.subject, address: call.address });
        const entry = find(call.operation);
        if (entry === undefined) throw new CovistaError('unknown_operation', `there is no operation "${call.operation.slice(0, 100)}"`);
        const input = validate(entry.operation, call);
        const access = permit(entry.operation, input, call.actor, options.authorize);
        if (!isPromise(access)) return proceed(entry, call, input, access);
        return access.then((granted) => proceed(entry, call, input, granted)).catch((fault: unknown) => fail(call, fault));
      } catch (fault) {
        return fail(call, fault);
      }
    },
  };
}

/** Callers repeat themselves, and comparing a name that was just decoded is cheaper than hashing it. */
function createFinder(entries: ReadonlyMap<string, Entry>): (name: string) => Entry | undefined {
  let latest: Entry | undefined;
  return (name) => {
    if (latest?.name === name) return latest;
    latest = entries.get(name);
    return latest;
  };
}

interface Reports {
  readonly explain: Gateway['explain'];
  /** An operation was used; `result` is its value or its first item. */
  readonly used: (entry: Entry, call: Call, input: unknown, result: unknown) => void;
}

/** Tells the caller, the log and the audit what became of calls, each what is for them. */
function createReports(entries: ReadonlyMap<string, Entry>, { audit: trail, log }: GatewayOptions): Reports {
  const audit = createCallAudit(trail);
  return {
    explain: (call, fault) => {
      const error = translate(call, fault, log);
      audit.failed(entries.get(call.operation)?.operation, call, error);
      return error;
    },
    used: (entry, call, input, result) => {
      if (entry.operation.audit !== undefined) audit.used(call, input, result);
    },
  };
}

const NO_BODY: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };

function buildEntries({ handlers, limits }: GatewayOptions): ReadonlyMap<string, Entry> {
  return new Map(
    [...operationsByName].map(([name, operation]) => {
      const [, noun, verb = ''] = /^(\w+)\.(.+)$/.exec(name) as unknown as [string, keyof Handlers, string];
      const handle = (handlers[noun] as unknown as Readonly<Record<string, Handle>>)[verb] as Handle;
      const isHeld = operation.kind === 'stream' || operation.kind === 'channel' || operation.duration === 'long' || operation.body !== undefined;
      return [name, { name, operation, handle, timeoutMs: timeoutOf(operation, limits), isHeld }] as const;
    }),
  );
}

function timeoutOf({ duration, body }: Operation, limits: GatewayOptions['limits']): number | null {
  if (duration === 'endless') return null;
  return duration === 'long' || body !== undefined ? limits.commitTimeoutMs : limits.operationTimeoutMs;
}

/** Default deny: only what the declaration of the operation allows passes. */
function permit({ permission }: Operation, input: never | unknown, actor: Actor, authorize: Authorize): Access | undefined | Promise<Access> {
  if (permission.action === 'public') return undefined;
  if (actor.subject === '') throw new CovistaError('unauthenticated', 'this needs a token');
  if (permission.action === 'authenticated') return undefined;
  if (permission.action !== 'server-admin') {
    const datasetId = permission.on(input as never);
    return datasetId === null ? undefined : authorize(actor, permission.action, datasetId, permission.ofDeleted === true ? 'deleted' : 'present');
  }
  if (!actor.serverAdmin) throw new CovistaError('forbidden', 'this needs a server admin');
  return undefined;
}

function armTimeout(entry: Entry, call: Call): () => void {
  if (entry.timeoutMs === null) return () => undefined;
  const timer = setTimeout(() => {
    call.cancel(new CovistaError('timeout', `${entry.name} took longer than ${entry.timeoutMs} ms`, { timeoutMs: entry.timeoutMs }));
  }, entry.timeoutMs);
  return () => clearTimeout(timer);
}

interface GuardOptions extends GatewayOptions {
  readonly explain: Gateway['explain'];
  /** Called once, with the first item, or undefined where there is none. */
  readonly onFirst: (item: unknown) => void;
}

/**
 * The items of a handler, with the time limit on each and every fault translated, for as long as the caller is permitted to
 * have them. A reader's own slowness does not count.
 */
async function* guard(entry: Entry, call: Call, items: AsyncIterable<unknown>, options: GuardOptions): AsyncGenerator<unknown> {
  let onFirst: GuardOptions['onFirst'] | undefined = options.onFirst;
  const iterator = items[Symbol.asyncIterator]();
  const letGo = holdPermission(entry, call, options);
  let ended = false;
  try {
    while (true) {
      const disarm = armTimeout(entry, call);
      const next = await iterator.next().finally(disarm);
      onFirst?.(next.value);
      onFirst = undefined;
      if (next.done === true) break;
      if (call.cancelledBy !== undefined) {
        await iterator.return?.();
        throw call.cancelledBy;
      }
      yield next.value;
    }
    ended = true;
    if (call.cancelledBy !== undefined) throw call.cancelledBy;
  } catch (fault) {
    ended = true;
    if (entry.timeoutMs === null && call.cancelledBy === undefined && isLoss(fault)) recordLoss(options.audit, call, fault);
    throw options.explain(call, fault);
  } finally {
    letGo();
    if (!ended) await iterator.return?.();
  }
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}

/** What callers are told of a fault: errors made for them as they are, everything else by request id alone. */
function translate(call: Call, fault: unknown, log: Logger): CovistaError {
  const reason = call.cancelledBy;
  if (reason !== undefined && isCancellation(fault)) return reason;
  if (fault instanceof CovistaError) {
    if (log.isLevelEnabled('debug')) log.debug({ requestId: call.requestId, operation: call.operation, code: fault.code }, fault.message);
    return fault;
  }
  const { requestId } = call;
  log.error({ err: fault, requestId, operation: call.operation, subject: call.actor.subject }, 'a request met a fault');
  return new CovistaError('internal', `the server met a fault; its log has it as ${requestId}`, { requestId });
}

function isCancellation(fault: unknown): boolean {
  if (fault instanceof CovistaError) return fault.code === 'cancelled';
  return fault instanceof Error && fault.name === 'AbortError';
}
