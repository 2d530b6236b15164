import type { BlockList } from 'node:net';
import { CovistaError } from '../../protocol/errors.ts';
import type { Limits } from '../../protocol/limits.ts';
import type { Authenticator } from '../gateway/authenticate.ts';
import { nextRequestId } from '../gateway/call.ts';
import { CONNECT } from '../gateway/call-audit.ts';
import type { Gateway } from '../gateway/dispatch.ts';
import type { HttpFace } from '../gateway/http.ts';
import { RateLimit } from '../gateway/rate-limit.ts';
import { errorResponse } from '../gateway/rest-response.ts';
import { countedAddress, originOf, parseNetworks } from '../shared/addresses.ts';
import type { Logger } from '../shared/log.ts';
import { Connection, type ConnectionContext, type ConnectionSocket, type Door } from './connection.ts';
import { Counts } from './counts.ts';
import { type HttpRequest, type HttpResponse, loadEngine, type OpenPort, openPort, type TemplatedApp, type us_socket_context_t } from './engine.ts';
import { type HttpContext, HttpExchange, peerOf, refuse } from './http-exchange.ts';
import { type ListenerLoad, loadOf } from './listener-load.ts';
import { Origins } from './origins.ts';
import { RawConnection, type RawTarget } from './raw-connection.ts';
import { rawRoutes, rawTarget } from './raw-target.ts';
import { createSite, type Pages } from './site.ts';
import { tlsOptions } from './tls.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly gateway: Gateway;
  readonly rest: HttpFace;
  readonly authenticator: Authenticator;
  readonly limits: Limits;
  readonly log: Logger;
  readonly pages: Pages;
  /** Origins of other pages that may use the server. */
  readonly allowedOrigins: readonly string[];
  /** Paths of PEM files; undefined: no TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  readonly trustedProxies: readonly string[];
  /** Whether the server can serve now; asked by `/readyz`. */
  readonly ready: () => boolean | Promise<boolean>;
  /** Whether no new work is taken though the server does not stop. */
  readonly isClosed?: () => boolean;
}

export interface Listener {
  readonly port: number;
  load(): ListenerLoad;
  /** Takes no new sockets and no new requests, and says so, as does `/readyz`; the port stays open until all is closed. */
  stopAccepting(): void;
  /** Says goodbye to everybody but server admins, waits for requests in flight up to `drainTimeoutMs`, then closes their connections. */
  drainOthers(reason: string): Promise<void>;
  /** Says goodbye, waits for requests in flight up to `drainTimeoutMs`, then closes the port and every connection. */
  closeAll(reason: string): Promise<void>;
  /** Closes everything at once. */
  close(): void;
}

const RPC = '/rpc';

interface UserData {
  readonly address: string;
  /** Null: `/rpc`. */
  readonly target: RawTarget | null;
  connection: Door | undefined;
}

/** A kind of socket: its address, how large its messages may be, and what it asks for. */
interface SocketKind {
  readonly pattern: string;
  readonly messageBytesMax: number;
  readonly target: (request: HttpRequest) => RawTarget | null;
}

/** Serves `ws /rpc`, the sockets of channels, and HTTP on one port; rejects when the port cannot be had. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const engine = loadEngine(options.limits.httpHeaderBytesMax);
  const server = new SocketServer(options, options.tls === undefined ? engine.App() : engine.SSLApp(tlsOptions(options.tls)));
  return server.start(await openPort(engine, server.app, options));
}

class SocketServer {
  readonly app: TemplatedApp;
  readonly #options: ListenOptions;
  readonly #connections = new Set<Door>();
  readonly #exchanges = new Set<HttpExchange>();
  #whenHttpIdle: (() => void) | undefined;
  readonly #connectionContext: ConnectionContext;
  readonly #httpContext: HttpContext;
  /** Sockets of each address. */
  readonly #sockets = new Counts();
  readonly #origins: Origins;
  readonly #trustedProxies: BlockList;
  readonly #arrivals: RateLimit;
  #awaitingHello = 0;
  #isStopping = false;

  constructor(options: ListenOptions, app: TemplatedApp) {
    this.#options = options;
    this.app = app;
    this.#origins = new Origins(options.allowedOrigins);
    this.#trustedProxies = parseNetworks(options.trustedProxies);
    const { requestsPerAddressPerSecond: most, rateKeysMax: keysMax } = options.limits;
    this.#arrivals = new RateLimit({ what: 'requests from your address', limit: 'requestsPerAddressPerSecond', most, periodMs: 1_000, keysMax });
    const { gateway, authenticator, limits, log, rest, pages } = options;
    this.#connectionContext = {
      gateway,
      authenticator,
      limits,
      log,
      sessions: new Counts(),
      isDraining: () => this.#isDraining(),
      onAwaiting: (change) => {
        this.#awaitingHello += change;
      },
    };
    const face = createSite({
      rest,
      pages,
      ready: options.ready,
      isDraining: () => this.#isDraining(),
      origins: this.#origins,
      isEncrypted: options.tls !== undefined,
    });
    this.#httpContext = {
      face: this.#limited(face),
      trustedProxies: this.#trustedProxies,
      limits,
      log,
      onEnd: (exchange) => this.#httpEnded(exchange),
    };
    this.#route();
  }

  start({ port, close }: OpenPort): Listener {
    return {
      port,
      load: () => loadOf(this.#connections, { http: this.#exchanges.size, awaiting: this.#awaitingHello }),
      stopAccepting: () => {
        this.#isStopping = true;
      },
      drainOthers: (reason) => this.#drain(reason, ({ isAdmin }) => !isAdmin),
      closeAll: (reason) => this.#drain(reason, () => true, close),
      close: () => {
        this.app.close();
      },
    };
  }

  #route(): void {
    const { frameBytesMax, requestBytesMax } = this.#options.limits;
    this.#serve({ pattern: RPC, messageBytesMax: frameBytesMax, target: () => null });
    for (const route of rawRoutes()) {
      const target = (request: HttpRequest): RawTarget =>
        rawTarget(route, { path: request.getUrl(), query: request.getQuery() ?? '', authorization: request.getHeader('authorization') });
      this.#serve({ pattern: `${route.prefix}*`, messageBytesMax: requestBytesMax, target });
    }
    this.app.any('/*', (response, request) => {
      if (this.#isFull()) refuse(response);
      else this.#exchanges.add(new HttpExchange(response, request, this.#httpContext));
    });
  }

  #serve(kind: SocketKind): void {
    const { limits } = this.#options;
    this.app.ws<UserData>(kind.pattern, {
      maxPayloadLength: kind.messageBytesMax,
      idleTimeout: Math.min(960, Math.max(8, Math.ceil(limits.idleTimeoutMs / 1000))),
      // The outbox bounds what is handed over; the engine must never drop any of it.
      maxBackpressure: 0,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => this.#upgrade(response, request, { context, kind }),
      open: (socket) => {
        const data = socket.getUserData();
        data.connection = this.#open(data, socket);
        this.#connections.add(data.connection);
        this.#sockets.enter(countedAddress(data.address));
      },
      message: (socket, message, isBinary) => socket.getUserData().connection?.receive(message, isBinary),
      drain: (socket) => socket.getUserData().connection?.drained(),
      close: (socket) => {
        const { connection, address } = socket.getUserData();
        if (connection === undefined) return;
        this.#connections.delete(connection);
        this.#sockets.leave(countedAddress(address));
        connection.closed();
      },
    });
  }

  #open({ address, target }: UserData, socket: ConnectionSocket): Door {
    const common = { id: nextRequestId(), address, socket, context: this.#connectionContext };
    return target === null ? new Connection(common) : new RawConnection({ ...common, target });
  }

  #isDraining(): boolean {
    return this.#isStopping || this.#options.isClosed?.() === true;
  }

  #isFull(): boolean {
    return this.#connections.size + this.#exchanges.size >= this.#options.limits.connectionsMax;
  }

  #httpEnded(exchange: HttpExchange): void {
    this.#exchanges.delete(exchange);
    if (this.#whenHttpIdle !== undefined && [...this.#exchanges].every(({ isExempt }) => isExempt)) this.#whenHttpIdle();
  }

  #upgrade(response: HttpResponse, request: HttpRequest, { context, kind }: { context: us_socket_context_t; kind: SocketKind }): void {
    // In maintenance, server admins come in over /rpc; the others are told when it is known who they are.
    const isClosed = this.#isStopping || (this.#isDraining() && kind.pattern !== RPC);
    if (isClosed || this.#isFull() || this.#awaitingHello >= this.#options.limits.connectionsAwaitingHelloMax) {
      refuse(response);
      return;
    }
    const address = originOf(peerOf(response), request.getHeader('x-forwarded-for'), this.#trustedProxies);
    if (!this.#origins.allows(request.getHeader('origin'), request.getHeader('host'))) {
      const refusal = new CovistaError('forbidden', 'pages of this origin may not use the server; see --allowed-origins');
      this.#options.gateway.refused(refusal, { operation: CONNECT, address });
      response.writeStatus('403 Forbidden').end(refusal.message);
      return;
    }
    if (this.#refusal(address, this.#options.limits.sessionsPerAddressMax) !== undefined) {
      response.writeStatus('429 Too Many Requests').writeHeader('retry-after', '1').end('too many sockets from your address');
      return;
    }
    const target = targetOf(kind, request);
    if (target === undefined) {
      response.writeStatus('400 Bad Request').end('the path is not properly percent-encoded');
      return;
    }
    const data: UserData = { address, target, connection: undefined };
    const header = (name: string): string => request.getHeader(`sec-websocket-${name}`);
    response.upgrade(data, header('key'), header('protocol'), header('extensions'), context);
  }

  /** Why an address that sends too much is not looked at; for sockets, also one that has too many open. */
  #refusal(address: string, socketsMax = Number.POSITIVE_INFINITY): CovistaError | undefined {
    const key = countedAddress(address);
    try {
      if (this.#sockets.of(key) >= socketsMax) {
        throw new CovistaError('rate_limited', `your address has ${socketsMax} sockets open already`, { sessionsPerAddressMax: socketsMax });
      }
      this.#arrivals.take(key);
      return undefined;
    } catch (fault) {
      if (!(fault instanceof CovistaError)) throw fault;
      this.#options.gateway.refused(fault, { operation: CONNECT, address });
      return fault;
    }
  }

  #limited(face: HttpFace): HttpFace {
    return {
      handle: async (request) => {
        const refusal = this.#refusal(request.address);
        return refusal === undefined ? face.handle(request) : errorResponse(refusal, nextRequestId());
      },
    };
  }

  async #drain(reason: string, isMeant: (door: Door) => boolean, onIdle = (): void => undefined): Promise<void> {
    const doors = [...this.#connections].filter(isMeant);
    const idle = Promise.all([...doors.map((door) => door.drain(reason)), this.#drainHttp()]);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#options.limits.drainTimeoutMs);
    });
    await Promise.race([idle, deadline]);
    clearTimeout(timer);
    onIdle();
    for (const door of [...this.#connections].filter(isMeant)) door.close(new CovistaError('draining', reason));
  }

  #drainHttp(): Promise<void> {
    const drained = [...this.#exchanges].filter(({ isExempt }) => !isExempt);
    for (const exchange of drained) exchange.drain();
    if (drained.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenHttpIdle = resolve;
    });
  }
}

/** Undefined: the address is none. */
function targetOf(kind: SocketKind, request: HttpRequest): RawTarget | null | undefined {
  try {
    return kind.target(request);
  } catch (fault) {
    if (fault instanceof CovistaError) return undefined;
    throw fault;
  }
}
