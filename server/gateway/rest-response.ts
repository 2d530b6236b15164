import { createHash } from 'node:crypto';
import { type HttpRoute, takesRanges } from '../../protocol/define.ts';
import { CovistaError, ERRORS, errorBody } from '../../protocol/errors.ts';
import type { FileHead } from '../../protocol/operations/version.ts';
import type { Call } from './call.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import { toJson } from './json.ts';
import { matchesAny } from './request-headers.ts';
import type { Route } from './route-table.ts';

type Headers = [name: string, value: string][];

const JSON_TYPE: readonly [string, string] = ['content-type', 'application/json; charset=utf-8'];

/** Headers of everything that needs authorization: it may be kept by the caller alone, and only be used after asking. */
function commonHeaders(requestId: string | undefined): Headers {
  const headers: Headers = [
    ['cache-control', 'private, no-cache'],
    ['x-content-type-options', 'nosniff'],
  ];
  if (requestId !== undefined) headers.push(['x-request-id', requestId]);
  return headers;
}

export function errorResponse(error: CovistaError, requestId: string): HttpResponse {
  const { status } = ERRORS[error.code];
  const headers: Headers = [...commonHeaders(requestId), [...JSON_TYPE]];
  const { retryAfterMs, allow, bytes } = error.details;
  if (status === 401) headers.push(['www-authenticate', 'Bearer realm="covista"']);
  if (typeof retryAfterMs === 'number') headers.push(['retry-after', String(Math.ceil(retryAfterMs / 1000))]);
  if (status === 405 && Array.isArray(allow)) headers.push(['allow', allow.join(', ')]);
  if (status === 416 && typeof bytes === 'number') headers.push(['content-range', `bytes */${bytes}`]);
  return { status, headers, body: { kind: 'whole', content: toJson({ error: errorBody(error) }) } };
}

/** A result as JSON. What is read carries a tag of its content, so that asking again can be answered with 304. */
export function valueResponse(request: HttpRequest, { operation, http }: Route, requestId: string, value: unknown): HttpResponse {
  const headers = commonHeaders(requestId);
  const status = http.status ?? 200;
  if (status === 204) return { status, headers, body: { kind: 'none' } };
  const { content, type } =
    http.response === 'content' && isContent(value)
      ? { content: value.content, type: value.contentType }
      : { content: toJson(value), type: undefined };
  if (operation.kind === 'query') {
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;
    headers.push(['etag', etag], ['vary', 'authorization']);
    if (request.method !== 'POST' && matchesAny(request.header('if-none-match'), etag)) return { status: 304, headers, body: { kind: 'none' } };
  }
  headers.push(type === undefined ? [...JSON_TYPE] : ['content-type', type]);
  if (request.method === 'HEAD') return { status, headers, body: { kind: 'none', bytes: Buffer.byteLength(content) } };
  return { status, headers, body: { kind: 'whole', content } };
}

/** Bytes that are sent as they are. */
function isContent(value: unknown): value is { readonly contentType: string; readonly content: Uint8Array } {
  return typeof value === 'object' && value !== null && 'content' in value && value.content instanceof Uint8Array;
}

/** How long an endless stream may take to be refused; then its head goes out, though nothing may have happened yet. */
const REFUSAL_WAIT_MS = 100;

/** A stream as NDJSON. What refuses it before its first item is an error like any other; later ones are its last line: `{"error": …}`. */
export async function linesResponse(request: HttpRequest, { operation }: Route, call: Call, items: AsyncIterable<unknown>): Promise<HttpResponse> {
  const headers: Headers = [...commonHeaders(call.requestId), ['content-type', 'application/x-ndjson; charset=utf-8']];
  const iterator = items[Symbol.asyncIterator]();
  if (request.method === 'HEAD') {
    await iterator.return?.();
    return { status: 200, headers, body: { kind: 'none' } };
  }
  const first = iterator.next();
  try {
    await (operation.duration === 'endless' ? settledSoon(first) : first);
  } catch (fault) {
    if (fault instanceof CovistaError) return errorResponse(fault, call.requestId);
    throw fault;
  }
  return { status: 200, headers, body: { kind: 'stream', chunks: lines(first, iterator), bytes: null } };
}

async function settledSoon(first: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const elapsed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, REFUSAL_WAIT_MS);
  });
  await Promise.race([first, elapsed]).finally(() => clearTimeout(timer));
}

/** Lines of items of which the first is asked for already. No generator, since one that is ended before it began would not end the items. */
function lines(first: Promise<IteratorResult<unknown>>, items: AsyncIterator<unknown>): AsyncIterable<Uint8Array> {
  const encoder = new TextEncoder();
  const toLine = (value: unknown): IteratorResult<Uint8Array> => ({ done: false, value: encoder.encode(`${toJson(value)}\n`) });
  const end: IteratorResult<Uint8Array> = { done: true, value: undefined };
  let upcoming: Promise<IteratorResult<unknown>> | undefined = first;
  let hasFailed = false;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    if (hasFailed) return end;
    const asked = upcoming ?? items.next();
    upcoming = undefined;
    try {
      const item = await asked;
      return item.done === true ? end : toLine(item.value);
    } catch (fault) {
      if (!(fault instanceof CovistaError)) throw fault;
      hasFailed = true;
      return toLine({ error: errorBody(fault) });
    }
  };
  const finish = async (): Promise<IteratorResult<Uint8Array>> => {
    await items.return?.();
    return end;
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: finish }) };
}

/** A file whose head was read already. */
export interface OpenFile {
  readonly head: FileHead;
  readonly rest: AsyncIterator<unknown>;
}

/** The answer with a file: the whole of it, a range, or nothing where the caller has it already. */
export async function fileResponse(request: HttpRequest, { http }: Route, call: Call, file: OpenFile): Promise<HttpResponse> {
  const { head, rest } = file;
  const headers = fileHeaders(call, head, http);
  const isKnown = matchesAny(request.header('if-none-match'), head.etag);
  if (isKnown || request.method === 'HEAD') await rest.return?.();
  if (isKnown) return { status: 304, headers, body: { kind: 'none' } };
  headers.push(['content-type', head.contentType], ['content-disposition', disposition(head.fileName)]);
  const { rangeStart, bytes, totalBytes } = head;
  if (rangeStart !== null && bytes !== null) headers.push(['content-range', `bytes ${rangeStart}-${rangeStart + bytes - 1}/${totalBytes ?? '*'}`]);
  const status = rangeStart === null ? 200 : 206;
  if (request.method === 'HEAD') return { status, headers, body: bytes === null ? { kind: 'none' } : { kind: 'none', bytes } };
  return { status, headers, body: { kind: 'stream', chunks: chunks(rest), bytes } };
}

function fileHeaders(call: Call, head: FileHead, http: HttpRoute): Headers {
  const headers: Headers = [
    ...commonHeaders(call.requestId),
    ['etag', head.etag],
    ['last-modified', new Date(head.lastModified).toUTCString()],
    ['accept-ranges', takesRanges(http) ? 'bytes' : 'none'],
    ['vary', 'accept-encoding, authorization'],
  ];
  if (head.encoding !== 'identity') headers.push(['content-encoding', head.encoding]);
  return headers;
}

/** The bytes of a file whose head was read. Whoever ends them, even before the first, ends the file, so that it is let go of. */
function chunks(rest: AsyncIterator<unknown>): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => rest as AsyncIterator<Uint8Array> };
}

/** RFC 6266: the name in UTF-8, and one that every client understands beside it. */
export function disposition(fileName: string): string {
  const plain = fileName.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(fileName).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
