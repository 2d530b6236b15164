import type { Services } from '../operations/services.ts';
import type { Creations } from '../services/alerts/rules.ts';
import type { TableServices } from '../services/tables/start.ts';
import type { EngineTimes } from '../services/tables/times.ts';
import type { CommitReport } from '../services/versioning/commits.ts';
import type { VersionReader } from '../services/versioning/version-reader.ts';
import { largest, type Metrics, toReadings } from '../shared/metrics.ts';
import type { Listener } from '../socket/listen.ts';
import { SEALED_SIZES } from '../storage/files/sealed.ts';
import type { OpenedStores } from './stores.ts';

/** Datasets and tables that have a label of their own; the others are told together. */
const NAMED_MAX = 20;

/** What stores tell when somebody reads the metrics. */
export function watchStores(
  metrics: Metrics,
  { metadata, content, inMemoryOnly }: Pick<OpenedStores, 'metadata' | 'content' | 'inMemoryOnly'>,
): void {
  const help = 'Data files, originals and exported files of the largest datasets on disk, and of the others together';
  metrics.gauge('storage_usage_by_dataset_bytes', help, ['dataset'], async () => {
    const { largest: named, othersBytes } = await metadata.datasets.storage(NAMED_MAX, inMemoryOnly ? SEALED_SIZES : null);
    return toReadings('dataset', [...named.map(({ datasetId, bytes }) => [String(datasetId), bytes] as const), ['other', othersBytes]]);
  });
  metrics.gauge('database_connections', 'Connections to PostgreSQL that work and that are idle', ['state'], () => {
    const { busy, idle } = metadata.pool();
    return toReadings('state', Object.entries({ busy, idle }));
  });
  metrics.gauge('database_waiting', 'Statements and transactions that wait for a connection to PostgreSQL', [], () => one(metadata.pool().waiting));
  metrics.cache('exports', () => content.cacheCounts.exports);
  metrics.cache('diffs', () => content.cacheCounts.diffs);
  metrics.cache('diff_key_checks', () => content.cacheCounts.keyChecks);
  metrics.cache('row_digests', () => content.cacheCounts.digests);
  metrics.gauge('row_digests_pending', 'Data files whose rows are to have digests for large diffs', [], () => one(content.digestLoad().pending));
  metrics.gauge('row_digests_bytes', 'Digests of rows that are kept on disk for large diffs', [], () => one(content.digestLoad().bytes));
  metrics.gauge('queries', 'Queries of DuckDB that run and that wait', ['state'], () => toReadings('state', Object.entries(content.queryLoad())));
}

type Watched = Pick<Services, 'tables' | 'documents' | 'authorizer' | 'reader' | 'visible'> & Pick<TableServices, 'tableCaches'>;

export function watchServices(metrics: Metrics, { tables, tableCaches, documents, authorizer, reader, visible }: Watched): void {
  metrics.gauge('active_table_count', 'Tables that are loaded', ['engine'], () => {
    const counts = new Map([...(['memory', 'duckdb'] as const)].map((engine) => [engine as string, 0]));
    for (const { engine } of tables.memory()) counts.set(engine, (counts.get(engine) ?? 0) + 1);
    return toReadings('engine', counts);
  });
  metrics.gauge('memory_usage_per_table_bytes', 'Memory of the largest tables, about, and of the others together', ['table'], () =>
    largest(
      'table',
      tables.memory().map(({ tableId, bytes }) => [tableId, bytes] as const),
      NAMED_MAX,
    ),
  );
  metrics.gauge('documents', 'Live documents that are open', [], () => one(documents.counts.documents));
  metrics.gauge('document_channels', 'Channels of live documents', [], () => one(documents.counts.channels));
  metrics.cache('grants', authorizer.grantHits);
  for (const [name, hits] of Object.entries(tableCaches)) metrics.cache(name, hits);
  metrics.cache('document_answers', () => documents.answers);
  metrics.cache('versions', () => reader.hits());
  metrics.cache('scoped_counts', () => visible.hits());
}

/** Times of engines, whichever protocol asked for it. */
export function engineTimes(metrics: Metrics): EngineTimes {
  const loads = metrics.seconds('table_creation_time', 'Loading tables that nobody had open', ['engine']);
  const views = metrics.seconds('view_computation_time', 'Making views and reading windows of them, over every protocol', ['engine']);
  return {
    loaded: (engine, seconds) => loads.observe([engine], seconds),
    computed: (engine, seconds) => views.observe([engine], seconds),
  };
}

interface CommitWatch {
  readonly reader: Pick<VersionReader, 'record'>;
  /** Where what they took is looked at by an alert. */
  readonly creations: Pick<Creations, 'note'>;
  /** Commits that wait to land. */
  readonly waiting: () => number;
}

/** Counts and times the versions that are made. */
export function watchCommits(metrics: Metrics, { reader, creations: recent, waiting }: CommitWatch): (report: CommitReport) => void {
  const uploads = metrics.seconds('dataset_upload_duration', 'Commits of uploaded files, with receiving and converting them');
  const creations = metrics.seconds('version_creation', 'Making versions, from when all bytes are there');
  let created = 0;
  let changed = 0;
  metrics.total('version_creation_rate', 'Versions that were made; rate() of it is the rate', [], () => one(created));
  metrics.total('schema_change_frequency', 'Versions whose columns are other than those of their parent; rate() of it is the frequency', [], () =>
    one(changed),
  );
  metrics.gauge('commits_waiting', 'Commits that wait to land', [], () => one(waiting()));
  return ({ version, creationMs, uploadMs }) => {
    created += 1;
    creations.observe([], creationMs / 1_000);
    const { datasetId, versionId, bytes, rows, original } = version;
    recent.note({ datasetId, versionId, fileName: original?.fileName ?? null, bytes: original?.bytes ?? bytes, rows, creationMs });
    if (uploadMs !== null) uploads.observe([], uploadMs / 1_000);
    const [parent] = version.parents;
    if (parent === undefined) return;
    reader.record(version.datasetId, parent).then(
      ({ schema }) => {
        if (JSON.stringify(schema.map(({ name, type }) => [name, type])) !== JSON.stringify(version.schema.map(({ name, type }) => [name, type])))
          changed += 1;
      },
      // The dataset is gone; nobody asks for its changes any more.
      () => undefined,
    );
  };
}

export function watchListener(metrics: Metrics, listener: Pick<Listener, 'load'>): void {
  metrics.gauge('connections', 'Sockets that are open, and HTTP requests that are being answered', ['kind'], () => {
    const { sockets, http, awaiting } = listener.load();
    return toReadings('kind', Object.entries({ ...sockets, http, awaiting }));
  });
  metrics.gauge('outbox_bytes', 'Bytes that wait to be sent to readers of all sockets', [], () => one(listener.load().outboxBytes));
  metrics.gauge('outbox_largest_bytes', 'Bytes that wait to be sent on the socket with the slowest reader', [], () =>
    one(listener.load().outboxBytesLargest),
  );
}

const one = (value: number) => [{ labels: {}, value }];
