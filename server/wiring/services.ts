import type { Config } from '../config.ts';
import { loadOrCreateSecret } from '../gateway/mint.ts';
import type { Services } from '../operations/services.ts';
import { NOBODY } from '../services/access/actor.ts';
import { createAuthorizer } from '../services/access/authorizer.ts';
import { createExplanations } from '../services/access/explanations.ts';
import { openRevocations } from '../services/access/revocations.ts';
import { createTickets } from '../services/access/tickets.ts';
import { createVisibleVersions } from '../services/access/visible-versions.ts';
import { createDatasetRemoval } from '../services/datasets.ts';
import { createDocuments } from '../services/documents/documents.ts';
import { createEventFeed } from '../services/events/event-feed.ts';
import { Maintenance, type MaintenanceOptions } from '../services/maintenance/maintenance.ts';
import type { TableEngine } from '../services/tables/engine.ts';
import { startTables } from '../services/tables/start.ts';
import { createUploads } from '../services/uploads/uploads.ts';
import { createCommitQueue } from '../services/versioning/commit-queue.ts';
import { type CommitReport, createCommits } from '../services/versioning/commits.ts';
import { createDiffs, type Diffs } from '../services/versioning/diffs.ts';
import { createDownloads } from '../services/versioning/downloads.ts';
import { createPreviews } from '../services/versioning/previews.ts';
import { createRefResolver } from '../services/versioning/refs.ts';
import { createVersionReader } from '../services/versioning/version-reader.ts';
import { systemClock } from '../shared/clock.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics } from '../shared/metrics.ts';
import type { EventNotice, Stores } from '../storage/stores.ts';
import { DocumentStatesThread } from '../workers/document-states.client.ts';
import type { Watch } from './alerts.ts';
import { engineTimes, watchCommits, watchServices } from './metrics.ts';
import { startSchedules } from './schedules.ts';
import type { OpenedStores } from './stores.ts';
import { startUpkeep } from './upkeep.ts';

interface Foundation {
  readonly stores: OpenedStores;
  readonly engines: readonly TableEngine[];
  readonly watch: Watch;
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
}

export async function startServices(config: Config, { stores, engines, watch, log, closers, metrics }: Foundation): Promise<Services> {
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
  metrics.jobs({ revocations });
  const reader = createVersionReader({ versions: metadata.versions, objects, limits });
  const followers: { notice(notice: EventNotice): void }[] = [watch.denials, authorizer, revocations, reader, events];
  const listening = await metadata.events.listen((notice) => {
    for (const follower of followers) follower.notice(notice);
  });
  closers.add(() => listening.close());
  if (config.databaseUrl === undefined) await releaseAll(metadata);
  const retention = await startUpkeep(config, { stores, log, closers, metrics }, (datasetId) => reader.forget(datasetId));
  const refs = createRefResolver({ pointers: metadata.pointers, versions: metadata.versions, reader });
  const visible = createVisibleVersions({ content: stores.content, reader, limits });
  const states = new DocumentStatesThread({ limits, databaseUrl: stores.databaseUrl }, metrics.threads);
  closers.add(() => states.close());
  const sources = { refs, reader, versions: metadata.versions, content: stores.content };
  const documents = createDocuments({ ...sources, store: metadata.documents, states, authorizer, limits, clock: systemClock, log });
  closers.add(() => documents.close());
  metrics.jobs(documents.jobs);
  const uploads = createUploads({ stores, limits });
  const key = await loadOrCreateSecret(config.dataDir, 'table-secret');
  const times = engineTimes(metrics);
  const tableServices = startTables({ engines, key, stores, authorizer, reader, refs, visible, uploads, times, limits, clock: systemClock });
  closers.add(() => tableServices.close());
  // First, so that whoever has a table of a deleted dataset open is told that, and not only that there is none.
  followers.unshift(tableServices.tables);
  const queue = createCommitQueue({ versions: metadata.versions, objects, limits });
  const diffs = createDiffs({ stores, reader, limits });
  const onCommitted = preparing(diffs, watchCommits(metrics, { reader, creations: watch.creations, waiting: queue.waiting }));
  watchServices(metrics, { ...tableServices, documents, authorizer, reader, visible });
  const removal = { store: metadata.datasets, authorizer, denials: watch.denials, tables: tableServices.tables, graceMs: limits.removalGraceMs, log };
  const house = { stores, authorizer, revocations, refs, reader, visible, states, ...tableServices, log, closers, metrics };
  const { schedules, runs } = await startSchedules(config, house);
  const maintained = { tables: tableServices.tables, authorizer, reader, schedules: runs };
  return {
    alerts: watch.startAlerts(tableServices.tables),
    maintenance: startMaintenance(maintained, { stores, limits, log, closers, metrics }),
    stores,
    authorizer,
    revocations,
    tickets: createTickets({ store: metadata.sessions, limits, clock: systemClock }),
    events,
    reader,
    refs,
    documents,
    datasets: createDatasetRemoval({ ...removal, retention }),
    retention,
    uploads,
    ...tableServices,
    commits: createCommits({ stores, queue, refs, reader, limits, onCommitted, onBegun: (begun) => watch.creations.begin(begun) }),
    previews: createPreviews({ stores, reader, visible, limits }),
    explanations: createExplanations({ authorizer, refs, reader }),
    visible,
    diffs,
    downloads: createDownloads({ stores, reader }),
    schedules,
    limits,
  };
}

/** A database of its own is this server's alone: what others held of it, they held before they ended. */
async function releaseAll({ documents, disposal }: Stores['metadata']): Promise<void> {
  await documents.releaseAll();
  await disposal.leaveAll();
}

function preparing(diffs: Pick<Diffs, 'prepare'>, watchCommit: (report: CommitReport) => void): (report: CommitReport) => void {
  return (report) => {
    watchCommit(report);
    // A version that cannot be read has nothing to prepare, and whoever compares it is told.
    diffs.prepare(report.version).catch(() => undefined);
  };
}

type MaintenanceParts = Pick<Foundation, 'stores' | 'log' | 'closers' | 'metrics'> & Pick<Config, 'limits'>;
type Maintained = Pick<Services, 'tables' | 'authorizer' | 'reader'> & Pick<MaintenanceOptions, 'schedules'>;

function startMaintenance(
  { tables, authorizer, reader, schedules }: Maintained,
  { stores, limits, log, closers, metrics }: MaintenanceParts,
): Maintenance {
  const warm: MaintenanceOptions['warm'] = async ({ datasetId, versionId }) => {
    await Promise.all([authorizer.standing(NOBODY, datasetId), reader.record(datasetId, versionId)]);
  };
  const maintenance = new Maintenance({ store: stores.metadata.savedTables, tables, schedules, warm, limits, clock: systemClock, log });
  closers.add(() => maintenance.stop());
  metrics.jobs({ saved_tables: maintenance });
  return maintenance;
}
