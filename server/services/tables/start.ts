import type { UploadId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { CacheCounts } from '../../shared/cache-counts.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Hits } from '../../shared/metrics.ts';
import type { Stores } from '../../storage/stores.ts';
import type { Authorizer } from '../access/authorizer.ts';
import type { VisibleVersions } from '../access/visible-versions.ts';
import type { Uploads } from '../uploads/uploads.ts';
import type { RefResolver } from '../versioning/refs.ts';
import type { VersionReader } from '../versioning/version-reader.ts';
import type { TableEngine } from './engine.ts';
import { createTableChannels, type TableChannels } from './table-channels.ts';
import { Tables } from './tables.ts';
import type { EngineTimes } from './times.ts';
import { createUploadSources } from './upload-sources.ts';
import { createViewExports, type ViewExports } from './view-exports.ts';
import { Views } from './views.ts';

/** Everything about tables that handlers use. */
export interface TableServices {
  readonly tables: Tables;
  readonly tableChannels: TableChannels;
  readonly views: Views;
  readonly viewExports: ViewExports;
  /** How often what is kept for tables was there, by the name of the cache. */
  readonly tableCaches: Readonly<Record<'tables' | 'table_ids' | 'upload_sources', () => Hits>>;
}

export interface TableServicesOptions {
  /** None: nothing of tables works, everything else does. */
  readonly engines: readonly TableEngine[];
  /** The key under which ids of tables are made. */
  readonly key: string;
  readonly stores: Pick<Stores, 'content' | 'staging'>;
  readonly authorizer: Pick<Authorizer, 'authorize'>;
  readonly reader: VersionReader;
  readonly refs: RefResolver;
  readonly visible: VisibleVersions;
  readonly uploads: Uploads;
  readonly times: EngineTimes;
  readonly limits: Limits;
  readonly clock: Clock;
}

export function startTables(options: TableServicesOptions): TableServices & { close(): Promise<void> } {
  const { stores, authorizer, uploads, times, limits, clock, engines } = options;
  const { content, staging } = stores;
  const [idCounts, sourceCounts] = [new CacheCounts(), new CacheCounts()];
  const onGone = (uploadId: UploadId): void => tables.forgetUpload(uploadId);
  const used = (): ReadonlySet<UploadId> => tables.usedUploads();
  const uploadSources = createUploadSources({ uploads, content, staging, limits, counts: sourceCounts, used, onGone });
  const tables: Tables = new Tables({
    ...options,
    uploadSources,
    idCounts,
    scopeOf: async (actor, datasetId) => (await authorizer.authorize(actor, 'read', datasetId)).scope,
  });
  const views = new Views({ tables, times, clock, limits });
  return {
    tables,
    tableChannels: createTableChannels({ tables, times, limits }),
    views,
    viewExports: createViewExports({ views, content, staging, limits }),
    tableCaches: { tables: () => tables.hits(), table_ids: () => idCounts, upload_sources: () => sourceCounts },
    close: async () => {
      views.close();
      tables.close();
      await Promise.all(engines.map((engine) => engine.close()));
      await uploadSources.close();
    },
  };
}
