import { dirname, join } from 'node:path';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Logger } from '../../shared/log.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { ContentStore } from '../content-store.ts';
import type { ObjectStore } from '../stores.ts';
import { createBroker, type QueryLoad } from './broker.ts';
import { createDiffer } from './diff.ts';
import { createExporter } from './export.ts';
import { createFilterChecker } from './filter-check.ts';
import { denyWhereFiltersFail } from './filter-denial.ts';
import { ingest } from './ingest.ts';
import { holdingFiles } from './leases.ts';
import { createMerger } from './merge.ts';
import { createReader } from './reading.ts';
import { createRewriter } from './rewrite.ts';
import type { DigestLoad } from './row-digests.ts';
import { Staging } from './staging.ts';
import { createStatistics } from './statistics.ts';
import { createTableArrow } from './table-arrow.ts';

export interface ContentStoreOptions {
  readonly directories: {
    readonly staging: string;
    /** Private to this process. */
    readonly spill: string;
    /** Private to this process. */
    readonly exports: string;
    /** What statements may read beside these: where objects and uploads are. */
    readonly readable: readonly string[];
  };
  /** Keeps the files of versions where they are read. */
  readonly lease: ObjectStore['lease'];
  /** Whether nothing that a query cannot hold in memory may be written to disk, where it would lie unencrypted. */
  readonly inMemoryOnly: boolean;
  readonly limits: Limits;
  readonly log: Logger;
}

/** A store, and what it tells of itself. */
export type OpenedContent = ContentStore & {
  queryLoad(): QueryLoad;
  digestLoad(): DigestLoad;
  readonly cacheCounts: Readonly<Record<'exports' | 'diffs' | 'digests' | 'keyChecks', Hits>>;
};

/** Opens DuckDB with everything that is built on it. */
export async function openContentStore(options: ContentStoreOptions): Promise<OpenedContent> {
  const { directories, lease, inMemoryOnly, limits: given, log } = options;
  const limits = inMemoryOnly ? { ...given, duckdbSpillBytesMax: 0, diffDigestBytesMax: 0 } : given;
  const readableDirectories = [...directories.readable, directories.staging, directories.exports];
  const broker = await createBroker({ limits, spillDirectory: directories.spill, readableDirectories, log });
  const staging = new Staging(directories.staging);
  await staging.open();
  const counts = { exports: new CacheCounts(), diffs: new CacheCounts(), digests: new CacheCounts(), keyChecks: new CacheCounts() };
  const differ = await createDiffer({ broker, limits, log, lease, counts, directory: join(dirname(directories.spill), 'diffs') });
  const parts = { broker, staging, limits };
  const store = denyWhereFiltersFail({
    ingest: (source, control) => ingest(parts, source, control),
    merge: createMerger(broker, staging),
    rewrite: createRewriter(parts),
    ...createReader(broker),
    tableArrow: createTableArrow(broker),
    statistics: createStatistics(broker),
    diff: differ.diff,
    prepareDiff: differ.prepareDiff,
    export: await createExporter({ broker, limits, directory: directories.exports, counts: counts.exports }),
    checkFilter: createFilterChecker({ broker, limits }),
    close: async () => {
      await differ.close();
      broker.close();
    },
  });
  return { ...holdingFiles(store, lease), queryLoad: () => broker.load, digestLoad: differ.digestLoad, cacheCounts: counts };
}
