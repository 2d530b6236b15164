import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Limits } from '../../protocol/limits.ts';
import type { Config } from '../config.ts';
import { CacheCounts } from '../shared/cache-counts.ts';
import type { Closers } from '../shared/closers.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics } from '../shared/metrics.ts';
import { bindDataDirectory } from '../storage/files/deployment.ts';
import { createEncryptedObjects } from '../storage/files/encrypted-objects.ts';
import { createEncryptedStaging } from '../storage/files/encrypted-staging.ts';
import { createExportFiles } from '../storage/files/export-files.ts';
import { createHeldObjects } from '../storage/files/held-objects.ts';
import { createLocalObjects } from '../storage/files/local-objects.ts';
import { createStaging, prepareStaging, type WorkDirectories } from '../storage/files/staging.ts';
import { openStoreKey } from '../storage/files/store-key.ts';
import { openContentStore } from '../storage/parquet/open.ts';
import { startEmbedded } from '../storage/postgres/embedded.ts';
import { migrate } from '../storage/postgres/migrate.ts';
import { openMetadataStore } from '../storage/postgres/open.ts';
import type { ObjectStore, StagingStore, Stores } from '../storage/stores.ts';
import { startHouseBackups } from './backups.ts';
import { watchStores } from './metrics.ts';

export type OpenedStores = Stores & {
  readonly content: Awaited<ReturnType<typeof openContentStore>>;
  readonly directories: WorkDirectories;
  readonly inMemoryOnly: boolean;
  /** Of the database with the metadata. */
  readonly databaseUrl: string;
};

interface Foundation {
  readonly log: Logger;
  readonly closers: Closers;
  readonly metrics: Metrics;
}

export async function openStores(config: Config, { log, closers, metrics }: Foundation): Promise<OpenedStores> {
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
  const { objects: stored, staging } = await openFiles({ dataDir, directories, key, limits, metrics });
  const objects = createHeldObjects(stored);
  const work = { staging: directories.staging, spill: directories.spill, exports: directories.exports };
  const content = await openContentStore({
    directories: { ...work, readable: [dataDir] },
    lease: objects.lease,
    inMemoryOnly: key !== undefined,
    limits,
    log,
  });
  closers.add(() => content.close());
  closers.addSlow(startHouseBackups(config, { url, log, metrics }).stop);
  watchStores(metrics, { metadata, content, inMemoryOnly: key !== undefined });
  const exports = createExportFiles(join(dataDir, 'exports'), key);
  return { metadata, objects, staging, content, exports, directories, inMemoryOnly: key !== undefined, databaseUrl: url };
}

interface Files {
  readonly dataDir: string;
  readonly directories: WorkDirectories;
  /** Undefined: nothing is encrypted. */
  readonly key: Uint8Array | undefined;
  readonly limits: Limits;
  readonly metrics: Metrics;
}

async function openFiles({
  dataDir,
  directories,
  key,
  limits,
  metrics,
}: Files): Promise<{ readonly objects: ObjectStore; readonly staging: StagingStore }> {
  const root = join(dataDir, 'objects');
  if (key === undefined) return { objects: createLocalObjects(root), staging: createStaging(directories) };
  const counts = new CacheCounts();
  metrics.cache('decrypted_files', () => counts);
  return {
    objects: createEncryptedObjects({ root, key, cacheDirectory: directories.decrypted, limits, counts }),
    staging: await createEncryptedStaging(directories, key),
  };
}

async function openEmbedded(dataDir: string, log: Logger, closers: Closers): Promise<string> {
  const embedded = await startEmbedded({ dataDir, log });
  closers.add(() => embedded.stop());
  return embedded.url;
}
