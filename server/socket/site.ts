import { CovistaError } from '../../protocol/errors.ts';
import { openApi } from '../../protocol/openapi.ts';
import { nextRequestId } from '../gateway/call.ts';
import { isDrainExemptPath } from '../gateway/drain-exempt.ts';
import type { HttpFace, HttpRequest, HttpResponse } from '../gateway/http.ts';
import { errorResponse } from '../gateway/rest-response.ts';
import { corsHeaders, isPreflight, type Origins, preflightResponse } from './origins.ts';

/** A static page or asset. */
export interface Page {
  readonly contentType: string;
  readonly content: Uint8Array | string;
  /** Whether the path names the content by hash, so that caches may keep it for good. */
  readonly immutable: boolean;
  /** The same content compressed, by the name that `accept-encoding` has for it, best first. */
  readonly compressed?: ReadonlyMap<string, Uint8Array>;
}

/** Pages by path, such as `/` and `/assets/index-3f2a.js`. */
export type Pages = ReadonlyMap<string, Page>;

export interface SiteOptions {
  readonly origins: Origins;
  /** Whether the port speaks TLS. */
  readonly isEncrypted: boolean;
  readonly rest: HttpFace;
  readonly pages: Pages;
  /** Whether the server can serve now. */
  readonly ready: () => boolean | Promise<boolean>;
  /** Whether the server takes no new work. */
  readonly isDraining: () => boolean;
}

/** Everything on the port that is no WebSocket: REST below `/api/`, health, the description of the API, static pages. */
export function createSite({ rest, pages, ready, isDraining, origins, isEncrypted }: SiteOptions): HttpFace {
  const description = JSON.stringify(openApi());
  const fixed = new Map<string, (request: HttpRequest) => HttpResponse | Promise<HttpResponse>>([
    ['/healthz', () => text(200, 'alive\n')],
    ['/readyz', async () => (!isDraining() && (await ready()) ? text(200, 'ready\n') : text(503, 'not ready\n'))],
    ['/openapi.json', (request) => page(request, { contentType: 'application/json; charset=utf-8', content: description, immutable: false })],
    ...[...pages].map(([path, found]) => [path, (request: HttpRequest) => page(request, found)] as const),
  ]);
  const answer = async (request: HttpRequest): Promise<HttpResponse> => {
    const known = fixed.get(request.path);
    if (known === undefined || !['GET', 'HEAD'].includes(request.method)) {
      if (isDraining() && !isDrainExemptPath(request.path))
        return errorResponse(new CovistaError('draining', 'the server takes no new work now'), nextRequestId());
      return rest.handle(request);
    }
    return known(request);
  };
  const preflight = (request: HttpRequest): HttpResponse => {
    if (origins.allows(request.header('origin'), request.header('host'))) return preflightResponse;
    return errorResponse(new CovistaError('forbidden', 'pages of this origin may not use the server; see --allowed-origins'), nextRequestId());
  };
  const secured = isEncrypted ? [...SECURITY_HEADERS, HSTS] : SECURITY_HEADERS;
  return {
    handle: async (request) => {
      const response = isPreflight(request) ? preflight(request) : await answer(request);
      return { ...response, headers: [...response.headers, ...secured, ...corsHeaders(request, origins)] };
    },
  };
}

/** Nobody learns from a Referer what was in a URL, such as a ticket. */
const SECURITY_HEADERS: HttpResponse['headers'] = [['referrer-policy', 'no-referrer']];
const HSTS: HttpResponse['headers'][number] = ['strict-transport-security', 'max-age=31536000'];

/** Pages run their own scripts, WebAssembly and workers, are styled in place, talk to this server alone, and are not framed. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

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

function page(request: HttpRequest, { contentType, content, immutable, compressed = new Map() }: Page): HttpResponse {
  const accepted = request.header('accept-encoding').split(/[\s,;]+/);
  const [encoding, body] = [...compressed].find(([name]) => accepted.includes(name)) ?? ['identity', content];
  const headers: [string, string][] = [
    ['content-type', contentType],
    ['cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache'],
    ['x-content-type-options', 'nosniff'],
    ['content-security-policy', PAGE_POLICY],
  ];
  if (compressed.size > 0) headers.push(['vary', 'accept-encoding']);
  if (encoding !== 'identity') headers.push(['content-encoding', encoding]);
  return { status: 200, headers, body: { kind: 'whole', content: body } };
}
