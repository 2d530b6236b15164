import { createHash } from 'node:crypto';
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
  const content = toJson(value);
  if (operation.kind === 'query') {
    const etag = `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;
    headers.push(['etag', etag], ['vary', 'authorization']);
    if (request.method !== 'POST' && matchesAny(request.header('if-none-match'), etag)) return { status: 304, headers, body: { kind: 'none' } };
  }
  headers.push([...JSON_TYPE]);
  if (request.method === 'HEAD') return { status, headers, body: { kind: 'none', bytes: Buffer.byteLength(content) } };
  return { status, headers, body: { kind: 'whole', content } };
}

/** A stream as NDJSON; an error in the middle is its last line: `{"error": …}`. */
export async function linesResponse(request: HttpRequest, call: Call, items: AsyncIterable<unknown>): Promise<HttpResponse> {
  const headers: Headers = [...commonHeaders(call.requestId), ['content-type', 'application/x-ndjson; charset=utf-8']];
  if (request.method === 'HEAD') {
    await items[Symbol.asyncIterator]().return?.();
    return { status: 200, headers, body: { kind: 'none' } };
  }
  return { status: 200, headers, body: { kind: 'stream', chunks: lines(items), bytes: null } };
}

async function* lines(items: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  try {
    for await (const item of items) yield encoder.encode(`${toJson(item)}\n`);
  } catch (fault) {
    if (!(fault instanceof CovistaError)) throw fault;
    yield encoder.encode(`${toJson({ error: errorBody(fault) })}\n`);
  }
}

/** A file, its head already read: the whole of it, a range, or nothing where the caller has it already. */
export async function fileResponse(request: HttpRequest, call: Call, head: FileHead, rest: AsyncIterator<unknown>): Promise<HttpResponse> {
  const headers = fileHeaders(call, head);
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

function fileHeaders(call: Call, head: FileHead): Headers {
  const headers: Headers = [
    ...commonHeaders(call.requestId),
    ['etag', head.etag],
    ['last-modified', new Date(head.lastModified).toUTCString()],
    ['accept-ranges', 'bytes'],
    ['vary', 'accept-encoding, authorization'],
  ];
  if (head.encoding !== 'identity') headers.push(['content-encoding', head.encoding]);
  return headers;
}

async function* chunks(rest: AsyncIterator<unknown>): AsyncGenerator<Uint8Array> {
  let ended = false;
  try {
    while (true) {
      const next = await rest.next();
      ended = next.done === true;
      if (ended) return;
      yield next.value as Uint8Array;
    }
  } finally {
    if (!ended) await rest.return?.();
  }
}

/** RFC 6266: the name in UTF-8, and one that every client understands beside it. */
export function disposition(fileName: string): string {
  const plain = fileName.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(fileName).replace(/['()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`;
}
