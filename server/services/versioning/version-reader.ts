import { LRUCache } from 'lru-cache';
import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { Limits } from '../../../protocol/limits.ts';
import { hashSchema } from '../../shared/schema-hash.ts';
import { type Content, isUnrestricted, type Scope, type ScopedContent } from '../../storage/content-store.ts';
import type { Manifest, ObjectStore, VersionRecord, VersionStore } from '../../storage/stores.ts';

export interface VersionReader {
  /** `not_found` when the dataset has no such version. */
  record(datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord>;
  manifest(datasetId: DatasetId, versionId: VersionId): Promise<Manifest>;
  /** The rows of a version as a scope shows them; `unprocessable_data` when its file could not be read as a table. */
  scoped(at: VersionAt): Promise<ScopedContent>;
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

/** Versions never change, so what was read once is kept. */
export function createVersionReader(options: {
  readonly versions: VersionStore;
  readonly objects: ObjectStore;
  readonly limits: Limits;
}): VersionReader {
  const records = new LRUCache<string, VersionRecord>({ maxSize: options.limits.versionCacheMax, sizeCalculation: (version) => weightOf(version) });
  const manifests = new LRUCache<string, Manifest>({
    maxSize: options.limits.versionCacheMax,
    sizeCalculation: ({ version, files }) => weightOf(version, files.length),
  });
  const keyOf = (datasetId: DatasetId, versionId: VersionId): string => `${datasetId}/${versionId}`;

  const record = async (datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord> => {
    const key = keyOf(datasetId, versionId);
    const found = records.get(key) ?? (await options.versions.get(datasetId, versionId));
    if (found === undefined) throw noSuchVersion(datasetId, versionId);
    records.set(key, found);
    return found;
  };

  const manifest = async (datasetId: DatasetId, versionId: VersionId): Promise<Manifest> => {
    const key = keyOf(datasetId, versionId);
    const found = manifests.get(key) ?? (await options.versions.manifest(datasetId, versionId));
    if (found === undefined) throw noSuchVersion(datasetId, versionId);
    manifests.set(key, found);
    return found;
  };

  return {
    record,
    manifest,
    scoped: async ({ datasetId, versionId, scope }) => scopedContentOf(await manifest(datasetId, versionId), options.objects, scope),
  };
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
