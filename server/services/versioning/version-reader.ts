import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import type { Hits } from '../../shared/metrics.ts';
import { hashSchema } from '../../shared/schema-hash.ts';
import { type Content, isUnrestricted, type Scope, type ScopedContent } from '../../storage/content-store.ts';
import type { EventNotice, Manifest, ObjectStore, VersionRecord, VersionStore } from '../../storage/stores.ts';
import { VersionCache } from './version-cache.ts';

export interface VersionReader {
  /** `not_found` when the dataset has no such version, or it was removed: `details.removedAt` says so. */
  record(datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord>;
  /** The record, also of a version that was removed. */
  recordOfAny(datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord>;
  manifest(datasetId: DatasetId, versionId: VersionId): Promise<Manifest>;
  /** The rows of a version as a scope shows them; `unprocessable_data` when its file could not be read as a table. */
  scoped(at: VersionAt): Promise<ScopedContent>;
  /** How often it was asked for a record or manifest, and had it. */
  hits(): Hits;
  /** Follows removals of versions by any server. */
  notice(notice: EventNotice): void;
  /** Forgets what it knows of a dataset's versions; for changes made by this server. */
  forget(datasetId: DatasetId): void;
}

/** A version and who looks at it. */
export interface VersionAt {
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly scope: Scope;
}

/** How many columns, errors or files weigh as much in the cache as the rest of a version's record. */
const PARTS_PER_WEIGHT = 8;

function weightOf({ schema, conversion }: VersionRecord, files = 0): number {
  return 1 + Math.ceil((schema.length + conversion.errors.length + files) / PARTS_PER_WEIGHT);
}

/** But for being removed, versions never change, so what was read once is kept. */
export function createVersionReader(options: {
  readonly versions: VersionStore;
  readonly objects: ObjectStore;
  readonly limits: Limits;
}): VersionReader {
  const { versionCacheMax: maxSize } = options.limits;
  const records = new VersionCache<VersionRecord>({
    maxSize,
    weightOf: (version) => weightOf(version),
    // The files of a removed version go some day, of which nobody is told.
    isLasting: ({ removedAt }) => removedAt === null,
    read: (datasetId, versionId) => options.versions.get(datasetId, versionId),
  });
  const manifests = new VersionCache<Manifest>({
    maxSize,
    weightOf: ({ version, files }) => weightOf(version, files.length),
    isLasting: () => true,
    read: (datasetId, versionId) => options.versions.manifest(datasetId, versionId),
  });

  const recordOfAny: VersionReader['recordOfAny'] = async (datasetId, versionId) => {
    const found = await records.get(datasetId, versionId);
    if (found === undefined) throw noSuchVersion(datasetId, versionId);
    return found;
  };

  const record: VersionReader['record'] = async (datasetId, versionId) => {
    const found = await recordOfAny(datasetId, versionId);
    if (found.removedAt !== null) throw removedVersion(found);
    return found;
  };

  const manifest: VersionReader['manifest'] = async (datasetId, versionId) => {
    const found = await manifests.get(datasetId, versionId);
    if (found !== undefined) return found;
    // Says whether there is none, or none any more.
    await record(datasetId, versionId);
    throw noSuchVersion(datasetId, versionId);
  };

  const forget = (datasetId?: DatasetId): void => {
    records.forget(datasetId);
    manifests.forget(datasetId);
  };

  return {
    record,
    recordOfAny,
    manifest,
    scoped: async ({ datasetId, versionId, scope }) => scopedContentOf(await manifest(datasetId, versionId), options.objects, scope),
    hits: () => ({ hits: records.counts.hits + manifests.counts.hits, misses: records.counts.misses + manifests.counts.misses }),
    forget,
    notice: (notice) => {
      if (notice.kind === 'gap') forget();
      else if (notice.kind === 'events' && notice.versionsChanged) forget(notice.datasetId);
    },
  };
}

function removedVersion({ datasetId, versionId, removedAt }: VersionRecord): CovistaError {
  return new CovistaError('not_found', `the data of version ${versionId} of dataset ${datasetId} was removed at ${removedAt}`, {
    datasetId,
    versionId,
    removedAt,
  });
}

function noSuchVersion(datasetId: DatasetId, versionId: VersionId): CovistaError {
  return new CovistaError('not_found', `dataset ${datasetId} has no version ${versionId}`, { datasetId, versionId });
}

/** A manifest as someone may read it. What could not be read, and why, is for those only who may see everything. */
export function scopedContentOf(manifest: Manifest, objects: ObjectStore, scope: Scope): ScopedContent {
  const { versionId, conversion } = manifest.version;
  if (conversion.status === 'failed' && !isUnrestricted(scope)) {
    throw new CovistaError('unprocessable_data', `version ${versionId} has no rows because its file could not be read`, { versionId });
  }
  return { content: contentOf(manifest, objects), scope };
}

/** A manifest as the tabular engine reads it. */
export function contentOf(manifest: Manifest, objects: ObjectStore): Content {
  const { version, files } = manifest;
  const { versionId, conversion } = version;
  if (conversion.status === 'failed') {
    const message = `version ${versionId} has no rows because its file could not be read; its original can be downloaded`;
    throw new CovistaError('unprocessable_data', message, { versionId, conversion });
  }
  return {
    schema: version.schema,
    schemaHash: hashSchema(version.schema),
    rows: version.rows,
    files: files.map(({ objectKey, rows, sha256, schemaHash }) => ({ path: objects.localPath(objectKey), rows, sha256, schemaHash })),
  };
}
