import { createRequire } from 'node:module';
import type * as uws from 'uws-20.69';

/** uWebSockets.js as its newer build declares it; the older one lacks nothing that is used here. */
export type Engine = typeof uws;
export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, us_socket_context_t, WebSocket } from 'uws-20.69';

/** Newest first: the newer build needs a newer C library than some systems have. */
const BUILDS = ['uws-20.69', 'uws-20.51'] as const;

/**
 * Loads the newest build of uWebSockets.js that this system can run. The library reads its bound on header bytes from the
 * process environment while it loads, so the first call decides it for the process.
 */
export function loadEngine(headerBytesMax: number): Engine {
  process.env.UWS_HTTP_MAX_HEADERS_SIZE ??= String(headerBytesMax);
  const require = createRequire(import.meta.url);
  const faults: unknown[] = [];
  for (const build of BUILDS) {
    try {
      return require(build) as Engine;
    } catch (fault) {
      faults.push(fault);
    }
  }
  throw new AggregateError(faults, `no build of uWebSockets.js loads on this system: ${BUILDS.join(', ')}`);
}
