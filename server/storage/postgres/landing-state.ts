import type { VersionId } from '../../../protocol/ids.ts';
import type { Column, PendingCommit, StagedFile } from '../stores.ts';
import type { Executor } from './database.ts';
import type { LockedDataset } from './record.ts';
import { array, sql } from './sql.ts';

/** What a child needs to know of its parent. */
export interface Head {
  readonly versionId: VersionId;
  readonly generation: number;
  readonly rows: number;
  readonly bytes: number;
  readonly fileIds: readonly number[];
  readonly schema: readonly Column[];
  readonly schemaHash: string;
  readonly key: string[] | null;
}

/** A name of a batch, as it is before the batch. A name that is free has no kind and no head, and a branch id to be taken. */
export interface NamedHead {
  readonly name: string;
  readonly kind: 'branch' | 'tag' | null;
  readonly branchId: number;
  readonly protected: boolean | null;
  readonly createdBy: string | null;
  readonly head: Head | null;
}

/** Everything that landing a batch depends on, read under the dataset's lock. */
export interface LandingState {
  readonly branches: readonly NamedHead[];
  /** Versions that commits name as merged. */
  readonly merged: readonly { readonly versionId: VersionId; readonly generation: number }[];
  /** Ids for the files that are new. */
  readonly newFileIds: readonly number[];
  /** Those of the dataset's files that commits use again. */
  readonly knownFileIds: readonly number[];
  /** Those originals that commits use again which some version still has. */
  readonly knownOriginals: readonly string[];
  /** Those uploads of the batch that are still there, locked. */
  readonly uploadIds: readonly string[];
  /** Results of commands that some commits repeat. */
  readonly repeated: readonly { readonly subject: string; readonly key: string; readonly inputHash: string; readonly result: unknown }[];
}

export function piecesOf({ content }: PendingCommit): readonly (string | StagedFile)[] {
  return content.kind === 'append' ? content.added : content.pieces;
}

/**
 * One query for the whole batch. Ids come from sequences, which may skip some without harm. `OFFSET 0` keeps PostgreSQL from
 * turning look-ups into joins, for which it reads the whole dataset while it has no statistics of it yet.
 */
export function readLandingState(transaction: Executor, dataset: LockedDataset, commits: readonly PendingCommit[]): Promise<LandingState> {
  const { datasetId } = dataset;
  const pieces = commits.flatMap(piecesOf);
  const reused = pieces.filter((piece) => typeof piece === 'string');
  const names = [...new Set(['main', ...commits.map(({ branch }) => branch)])];
  const merged = commits.flatMap(({ mergedFrom }) => mergedFrom ?? []);
  const originals = commits.flatMap(({ original }) => (original !== null && 'objectKey' in original ? [original.objectKey] : []));
  const uploads = commits.flatMap(({ uploadId }) => uploadId ?? []);
  const commands = commits.flatMap(({ provenance: { actor, idempotency } }) => (idempotency ? [{ actor, key: idempotency.key }] : []));
  return transaction.one(sql<LandingState>`
    SELECT (
      SELECT json_agg(json_build_object('name', n.name, 'kind', p.kind, 'protected', p.protected, 'createdBy', p.created_by,
        'branchId', coalesce(p.branch_id, nextval('branch_ids')),
        'head', CASE WHEN v.version_id IS NOT NULL THEN json_build_object('versionId', v.version_id, 'generation', v.generation,
          'rows', v.rows, 'bytes', v.bytes, 'fileIds', v.file_ids, 'schema', v.schema, 'schemaHash', v.schema_hash, 'key', v.key) END))
      FROM unnest(${array(names, 'text')}) AS n(name)
      LEFT JOIN LATERAL (
        SELECT kind, branch_id, version_id, protected, created_by FROM pointers WHERE dataset_id = ${datasetId} AND name = n.name OFFSET 0
      ) AS p ON true
      LEFT JOIN LATERAL (
        SELECT version_id, generation, rows, bytes, file_ids, schema, schema_hash, key FROM versions
        WHERE dataset_id = ${datasetId} AND version_id = p.version_id OFFSET 0
      ) AS v ON true
    ) AS branches, (
      SELECT coalesce(json_agg(json_build_object('versionId', v.version_id, 'generation', v.generation)), '[]')
      FROM versions v WHERE v.dataset_id = ${datasetId} AND v.version_id = ANY (${array(merged, 'int4')})
    ) AS merged,
    ARRAY(SELECT nextval('data_files_file_id_seq') FROM generate_series(1, ${pieces.length - reused.length})) AS "newFileIds",
    ARRAY(
      SELECT f.file_id FROM data_files f WHERE f.dataset_id = ${datasetId} AND f.file_id = ANY (${array(reused, 'int8')})
    ) AS "knownFileIds",
    ARRAY(
      SELECT DISTINCT v.original_key FROM versions v WHERE v.dataset_id = ${datasetId} AND v.original_key = ANY (${array(originals, 'text')})
    ) AS "knownOriginals",
    ARRAY(
      SELECT u.upload_id::text FROM uploads u WHERE u.upload_id = ANY (${array(uploads, 'text')}::uuid[]) FOR UPDATE
    ) AS "uploadIds", (
      SELECT coalesce(json_agg(json_build_object('subject', i.subject, 'key', i.key, 'inputHash', i.input_hash, 'result', i.result)), '[]')
      FROM unnest(${array(
        commands.map(({ actor }) => actor),
        'text',
      )}, ${array(
        commands.map(({ key }) => key),
        'text',
      )}) AS c(subject, key)
      CROSS JOIN LATERAL (
        SELECT subject, key, input_hash, result FROM idempotency WHERE subject = c.subject AND key = c.key OFFSET 0
      ) AS i
    ) AS repeated`);
}
