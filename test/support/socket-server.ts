import type { PermissionLevel } from '../../protocol/define.ts';
import type { DatasetId } from '../../protocol/ids.ts';
import { type LimitName, resolveLimits } from '../../protocol/limits.ts';
import { operations } from '../../protocol/operations/index.ts';
import { type Authenticator, type AuthenticatorOptions, createAuthenticator } from '../../server/gateway/authenticate.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../server/gateway/dispatch.ts';
import { mintToken, type TokenRequest } from '../../server/gateway/mint.ts';
import { createRest } from '../../server/gateway/rest.ts';
import type { CallContext, Handlers } from '../../server/operations/handler.ts';
import { whoami } from '../../server/operations/session.ts';
import type { Access } from '../../server/services/access/access.ts';
import { systemClock } from '../../server/shared/clock.ts';
import { createLog } from '../../server/shared/log.ts';
import { type Listener, type ListenOptions, listen } from '../../server/socket/listen.ts';
import { UNRESTRICTED } from '../../server/storage/content-store.ts';
import { NO_SESSIONS } from './sessions.ts';

export const TEST_SECRET = 'a secret of tests, long enough for HS256';

/** Handlers by `noun.verb`; what a test does not give is a fault when it is called. */
export type TestHandlers = Readonly<Record<string, (input: never, context: CallContext) => unknown>>;

export interface TestServerOptions {
  readonly handlers?: TestHandlers;
  readonly limits?: Partial<Record<LimitName, number>>;
  readonly authorize?: GatewayOptions['authorize'];
  readonly idempotency?: GatewayOptions['idempotency'];
  readonly authentication?: Partial<AuthenticatorOptions>;
  /** Stands before the real one, to hold it up. */
  readonly beforeAuthentication?: (token: string) => Promise<void>;
  /** Stands in front of the real one. */
  readonly before?: (gateway: Gateway) => Gateway;
  readonly stepUp?: GatewayOptions['stepUp'];
  readonly audit?: GatewayOptions['audit'];
  readonly listening?: Partial<Pick<ListenOptions, 'port' | 'allowedOrigins' | 'tls' | 'trustedProxies'>>;
  readonly ready?: () => boolean;
}

export interface TestServer {
  readonly port: number;
  readonly url: string;
  readonly listener: Listener;
  token(request?: Partial<TokenRequest>): Promise<string>;
  /** A request with a token of alice's unless it brings an Authorization header (an empty one sends none). */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  close(): void;
}

export function accessTo(datasetId: DatasetId, permission: PermissionLevel): Access {
  return { datasetId, permission, scope: UNRESTRICTED, grantIds: [] };
}

/** A real server on a free port whose handlers are the test's own. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const limits = resolveLimits(options.limits);
  const log = createLog('silent', false);
  const verifier = createAuthenticator({
    key: { secret: TEST_SECRET },
    issuer: undefined,
    audience: undefined,
    clockToleranceMs: 0,
    groupsClaim: 'groups',
    ...NO_SESSIONS,
    audit: options.audit ?? NO_SESSIONS.audit,
    limits,
    clock: systemClock,
    ...options.authentication,
  });
  const authenticator: Authenticator = {
    remainingMs: verifier.remainingMs,
    watch: verifier.watch,
    authenticate: verifier.authenticate,
    admit: async (token, address) => {
      await options.beforeAuthentication?.(token);
      return verifier.admit(token, address);
    },
  };
  const made = createGateway({
    handlers: completeHandlers(options.handlers ?? {}),
    authorize: options.authorize ?? ((_actor, permission, datasetId) => accessTo(datasetId, permission)),
    hold: () => () => undefined,
    stepUp: options.stepUp ?? { amr: [], acr: [] },
    idempotency: options.idempotency ?? { find: async () => undefined },
    audit: options.audit ?? NO_SESSIONS.audit,
    limits,
    log,
  });
  const gateway = options.before?.(made) ?? made;
  const rest = createRest({ gateway, authenticator, limits, log });
  const ready = options.ready ?? (() => true);
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    allowedOrigins: [],
    tls: undefined,
    trustedProxies: [],
    ...options.listening,
    gateway,
    rest,
    authenticator,
    limits,
    log,
    pages: new Map(),
    ready,
  });
  const url = `${options.listening?.tls === undefined ? 'http' : 'https'}://127.0.0.1:${listener.port}`;
  const token = (request: Partial<TokenRequest> = {}): Promise<string> => mintToken(TEST_SECRET, { subject: 'alice', ...request });
  const alice = await token();
  return {
    port: listener.port,
    url,
    listener,
    token,
    fetch: (path, init = {}) => {
      const headers = new Headers(init.headers);
      if (!headers.has('authorization')) headers.set('authorization', `Bearer ${alice}`);
      else if (headers.get('authorization') === '') headers.delete('authorization');
      return fetch(`${url}${path}`, { ...init, headers });
    },
    close: () => listener.close(),
  };
}

/** The given handlers beside those of the session, as a complete set. */
export function completeHandlers(handlers: TestHandlers): Handlers {
  const missing = (name: string) => () => {
    throw new Error(`the test gave no handler for ${name}`);
  };
  const known: Record<string, unknown> = { 'session.whoami': whoami, ...handlers };
  return Object.fromEntries(
    Object.entries(operations).map(([noun, verbs]) => [
      noun,
      Object.fromEntries(Object.keys(verbs).map((verb) => [verb, known[`${noun}.${verb}`] ?? missing(`${noun}.${verb}`)])),
    ]),
  ) as unknown as Handlers;
}
