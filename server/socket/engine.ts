import { createRequire } from 'node:module';
import type * as uws from 'uws-20.69';

/** uWebSockets.js as its newer build declares it; the older one lacks nothing that is used here. */
export type Engine = typeof uws;
export type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from 'uws-20.69';

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

/** A port at which an app is reached. */
export interface OpenPort {
  readonly port: number;
  /** Takes no new connections; those that are open stay. */
  close(): void;
}

/** Without it a second server could listen there too, and callers would meet the one or the other. */
const EXCLUSIVE: uws.ListenOptions.LIBUS_LISTEN_EXCLUSIVE_PORT = 1;

/** Rejects with the code `EADDRINUSE` where the port cannot be had. */
export function openPort(engine: Engine, app: uws.TemplatedApp, { host, port }: { readonly host: string; readonly port: number }): Promise<OpenPort> {
  return new Promise((resolve, reject) => {
    app.listen(host, port, EXCLUSIVE, (socket) => {
      if (socket !== false) resolve({ port: engine.us_socket_local_port(socket), close: () => engine.us_listen_socket_close(socket) });
      else reject(Object.assign(new Error(`cannot listen on ${host}:${port}; is the port taken?`), { code: 'EADDRINUSE' }));
    });
  });
}
