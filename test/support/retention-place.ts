import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { DatasetId, VersionId } from '../../protocol/ids.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

interface Row {
  readonly datasetId: DatasetId;
  readonly versionId: VersionId;
  readonly keys: readonly string[];
}

const FILES_WITH_HASHES = `
  SELECT object_key AS key, sha256 FROM data_files
  UNION SELECT original_key, original ->> 'sha256' FROM versions WHERE original_key IS NOT NULL`;
const UNKNOWN_FILES = `
  SELECT v.dataset_id, v.version_id FROM versions v CROSS JOIN LATERAL unnest(v.file_ids) AS f(id)
  LEFT JOIN data_files d ON d.file_id = f.id WHERE d.file_id IS NULL`;
const REMOVED_HEADS = `
  SELECT p.dataset_id, p.name FROM pointers p JOIN versions v USING (dataset_id, version_id) JOIN datasets d USING (dataset_id)
  WHERE v.removed_at IS NOT NULL AND d.deleted_at IS NULL`;

/** A database and a directory of objects, looked at without any of the code that is tested. */
export class RetentionPlace {
  readonly directory: string;
  readonly #database: TestDatabase;
  readonly #client: pg.Client;

  private constructor(directory: string, database: TestDatabase, client: pg.Client) {
    this.directory = directory;
    this.#database = database;
    this.#client = client;
  }

  static async make(): Promise<RetentionPlace> {
    const database = await createTestDatabase();
    const directory = await mkdtemp(join(tmpdir(), 'covista-test-retention-'));
    await mkdir(join(directory, 'staging'));
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    return new RetentionPlace(directory, database, client);
  }

  get url(): string {
    return this.#database.url;
  }

  get objects(): string {
    return join(this.directory, 'objects');
  }

  async remove(): Promise<void> {
    await this.#client.end();
    await this.#database.drop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async query<Result>(text: string, values: readonly unknown[] = []): Promise<Result[]> {
    return (await this.#client.query(text, [...values])).rows as Result[];
  }

  async datasets(condition: string): Promise<DatasetId[]> {
    const rows = await this.query<{ dataset_id: DatasetId }>(`SELECT dataset_id FROM datasets WHERE ${condition} ORDER BY dataset_id`);
    return rows.map(({ dataset_id: datasetId }) => datasetId);
  }

  /** Versions with the keys of their files. */
  versions(condition: string): Promise<Row[]> {
    return this.query<Row>(
      `SELECT v.dataset_id AS "datasetId", v.version_id AS "versionId", array_remove(v.original_key || ARRAY(
         SELECT d.object_key FROM unnest(v.file_ids) AS f(id) JOIN data_files d ON d.file_id = f.id), NULL) AS keys
       FROM versions v WHERE ${condition} ORDER BY v.dataset_id, v.version_id`,
    );
  }

  async files(): Promise<string[]> {
    const entries = await readdir(this.objects, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(this.objects.length + 1));
  }

  /** What is not as it should be, with what is being read. */
  async losses(reading: readonly string[]): Promise<string[]> {
    const broken: string[] = [];
    for (const { key, sha256 } of await this.query<{ key: string; sha256: string }>(FILES_WITH_HASHES)) {
      if ((await this.#hash(key)) !== sha256) broken.push(`${key} is not what it was`);
    }
    for (const at of await this.query(UNKNOWN_FILES)) broken.push(`a version has a file that nobody knows: ${JSON.stringify(at)}`);
    for (const at of await this.query(REMOVED_HEADS)) broken.push(`a branch or tag leads to a version that was removed: ${JSON.stringify(at)}`);
    for (const key of new Set(reading)) if ((await this.#hash(key)) === undefined) broken.push(`${key} was taken from a reader`);
    return broken;
  }

  /** Files that no version refers to. */
  async orphans(): Promise<string[]> {
    const known = new Set((await this.versions('true')).flatMap(({ keys }) => keys));
    return (await this.files()).filter((key) => !known.has(key));
  }

  async bytesOnDisk(datasetId: DatasetId): Promise<number> {
    let bytes = 0;
    for (const key of await this.files()) if (key.startsWith(`datasets/${datasetId}/`)) bytes += (await stat(join(this.objects, key))).size;
    return bytes;
  }

  async #hash(key: string): Promise<string | undefined> {
    const content = await readFile(join(this.objects, key)).catch(() => undefined);
    return content && createHash('sha256').update(content).digest('hex');
  }
}
