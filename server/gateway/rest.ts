import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import { fileHead } from '../../protocol/operations/version.ts';
import type { Actor } from '../services/access/actor.ts';
import type { Opening } from '../shared/channel.ts';
import type { Logger } from '../shared/log.ts';
import { setLongTimeout } from '../shared/long-timeout.ts';
import type { Authenticator } from './authenticate.ts';
import { ANONYMOUS, Call, nextRequestId } from './call.ts';
import type { Gateway } from './dispatch.ts';
import type { HttpFace, HttpRequest, HttpResponse } from './http.ts';
import { readInput } from './rest-input.ts';
import { errorResponse, fileResponse, linesResponse, type OpenFile, valueResponse } from './rest-response.ts';
import { createRouteTable, type Match } from './route-table.ts';

export interface RestOptions {
  readonly gateway: Gateway;
  readonly authenticator: Authenticator;
  readonly limits: Pick<Limits, 'httpJsonBytesMax' | 'requestsPerAddressPerSecond' | 'rateKeysMax'>;
  readonly log: Logger;
}

/** A request that has found its operation and its caller. */
interface Asked {
  readonly request: HttpRequest;
  readonly match: Match;
  readonly actor: Actor;
  readonly input: Readonly<Record<string, unknown>>;
}

/** The REST face of the registry: every operation that has an `http` route. Never rejects. */
export function createRest({ gateway, authenticator, limits, log }: RestOptions): HttpFace {
  const routes = createRouteTable();

  /** Nobody's body is read before it is known who sends it. */
  const identify = async (token: string | null | undefined, { address }: HttpRequest, { route }: Match): Promise<Actor> => {
    if (typeof token === 'string') return authenticator.admit(token, address);
    if (token === undefined && route.operation.permission.action === 'public') return ANONYMOUS;
    const reason = token === null ? 'the Authorization header must be "Bearer" followed by a token' : 'this needs a token';
    const refusal = new CovistaError('unauthenticated', reason);
    gateway.refused(refusal, { operation: route.name, address });
    throw refusal;
  };

  const understand = async (request: HttpRequest): Promise<Asked> => {
    const startedAtMs = performance.now();
    const match = routes.match(request.method, request.path);
    try {
      const query = new URLSearchParams(request.query);
      const actor = await identify(takeToken(request, query), request, match);
      const input = await readInput({ request, match, query, jsonBytesMax: limits.httpJsonBytesMax });
      return { request, match, actor, input };
    } catch (fault) {
      gateway.failedBefore(match.route.name, fault, startedAtMs);
      throw fault;
    }
  };

  const answer = async (asked: Asked): Promise<HttpResponse> => {
    const { request, match } = asked;
    if (match.route.http.response === 'file') return answerFile(asked);
    const call = begin(authenticator, asked);
    const outcome = await gateway.dispatch(call);
    if (outcome.kind === 'error') return errorResponse(outcome.error, call.requestId);
    if (outcome.kind === 'channel') throw strayChannel(call, outcome);
    if (outcome.kind === 'stream') return linesResponse(request, match.route, call, outcome.items);
    return valueResponse(request, match.route, call.requestId, outcome.value);
  };

  const answerFile = async (asked: Asked): Promise<HttpResponse> => {
    const call = begin(authenticator, await withoutStaleRange(asked));
    try {
      return await fileResponse(asked.request, asked.match.route, call, await openFile(gateway, call));
    } catch (fault) {
      if (fault instanceof CovistaError) return errorResponse(fault, call.requestId);
      throw fault;
    }
  };

  /** If-Range asks for the range only if the file is still the one that the caller has a part of (RFC 9110, section 13.1.5). */
  const withoutStaleRange = async (asked: Asked): Promise<Asked> => {
    const validator = asked.request.header('if-range');
    if (validator === '' || asked.input.range === undefined) return asked;
    const { range: _, ...whole } = asked.input;
    const { head, rest } = await openFile(gateway, begin(authenticator, { ...asked, input: { ...whole, encoding: 'identity' } }));
    await rest.return?.();
    const holds = validator.startsWith('"')
      ? validator === head.etag
      : Date.parse(validator) === Math.floor(Date.parse(head.lastModified) / 1000) * 1000;
    return holds ? asked : { ...asked, input: whole };
  };

  return {
    handle: async (request) => {
      try {
        return await answer(await understand(request));
      } catch (fault) {
        return faultResponse(fault, request, log);
      }
    },
  };
}

function faultResponse(fault: unknown, { path }: HttpRequest, log: Logger): HttpResponse {
  const requestId = nextRequestId();
  if (fault instanceof CovistaError) return errorResponse(fault, requestId);
  log.error({ err: fault, requestId, path }, 'a request met a fault');
  return errorResponse(new CovistaError('internal', `the server met a fault; its log has it as ${requestId}`, { requestId }), requestId);
}

/** What goes on for long ends when the token is revoked; what would never end also when it expires, as a connection does. */
function begin(authenticator: Authenticator, asked: Asked): Call {
  const { actor, match, request } = asked;
  const call = callOf(asked);
  if (actor === ANONYMOUS) return call;
  request.onEnd(authenticator.watch(actor, (reason) => call.cancel(reason)));
  const remainingMs = match.route.operation.duration === 'endless' ? authenticator.remainingMs(actor) : null;
  const expire = (): void => call.cancel(new CovistaError('session_expired', 'the token has expired'));
  if (remainingMs !== null) request.onEnd(setLongTimeout(expire, remainingMs));
  return call;
}

function callOf({ request, match, actor, input }: Asked): Call {
  const call = new Call({
    operation: match.route.name,
    input,
    actor,
    address: request.address,
    idempotencyKey: request.header('idempotency-key') || null,
    body: match.route.operation.body === undefined ? undefined : request.body,
  });
  request.onAbort(() => call.cancel(new CovistaError('cancelled', 'the caller went away')));
  request.onDrain(() => {
    if (call.isEndless) call.cancel(new CovistaError('draining', 'the server is stopping'));
  });
  return call;
}

/** The head of a file and the iterator of its bytes; throws what the operation refuses with. */
async function openFile(gateway: Gateway, call: Call): Promise<OpenFile> {
  const outcome = await gateway.dispatch(call);
  if (outcome.kind === 'error') throw outcome.error;
  if (outcome.kind === 'channel') throw strayChannel(call, outcome);
  if (outcome.kind === 'value') throw new TypeError(`${call.operation} answers as a file but is no stream`);
  const rest = outcome.items[Symbol.asyncIterator]();
  const first = await rest.next();
  return { head: fileHead.parse(first.value), rest };
}

/** Channels have no route, so that only a fault in the registry leads here. */
function strayChannel(call: Call, opening: Opening<unknown>): TypeError {
  opening.abandon();
  return new TypeError(`${call.operation} is a channel and cannot be had over HTTP`);
}

/** `Authorization: Bearer` wins over `?token=`, which is for clients that cannot set headers. Null: the header is malformed. */
function takeToken(request: HttpRequest, query: URLSearchParams): string | null | undefined {
  const parameter = query.get('token') ?? undefined;
  query.delete('token');
  const header = request.header('authorization');
  if (header === '') return parameter;
  return /^Bearer +(\S+) *$/i.exec(header)?.[1] ?? null;
}
