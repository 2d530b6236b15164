import { CovistaError } from '../../protocol/errors.ts';
import { openApi } from '../../protocol/openapi.ts';
import { nextRequestId } from '../gateway/call.ts';
import type { HttpFace, HttpRequest, HttpResponse } from '../gateway/http.ts';
import { errorResponse } from '../gateway/rest-response.ts';

/** A static page or asset. */
export interface Page {
  readonly contentType: string;
  readonly content: Uint8Array | string;
  /** Whether the path names the content by hash, so that caches may keep it for good. */
  readonly immutable: boolean;
}

/** Pages by path, such as `/` and `/assets/index-3f2a.js`. */
export type Pages = ReadonlyMap<string, Page>;

export interface SiteOptions {
  readonly rest: HttpFace;
  readonly pages: Pages;
  /** Whether the server can serve now. */
  readonly ready: () => boolean | Promise<boolean>;
  /** Whether the server takes no new work. */
  readonly isDraining: () => boolean;
}

/** Everything on the port that is no WebSocket: REST below `/api/`, health, the description of the API, static pages. */
export function createSite({ rest, pages, ready, isDraining }: SiteOptions): HttpFace {
  const description = JSON.stringify(openApi());
  const fixed = new Map<string, () => HttpResponse | Promise<HttpResponse>>([
    ['/healthz', () => text(200, 'alive\n')],
    ['/readyz', async () => (!isDraining() && (await ready()) ? text(200, 'ready\n') : text(503, 'not ready\n'))],
    ['/openapi.json', () => page({ contentType: 'application/json; charset=utf-8', content: description, immutable: false })],
    ...[...pages].map(([path, found]) => [path, () => page(found)] as const),
  ]);
  return {
    handle: async (request) => {
      const answer = fixed.get(request.path);
      if (answer === undefined || !['GET', 'HEAD'].includes(request.method)) {
        if (isDraining()) return errorResponse(new CovistaError('draining', 'the server is stopping'), nextRequestId());
        return rest.handle(request);
      }
      return withoutBody(request, await answer());
    },
  };
}

function withoutBody({ method }: HttpRequest, response: HttpResponse): HttpResponse {
  if (method !== 'HEAD' || response.body.kind !== 'whole') return response;
  return { ...response, body: { kind: 'none', bytes: Buffer.byteLength(response.body.content) } };
}

function text(status: number, content: string): HttpResponse {
  return {
    status,
    headers: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['cache-control', 'no-store'],
    ],
    body: { kind: 'whole', content },
  };
}

function page({ contentType, content, immutable }: Page): HttpResponse {
  return {
    status: 200,
    headers: [
      ['content-type', contentType],
      ['cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache'],
      ['x-content-type-options', 'nosniff'],
    ],
    body: { kind: 'whole', content },
  };
}
