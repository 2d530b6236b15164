import { WebSocket } from 'ws';
import type { Client, OpenChannel } from '../../client/index.ts';
import { closeCodeOf } from '../../protocol/close-codes.ts';
import type { HttpRoute } from '../../protocol/define.ts';
import { ERROR_CODES, errorFromBody } from '../../protocol/errors.ts';
import { concatenate } from '../../protocol/fragments.ts';
import { type OperationName, operationsByName } from '../../protocol/operations/index.ts';
import { Call } from '../../server/gateway/call.ts';
import type { Gateway } from '../../server/gateway/dispatch.ts';
import type { Actor } from '../../server/services/access/actor.ts';
import { present } from '../../server/shared/assert.ts';
import { encodeRequest } from '../../server/shared/perspective/codec.ts';
import { type Rest, type RestAnswer, restClient } from './rest.ts';

/** One call of any operation, as every transport can carry it. */
export interface Asked {
  readonly operation: OperationName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly body?: Uint8Array | undefined;
  /** Items to take of a stream that never ends. */
  readonly take?: number | undefined;
}

/** What every transport answers of a download. */
export interface DownloadedFile {
  readonly contentType: string;
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/**
 * A way to the operations for one caller. It answers the value of a query or command, the items of a stream, or a file;
 * and rejects with CovistaError.
 */
export interface Transport {
  readonly name: 'socket' | 'REST' | 'in-process';
  run(asked: Asked): Promise<unknown>;
}

type AnyMethod = (input: object, options?: { body?: Uint8Array }) => Promise<unknown> | AsyncIterable<unknown>;

export function overSocket(client: Client): Transport {
  return {
    name: 'socket',
    run: async ({ operation, input, body, take }) => {
      const dot = operation.indexOf('.');
      const [noun, verb] = [operation.slice(0, dot), operation.slice(dot + 1)];
      const method = (client as unknown as Record<string, Record<string, AnyMethod>>)[noun]?.[verb];
      const options = isChannel(operation) ? { onMessage: () => undefined } : body === undefined ? {} : { body };
      const outcome = present(method, `a method for ${operation}`)(input, options);
      if (isChannel(operation)) return openedOnly((await outcome) as OpenChannel<unknown>);
      return settle(operation, outcome, take);
    },
  };
}

export function inProcess(gateway: Gateway, actor: Actor): Transport {
  return {
    name: 'in-process',
    run: async ({ operation, input, body, take }) => {
      const call = new Call({
        operation,
        input,
        actor,
        address: '127.0.0.1',
        idempotencyKey: null,
        body: body && once(body),
      });
      const outcome = await gateway.dispatch(call);
      if (outcome.kind === 'error') throw outcome.error;
      if (outcome.kind === 'channel') {
        outcome.abandon();
        return outcome.opened;
      }
      return settle(operation, outcome.kind === 'stream' ? outcome.items : Promise.resolve(outcome.value), take);
    },
  };
}

const isChannel = (operation: OperationName): boolean => operationsByName.get(operation)?.kind === 'channel';

function openedOnly({ opened, close }: OpenChannel<unknown>): unknown {
  close();
  return opened;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function settle(operation: OperationName, outcome: Promise<unknown> | AsyncIterable<unknown>, take: number | undefined): Promise<unknown> {
  if (!(Symbol.asyncIterator in outcome)) return outcome;
  const items: unknown[] = [];
  if (take !== 0)
    for await (const item of outcome) {
      items.push(item);
      if (items.length === take) break;
    }
  return operationsByName.get(operation)?.http?.response === 'file' ? toFile(items) : items;
}

function toFile([head, ...chunks]: unknown[]): DownloadedFile {
  const { contentType, etag } = head as DownloadedFile;
  return { contentType, etag, bytes: concatenate(chunks as Uint8Array[]) };
}

export function overRest(url: string, token: string): Transport {
  const rest = restClient(url, token);
  return {
    name: 'REST',
    run: async (asked) => {
      const { http, socket } = present(operationsByName.get(asked.operation), asked.operation);
      if (socket !== undefined) return openRaw(url, token, `${socket.prefix}${String(asked.input[socket.field])}`);
      const route = present(http, `a route for ${asked.operation}`);
      if (asked.take !== undefined) return takeLines(`${url}${pathOf(route, asked)}`, token, asked.take);
      const answer = await send(rest, route, asked);
      if (answer.status >= 400) throw errorFromBody((answer.body as { error: Parameters<typeof errorFromBody>[0] }).error);
      return read(route, answer);
    },
  };
}

const ASKS_FOR_FEATURES = encodeRequest({ msgId: 1, entityId: '', kind: 'get_features', body: {} });

/** A channel on a socket of its own, for clients that know HTTP only: until its first message, or the code that it is closed with. */
function openRaw(url: string, token: string, path: string): Promise<unknown> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}${path}?token=${token}`);
  return new Promise((resolve, reject) => {
    // Who serves documents speaks first, who serves tables waits for a question.
    socket.on('open', () => path.startsWith('/perspective/') && socket.send(ASKS_FOR_FEATURES));
    socket.on('message', () => {
      socket.terminate();
      resolve({});
    });
    socket.on('error', reject);
    socket.on('close', (closeCode, reason) => {
      const code = ERROR_CODES.find((candidate) => closeCodeOf(candidate) === closeCode) ?? 'internal';
      reject(errorFromBody({ code, message: reason.toString() }));
    });
  });
}

/** The answer of REST as it came. */
export function answerOverRest(rest: Rest, asked: Asked): Promise<RestAnswer> {
  return send(rest, present(operationsByName.get(asked.operation)?.http, `a route for ${asked.operation}`), asked);
}

function send(rest: Rest, route: HttpRoute, asked: Asked): Promise<RestAnswer> {
  const path = pathOf(route, asked);
  if (operationsByName.get(asked.operation)?.body !== undefined) return rest.send(route.method, path, { body: asked.body ?? new Uint8Array() });
  if (!hasJsonBody(route)) return rest.send(route.method, path, { headers: { 'accept-encoding': 'identity' } });
  const body = JSON.stringify(fieldsOutsidePath(route, asked));
  return rest.send(route.method, path, { body, headers: { 'content-type': 'application/json' } });
}

const hasJsonBody = ({ method }: HttpRoute): boolean => ['POST', 'PUT', 'PATCH'].includes(method);

function fieldsOutsidePath({ path }: HttpRoute, { input }: Asked): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).filter(([name]) => !path.includes(`{${name}}`)));
}

/** The path with its parameters, and what goes into the query where there is no JSON body. */
function pathOf(route: HttpRoute, asked: Asked): string {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(asked.input[name])));
  if (hasJsonBody(route) && operationsByName.get(asked.operation)?.body === undefined) return path;
  const query = new URLSearchParams(Object.entries(fieldsOutsidePath(route, asked)).map(([name, value]) => [name, String(value)]));
  return query.size === 0 ? path : `${path}?${query}`;
}

function read(route: HttpRoute, { status, headers, body, bytes }: RestAnswer): unknown {
  if (route.response === 'file') return { contentType: headers.get('content-type'), etag: headers.get('etag'), bytes };
  if (status === 204) return {};
  return route.response === 'ndjson' ? linesOf(new TextDecoder().decode(bytes)) : body;
}

const linesOf = (text: string): unknown[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

/** The first lines of an answer that never ends. */
async function takeLines(address: string, token: string, count: number): Promise<unknown[]> {
  const aborter = new AbortController();
  const response = await fetch(address, { headers: token === '' ? {} : { authorization: `Bearer ${token}` }, signal: aborter.signal });
  if (!response.ok) throw errorFromBody(((await response.json()) as { error: Parameters<typeof errorFromBody>[0] }).error);
  let text = '';
  if (count > 0)
    for await (const chunk of present(response.body, 'a body').pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (linesOf(text).length >= count) break;
    }
  aborter.abort();
  return linesOf(text).slice(0, count);
}
