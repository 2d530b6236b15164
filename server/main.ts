#!/usr/bin/env node
import { realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Limits } from '../protocol/limits.ts';
import { type RunningServer, runCommand } from './cli/commands.ts';
import { assertSafeToListen, type Config, isReachable } from './config.ts';
import { createAuthenticator } from './gateway/authenticate.ts';
import { measured } from './gateway/call-metrics.ts';
import { createGateway, type Gateway } from './gateway/dispatch.ts';
import { withMetrics } from './gateway/metrics-face.ts';
import { loadOrCreateSecret } from './gateway/mint.ts';
import { createRest } from './gateway/rest.ts';
import { houseBackups } from './house-backups.ts';
import { houseMetrics } from './house-metrics.ts';
import { createHandlers } from './operations/index.ts';
import type { Services } from './operations/services.ts';
import { type AuditTrail, startAuditTrail } from './services/access/audit-trail.ts';
import { createAuthorizer } from './services/access/authorizer.ts';
import { createExplanations } from './services/access/explanations.ts';
import { openRevocations } from './services/access/revocations.ts';
import { createTickets } from './services/access/tickets.ts';
import { createVisibleVersions } from './services/access/visible-versions.ts';
import { createDatasetRemoval } from './services/datasets.ts';
import { createDocuments } from './services/documents/documents.ts';
import { createEventFeed } from './services/events/event-feed.ts';
import { startHousekeeping } from './services/maintenance/housekeeping.ts';
import type { TableEngine } from './services/tables/engine.ts';
import { holdingTableFiles } from './services/tables/engine-files.ts';
import { startTables } from './services/tables/start.ts';
import { createUploads } from './services/uploads/uploads.ts';
import { createCommitQueue } from './services/versioning/commit-queue.ts';
import { createCommits } from './services/versioning/commits.ts';
import { createDiffs } from './services/versioning/diffs.ts';
import { createDownloads } from './services/versioning/downloads.ts';
import { createPreviews } from './services/versioning/previews.ts';
import { createRefResolver } from './services/versioning/refs.ts';
import { createVersionReader } from './services/versioning/version-reader.ts';
import { systemClock } from './shared/clock.ts';
import { Closers } from './shared/closers.ts';
import { createLog, type Logger } from './shared/log.ts';
import { listen } from './socket/listen.ts';
import { bindDataDirectory } from './storage/files/deployment.ts';
import { createEncryptedObjects } from './storage/files/encrypted-objects.ts';
import { createEncryptedStaging } from './storage/files/encrypted-staging.ts';
import { createLocalObjects } from './storage/files/local-objects.ts';
import { createStaging, prepareStaging, type WorkDirectories } from './storage/files/staging.ts';
import { openStoreKey } from './storage/files/store-key.ts';
import { openContentStore } from './storage/parquet/open.ts';
import { startEmbedded } from './storage/postgres/embedded.ts';
import { migrate } from './storage/postgres/migrate.ts';
import { openMetadataStore } from './storage/postgres/open.ts';
import type { Stores } from './storage/stores.ts';
import { loadWorkbench } from './workbench.ts';
import { DocumentStatesThread } from './workers/document-states.client.ts';
import { DuckdbTables } from './workers/duckdb-tables.client.ts';
import { PerspectiveMemory } from './workers/perspective-memory-pool.ts';

export interface StartedServer extends RunningServer {
  /** The way to the handlers that all doors share. */
  readonly gateway: Gateway;
}

/** What stands in the place of a part of the server. */
export interface Parts {
  readonly engines?: (stores: Stores) => readonly TableEngine[];
}

/** With a database of its own nobody else can have commits under way; on a shared one, others are given this long. */
const SHARED_GRACE_MS = 60 * 60 * 1_000;

/**
 * Starts everything in the order of dependence; what was started is stopped in reverse, also when starting fails. Stopping
 * takes no new work and finishes what is under way within `drainTimeoutMs`.
 */
export async function startServer(config: Config, parts: Parts = {}): Promise<StartedServer> {
  assertSafeToListen(config);
  // libuv reads this when the pool is first used, which nothing has done yet.
  process.env.UV_THREADPOOL_SIZE ??= String(config.limits.threadPoolSize);
  const log = createLog(config.logLevel, config.logPretty);
  const closers = new Closers();
  try {
    const { directories, inMemoryOnly, ...stores } = await openStores(config, log, closers);
    const audit = startAuditTrail({ store: stores.metadata.audit, limits: config.limits, clock: systemClock, log });
    closers.add(() => audit.close());
    const place = { spillDirectory: join(directories.own, 'tables'), readableDirectories: [resolve(config.dataDir)], inMemoryOnly };
    const duckdb = (): TableEngine => new DuckdbTables({ ...place, limits: config.limits, log });
    const memory = (): TableEngine => new PerspectiveMemory({ content: stores.content, limits: config.limits, log });
    const { engines: others } = parts;
    const starts = others === undefined ? [() => [memory()], () => [duckdb()]] : [() => others(stores)];
    const engines = starts.flatMap((start) => startEngines(start, stores, log));
    const services = await startServices(config, { stores, engines, log, closers });
    return await openDoors(config, { services, audit, log, closers });
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** An engine that cannot start is missed by its tables alone: everything else works without it. */
function startEngines(start: () => readonly TableEngine[], stores: Stores, log: Logger): readonly TableEngine[] {
  try {
    return start().map((engine) => holdingTableFiles(engine, stores.objects.lease));
  } catch (error) {
    log.error({ err: error }, 'an engine of tables cannot start; its tables are unavailable');
    return [];
  }
}

type Opened = Stores & { readonly directories: WorkDirectories; readonly inMemoryOnly: boolean };

async function openStores(config: Config, log: Logger, closers: Closers): Promise<Opened> {
  const { limits } = config;
  const dataDir = resolve(config.dataDir);
  const url = config.databaseUrl ?? (await openEmbedded(dataDir, log, closers));
  await migrate(url, log);
  const metadata = await openMetadataStore({ url, limits, log });
  closers.add(() => metadata.close());
  await bindDataDirectory(dataDir, await metadata.deploymentId());
  const directories = await prepareStaging(dataDir, { shared: config.databaseUrl !== undefined });
  closers.add(() => rm(directories.own, { recursive: true, force: true }));
  const key = await openStoreKey(dataDir, config.masterKeys, log);
  const { objects, staging } = await openFiles({ dataDir, directories, key, limits });
  const exports = { staging: directories.staging, spill: directories.spill, exports: directories.exports };
  const content = await openContentStore({
    directories: { ...exports, readable: [dataDir] },
    lease: objects.lease,
    inMemoryOnly: key !== undefined,
    limits,
    log,
  });
  closers.add(() => content.close());
  closers.add(houseBackups(config, url, log).stop);
  return { metadata, objects, staging, content, directories, inMemoryOnly: key !== undefined };
}

interface Files {
  readonly dataDir: string;
  readonly directories: WorkDirectories;
  /** Undefined: nothing is encrypted. */
  readonly key: Uint8Array | undefined;
  readonly limits: Limits;
}

async function openFiles({ dataDir, directories, key, limits }: Files): Promise<Pick<Stores, 'objects' | 'staging'>> {
  const root = join(dataDir, 'objects');
  if (key === undefined) return { objects: createLocalObjects(root), staging: createStaging(directories) };
  return {
    objects: createEncryptedObjects({ root, key, cacheDirectory: directories.decrypted, limits }),
    staging: await createEncryptedStaging(directories, key),
  };
}

async function openEmbedded(dataDir: string, log: Logger, closers: Closers): Promise<string> {
  const embedded = await startEmbedded({ dataDir, log });
  closers.add(() => embedded.stop());
  return embedded.url;
}

interface Foundation {
  readonly stores: Stores;
  readonly engines: readonly TableEngine[];
  readonly log: Logger;
  readonly closers: Closers;
}

async function startServices(config: Config, { stores, engines, log, closers }: Foundation): Promise<Services> {
  const { limits } = config;
  const { metadata, objects } = stores;
  const authorizer = createAuthorizer({ grants: metadata.grants, limits, clock: systemClock });
  const events = createEventFeed({ events: metadata.events, limits });
  const revocations = await openRevocations({
    store: metadata.sessions,
    clockToleranceMs: config.jwtClockToleranceMs,
    limits,
    clock: systemClock,
    log,
  });
  closers.add(() => revocations.close());
  const listening = await metadata.events.listen((notice) => {
    authorizer.notice(notice);
    revocations.notice(notice);
    events.notice(notice);
  });
  closers.add(() => listening.close());
  const graceMs = config.databaseUrl === undefined ? 0 : SHARED_GRACE_MS;
  const housekeeping = startHousekeeping({ stores, limits, log, graceMs: SHARED_GRACE_MS });
  closers.add(() => housekeeping.stop());
  await housekeeping.sweep(graceMs);
  const reader = createVersionReader({ versions: metadata.versions, objects, limits });
  const refs = createRefResolver({ pointers: metadata.pointers, versions: metadata.versions, reader });
  const visible = createVisibleVersions({ content: stores.content, reader, limits });
  // A database of its own is this server's alone: what others held of it, they held before they ended.
  if (config.databaseUrl === undefined) await metadata.documents.releaseAll();
  const states = new DocumentStatesThread();
  closers.add(() => states.close());
  const documents = createDocuments({ store: metadata.documents, states, authorizer, limits, clock: systemClock, log });
  closers.add(() => documents.close());
  const uploads = createUploads({ stores, limits });
  const key = await loadOrCreateSecret(config.dataDir, 'table-secret');
  const tableServices = startTables({ engines, key, stores, authorizer, reader, refs, visible, uploads, limits, clock: systemClock });
  closers.add(() => tableServices.close());
  const queue = createCommitQueue({ versions: metadata.versions, objects, limits });
  return {
    stores,
    authorizer,
    revocations,
    tickets: createTickets({ store: metadata.sessions, limits, clock: systemClock }),
    events,
    reader,
    refs,
    documents,
    datasets: createDatasetRemoval({ stores, authorizer, tables: tableServices.tables }),
    uploads,
    ...tableServices,
    commits: createCommits({ stores, queue, refs, reader, limits }),
    previews: createPreviews({ stores, reader, visible, limits }),
    explanations: createExplanations({ authorizer, refs, reader }),
    visible,
    diffs: createDiffs({ stores, reader }),
    downloads: createDownloads({ stores, reader }),
    limits,
  };
}

interface House {
  readonly services: Services;
  readonly audit: AuditTrail;
  readonly log: Logger;
  readonly closers: Closers;
}

async function openDoors(config: Config, { services, audit, log, closers }: House): Promise<StartedServer> {
  const { limits } = config;
  const { metadata } = services.stores;
  const metrics = houseMetrics({ metadata, tables: services.tables });
  const unmeasured = createGateway({
    handlers: createHandlers(services),
    authorize: services.authorizer.decide,
    hold: services.authorizer.hold,
    stepUp: config.stepUp,
    idempotency: metadata.idempotency,
    audit,
    limits,
    log,
  });
  const gateway = measured(unmeasured, metrics);
  const authenticator = createAuthenticator({
    key: config.jwksUrl === undefined ? { secret: config.jwtSecret ?? (await loadOrCreateSecret(config.dataDir)) } : { jwksUrl: config.jwksUrl },
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    clockToleranceMs: config.jwtClockToleranceMs,
    groupsClaim: config.jwtGroupsClaim,
    revocations: services.revocations,
    tickets: services.tickets,
    audit,
    limits,
    clock: systemClock,
  });
  const rest = withMetrics(createRest({ gateway, authenticator, limits, log }), { metrics, authenticator, isReachable: isReachable(config) });
  const ready = async (): Promise<boolean> => (await Promise.allSettled([metadata.ping()]))[0].status === 'fulfilled';
  const { host } = config;
  const listener = await listen({
    allowedOrigins: config.allowedOrigins,
    tls: config.tls,
    trustedProxies: config.trustedProxies,
    host,
    port: config.port,
    gateway,
    rest,
    authenticator,
    limits,
    log,
    pages: await loadWorkbench(config.workbenchDir),
    ready,
  });
  closers.add(() => listener.close());
  const url = `${config.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${listener.port}`;
  log.info({ url }, 'serving');
  const stop = async (): Promise<void> => {
    log.info('stopping');
    listener.stopAccepting();
    await listener.closeAll('the server is stopping');
    await closers.close();
    log.info('stopped');
  };
  let stopped: Promise<void> | undefined;
  return {
    url,
    gateway,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  process.exitCode = await runCommand(process.argv.slice(2), process.env, { startServer });
}
