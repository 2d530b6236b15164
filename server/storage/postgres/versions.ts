import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type {
  ColumnForm,
  ColumnFormsWanted,
  HistoryPage,
  LandedVersion,
  Landing,
  Manifest,
  NewDataset,
  PendingCommit,
  Publication,
  VersionRecord,
  VersionStore,
} from '../stores.ts';
import type { Database } from './database.ts';
import { land, landFirst } from './land.ts';
import { array, boundedSteps, fragment, sql } from './sql.ts';
import { readManifest, readVersion, VERSION_COLUMNS } from './version-rows.ts';

type HistoryRow = VersionRecord & { readonly frontier: VersionId[] };

export class PostgresVersionStore implements VersionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  get(datasetId: DatasetId, versionId: VersionId): Promise<VersionRecord | undefined> {
    return readVersion(this.#database, datasetId, versionId);
  }

  manifest(datasetId: DatasetId, versionId: VersionId): Promise<Manifest | undefined> {
    return readManifest(this.#database, fragment`v.dataset_id = ${datasetId} AND v.version_id = ${versionId} AND v.removed_at IS NULL`);
  }

  /** `OFFSET 0` makes it look every version up by its key, and not read the dataset while there are no statistics of it yet. */
  async history(datasetId: DatasetId, frontier: readonly VersionId[], limit: number): Promise<HistoryPage> {
    const rows = await this.#database.rows(sql<HistoryRow>`
      SELECT found.*, walk.frontier
      FROM version_history(${datasetId}, ${array(frontier, 'int4')}, ${limit}) AS walk,
        unnest(walk.visited) WITH ORDINALITY AS step(version_id, position)
      CROSS JOIN LATERAL (
        SELECT ${VERSION_COLUMNS} FROM versions v WHERE v.dataset_id = ${datasetId} AND v.version_id = step.version_id OFFSET 0
      ) AS found
      ORDER BY step.position`);
    return { versions: rows.map(({ frontier: _, ...version }) => version), frontier: rows[0]?.frontier ?? [] };
  }

  async ancestor(datasetId: DatasetId, versionId: VersionId, steps: number): Promise<VersionId | undefined> {
    const { ancestor } = await this.#database.one(sql<{ ancestor: VersionId | null }>`
      SELECT version_ancestor(${datasetId}, ${versionId}, ${boundedSteps(steps)}) AS ancestor`);
    return ancestor ?? undefined;
  }

  findByOriginal(datasetId: DatasetId, sha256: string): Promise<Manifest | undefined> {
    return readManifest(
      this.#database,
      fragment`v.dataset_id = ${datasetId} AND v.original ->> 'sha256' = ${sha256} AND v.original IS NOT NULL AND v.removed_at IS NULL
        AND v.mode = 'replace' AND v.conversion ->> 'status' = 'complete'
        ORDER BY v.version_id DESC LIMIT 1`,
    );
  }

  /** Most versions have the schema of another one. */
  async columnForms(datasetId: DatasetId, { except, beside, limit }: ColumnFormsWanted): Promise<ColumnForm[]> {
    const rows = await this.#database.rows(sql<{ form: ColumnForm }>`
      SELECT DISTINCT jsonb_build_array(c.value) || b.columns AS form
      FROM (SELECT DISTINCT schema FROM versions WHERE dataset_id = ${datasetId}) v
      CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_agg(e.value ORDER BY e.value ->> 'name'), '[]') AS columns FROM jsonb_array_elements(v.schema) e
        WHERE e.value ->> 'name' = ANY (${array(beside, 'text')})
      ) b
      CROSS JOIN LATERAL jsonb_array_elements(v.schema) c
      WHERE c.value ->> 'name' <> ALL (${array(except, 'text')}) LIMIT ${limit}`);
    return rows.map(({ form }) => form);
  }

  land(datasetId: DatasetId, commits: readonly PendingCommit[], publish: (files: readonly Publication[]) => Promise<void>): Promise<Landing[]> {
    return land(this.#database, datasetId, commits, publish);
  }

  landFirst(dataset: NewDataset, commit: PendingCommit, publish: (files: readonly Publication[]) => Promise<void>): Promise<LandedVersion> {
    return landFirst(this.#database, dataset, commit, publish);
  }

  async referenced(objectKeys: readonly string[]): Promise<Set<string>> {
    const keys = array(objectKeys, 'text');
    const rows = await this.#database.rows(sql<{ key: string }>`
      SELECT object_key AS key FROM data_files WHERE object_key = ANY (${keys})
      UNION SELECT original_key FROM versions WHERE original_key = ANY (${keys})
      UNION SELECT object_key FROM condemned_objects WHERE object_key = ANY (${keys})`);
    return new Set(rows.map(({ key }) => key));
  }
}
