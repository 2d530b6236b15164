import type { HttpRequest, HttpResponse } from '../gateway/http.ts';

/** Which web pages may use the server: its own, and those whose origins the settings name (`*`: any). */
export class Origins {
  readonly #allowed: ReadonlySet<string>;

  constructor(allowed: readonly string[]) {
    this.#allowed = new Set(allowed);
  }

  /** Programs send no origin; browsers always do where it matters. */
  allows(origin: string, host: string): boolean {
    return origin === '' || this.#allowed.has('*') || this.#allowed.has(origin) || hostOf(origin) === host.toLowerCase();
  }
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

const EXPOSED = 'content-disposition, content-range, etag, retry-after, x-request-id';
const PREFLIGHT: HttpResponse['headers'] = [
  ['access-control-allow-methods', 'GET, HEAD, POST, PUT, PATCH, DELETE'],
  ['access-control-allow-headers', 'authorization, content-type, idempotency-key, if-match, if-none-match, if-range, range'],
  ['access-control-max-age', '600'],
];

/** What tells a browser that a page of another origin may read the answer (https://fetch.spec.whatwg.org/#http-cors-protocol). */
export function corsHeaders(request: HttpRequest, origins: Origins): HttpResponse['headers'] {
  const origin = request.header('origin');
  if (origin === '') return [];
  if (!origins.allows(origin, request.header('host'))) return [['vary', 'origin']];
  return [
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', EXPOSED],
    ['vary', 'origin'],
  ];
}

export function isPreflight(request: HttpRequest): boolean {
  return request.method === 'OPTIONS' && request.header('origin') !== '' && request.header('access-control-request-method') !== '';
}

export const preflightResponse: HttpResponse = { status: 204, headers: PREFLIGHT, body: { kind: 'none' } };
