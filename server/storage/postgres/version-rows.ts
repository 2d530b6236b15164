import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { DataFile, Manifest, VersionRecord } from '../stores.ts';
import type { Executor } from './database.ts';
import { array, fragment, sql } from './sql.ts';

/** The columns of a VersionRecord, of versions `v`. */
export const VERSION_COLUMNS = fragment`v.dataset_id AS "datasetId", v.version_id AS "versionId", v.parents, v.generation, v.branch,
  v.mode, v.message, v.author, v.created_at AS "createdAt", v.rows, v.bytes, cardinality(v.file_ids) AS files, v.schema, v.key,
  v.conversion, v.original, v.removed_at AS "removedAt"`;

interface ManifestRow extends VersionRecord {
  readonly fileIds: number[];
  readonly originalKey: string | null;
}

type FileRow = Omit<DataFile, 'fileId'> & { readonly fileId: number };

/** The manifest of the version that `condition` on versions `v` selects, unless it was removed. */
export async function readManifest(executor: Executor, condition: ReturnType<typeof fragment>): Promise<Manifest | undefined> {
  const row = await executor.first(sql<ManifestRow>`
    SELECT ${VERSION_COLUMNS}, v.file_ids AS "fileIds", v.original_key AS "originalKey" FROM versions v WHERE ${condition}`);
  if (!row) return undefined;
  const { fileIds, originalKey, ...version } = row;
  return { version, files: await readFiles(executor, fileIds), originalKey };
}

async function readFiles(executor: Executor, fileIds: readonly number[]): Promise<DataFile[]> {
  if (fileIds.length === 0) return [];
  const rows = await executor.rows(sql<FileRow>`
    SELECT f.file_id AS "fileId", f.object_key AS "objectKey", f.rows, f.bytes, f.sha256, f.schema_hash AS "schemaHash"
    FROM unnest(${array(fileIds, 'int8')}) WITH ORDINALITY AS m(file_id, position)
    JOIN data_files f ON f.file_id = m.file_id
    ORDER BY m.position`);
  return rows.map((row) => ({ ...row, fileId: String(row.fileId) }));
}

export function readVersion(executor: Executor, datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord | undefined> {
  return executor.first(sql<VersionRecord>`
    SELECT ${VERSION_COLUMNS} FROM versions v WHERE v.dataset_id = ${datasetId} AND v.version_id = ${versionId}`);
}
