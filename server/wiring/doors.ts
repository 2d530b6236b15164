import type { RunningServer } from '../cli/commands.ts';
import { type Config, isReachable } from '../config.ts';
import { createAuthenticator } from '../gateway/authenticate.ts';
import { measured, measuredAuthorize } from '../gateway/call-metrics.ts';
import { createGateway, type Gateway } from '../gateway/dispatch.ts';
import { withMetrics } from '../gateway/metrics-face.ts';
import { loadOrCreateSecret } from '../gateway/mint.ts';
import { createRest } from '../gateway/rest.ts';
import { createHandlers } from '../operations/index.ts';
import type { Services } from '../operations/services.ts';
import { httpUrl } from '../shared/addresses.ts';
import { CacheCounts } from '../shared/cache-counts.ts';
import { systemClock } from '../shared/clock.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics } from '../shared/metrics.ts';
import { listen } from '../socket/listen.ts';
import { loadWorkbench } from '../workbench.ts';
import type { Watch } from './alerts.ts';
import { watchListener } from './metrics.ts';
import { withTraces } from './traces.ts';

export interface StartedServer extends RunningServer {
  /** The way to the handlers that all doors share. */
  readonly gateway: Gateway;
}

interface House {
  readonly services: Services;
  readonly watch: Watch;
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
}

export async function openDoors(config: Config, { services, watch, log, closers, metrics }: House): Promise<StartedServer> {
  const { limits } = config;
  const { audit, tightening } = watch;
  const { maintenance } = services;
  const { metadata } = services.stores;
  const unmeasured = createGateway({
    handlers: createHandlers(services),
    authorize: measuredAuthorize(services.authorizer.decide, metrics),
    hold: services.authorizer.hold,
    stepUp: config.stepUp,
    idempotency: metadata.idempotency,
    audit,
    tightening,
    limits,
    log,
  });
  const gateway = await withTraces(measured(unmeasured, metrics), config, { closers, log });
  const counts = new CacheCounts();
  metrics.cache('tokens', () => counts);
  const authenticator = createAuthenticator({
    key: config.jwksUrl === undefined ? { secret: config.jwtSecret ?? (await loadOrCreateSecret(config.dataDir)) } : { jwksUrl: config.jwksUrl },
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    clockToleranceMs: config.jwtClockToleranceMs,
    groupsClaim: config.jwtGroupsClaim,
    revocations: services.revocations,
    tickets: services.tickets,
    audit,
    tightening,
    counts,
    limits,
    clock: systemClock,
  });
  const rest = withMetrics(createRest({ gateway, authenticator, limits, log }), { metrics, authenticator, isReachable: isReachable(config) });
  const ready = async (): Promise<boolean> => (await Promise.allSettled([metadata.ping()]))[0].status === 'fulfilled';
  const listener = await listen({
    allowedOrigins: config.allowedOrigins,
    tls: config.tls,
    trustedProxies: config.trustedProxies,
    host: config.host,
    port: config.port,
    gateway,
    rest,
    authenticator,
    limits,
    log,
    pages: await loadWorkbench(config.workbenchDir),
    ready,
    isClosed: maintenance.isDraining,
  });
  maintenance.bind({ drainOthers: (reason) => listener.drainOthers(reason) });
  closers.add(() => listener.close());
  watchListener(metrics, listener);
  const url = httpUrl({ ...config, port: listener.port });
  log.info({ url }, 'serving');
  maintenance.preload();
  return {
    url,
    gateway,
    stop: once(async () => {
      log.info('stopping');
      listener.stopAccepting();
      closers.begin();
      await maintenance.stop();
      await listener.closeAll('the server is stopping');
      await closers.close();
      log.info('stopped');
    }),
  };
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= run();
    return running;
  };
}
