import { randomUUID } from 'node:crypto';
import { type CommonQueryMethods, createSqlTag, type DatabasePool } from 'slonik';
import { z } from 'zod';

/**
 * The statements that have the effects of some operations, with nothing around them: the same rows in the same transactions,
 * audit, events, movements and idempotent results included, in as few round trips as a careful writer needs.
 */

const sql = createSqlTag();
const counters = z.object({ next_version_id: z.number(), last_event: z.number() });
const rowOf = <Shape extends z.ZodRawShape>(shape: Shape) => sql.type(z.object(shape));

/** What all entries of the bench have in common. */
const PERSON = 'bench';
const HASH = '0'.repeat(64);
const SCHEMA = JSON.stringify(
  ['id', 'name', 'amount', 'day'].map((name, columnId) => ({ name, columnId: columnId + 1, type: 'VARCHAR', nullable: true })),
);
const CONVERSION = JSON.stringify({ status: 'complete', errorCount: 0, errors: [] });
const ORIGINAL = JSON.stringify({ fileName: null, format: 'csv', compression: 'none', bytes: 700, sha256: HASH });

export interface BareSql {
  createDataset(): Promise<number>;
  createBranch(datasetId: number, name: string, versionId: number): Promise<void>;
  createTag(datasetId: number, name: string, versionId: number): Promise<void>;
  resolve(datasetId: number, name: string): Promise<number>;
  resolveBack(datasetId: number, name: string, steps: number): Promise<number>;
  readVersion(datasetId: number, versionId: number): Promise<object>;
  /** A version with a file of its own at the head of a branch. */
  commit(datasetId: number, branch: string): Promise<void>;
  /** A version of its parent's files at the head of a branch. */
  restore(datasetId: number, branch: string): Promise<void>;
}

export function createBareSql(pool: DatabasePool): BareSql {
  return {
    createDataset: () => createDataset(pool),
    createBranch: (datasetId, name, versionId) => createBranch(pool, datasetId, name, versionId),
    createTag: (datasetId, name, versionId) => createTag(pool, datasetId, name, versionId),
    resolve: async (datasetId, name) => {
      const found = await pool.one(rowOf({ version_id: z.number() })`
        SELECT version_id FROM pointers WHERE dataset_id = ${datasetId} AND name = ${name}`);
      return found.version_id;
    },
    resolveBack: async (datasetId, name, steps) => {
      const found = await pool.one(rowOf({ version_id: z.number() })`
        SELECT version_ancestor(dataset_id, version_id, ${steps}) AS version_id
        FROM pointers WHERE dataset_id = ${datasetId} AND name = ${name}`);
      return found.version_id;
    },
    readVersion: (datasetId, versionId) =>
      pool.one(sql.unsafe`
        SELECT dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes,
          cardinality(file_ids) AS files, schema, key, conversion, original
        FROM versions WHERE dataset_id = ${datasetId} AND version_id = ${versionId}`),
    commit: (datasetId, branch) => commit(pool, datasetId, branch, true),
    restore: (datasetId, branch) => commit(pool, datasetId, branch, false),
  };
}

async function createDataset(pool: DatabasePool): Promise<number> {
  const { dataset_id } = await pool.one(rowOf({ dataset_id: z.number() })`
    INSERT INTO datasets (name, description, labels, created_by, created_at, updated_at)
    VALUES ('Bench', '', '{}', ${PERSON}, now(), now()) RETURNING dataset_id`);
  await pool.query(sql.unsafe`
    INSERT INTO versions (dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes, file_ids,
      schema, schema_hash, conversion, original)
    VALUES (${dataset_id}, 1, '{}', 0, 'main', 'replace', '', ${PERSON}, now(), 20, 700, '{}', ${SCHEMA}, ${HASH}, ${CONVERSION}, ${ORIGINAL})`);
  await pool.query(sql.unsafe`
    INSERT INTO pointers (dataset_id, name, kind, branch_id, version_id, created_by, created_at, moved_at)
    VALUES (${dataset_id}, 'main', 'branch', nextval('branch_ids'), 1, ${PERSON}, now(), now())`);
  await pool.query(sql.unsafe`UPDATE datasets SET next_version_id = 2 WHERE dataset_id = ${dataset_id}`);
  return dataset_id;
}

function lock(transaction: CommonQueryMethods, datasetId: number) {
  return transaction.one(sql.type(counters)`
    SELECT next_version_id, last_event FROM datasets WHERE dataset_id = ${datasetId} FOR NO KEY UPDATE`);
}

interface Deed {
  readonly operation: string;
  readonly versionId: number;
  readonly nextVersionId: number;
  readonly lastEvent: number;
  /** Kinds of its events. */
  readonly events: readonly string[];
  readonly output: object;
}

/** Audit, events, idempotent result, counters and notice of one deed. */
async function keepBooks(transaction: CommonQueryMethods, datasetId: number, deed: Deed): Promise<void> {
  const data = JSON.stringify({ versionId: deed.versionId, name: 'a-branch-or-tag' });
  const lastEvent = deed.lastEvent + deed.events.length;
  await transaction.query(sql.unsafe`
    WITH audited AS (
      INSERT INTO audit (at, actor, operation, dataset_id, version_id, request_id, address, outcome, detail)
      VALUES (now(), ${PERSON}, ${deed.operation}, ${datasetId}, ${deed.versionId}, 'bench-1', '127.0.0.1', 'ok', ${data}::jsonb)
    ), told AS (
      INSERT INTO events (dataset_id, sequence, kind, at, actor, data)
      SELECT ${datasetId}, ${deed.lastEvent}::bigint + position, kind, now(), ${PERSON}, ${data}::jsonb
      FROM unnest(${sql.array([...deed.events], 'text')}) WITH ORDINALITY AS e(kind, position)
    ), remembered AS (
      INSERT INTO idempotency (subject, key, input_hash, result, created_at)
      VALUES (${PERSON}, ${randomUUID()}, ${HASH}, ${JSON.stringify(deed.output)}::jsonb, now())
    ), advanced AS (
      UPDATE datasets SET updated_at = now(), last_event = ${lastEvent}, next_version_id = ${deed.nextVersionId} WHERE dataset_id = ${datasetId}
    )
    SELECT pg_notify('covista_events', ${JSON.stringify([datasetId, lastEvent, false])})`);
}

const book = (locked: z.infer<typeof counters>) => ({ nextVersionId: locked.next_version_id, lastEvent: locked.last_event });

async function createBranch(pool: DatabasePool, datasetId: number, name: string, versionId: number): Promise<void> {
  await pool.transaction(async (transaction) => {
    const locked = await lock(transaction, datasetId);
    const output = await transaction.one(sql.unsafe`
      WITH made AS (
        INSERT INTO pointers (dataset_id, name, kind, branch_id, version_id, created_by, created_at, moved_at)
        VALUES (${datasetId}, ${name}, 'branch', nextval('branch_ids'), ${versionId}, ${PERSON}, now(), now())
        RETURNING branch_id, name, version_id, protected, created_by, created_at, moved_at
      ), logged AS (
        INSERT INTO branch_log (dataset_id, branch_id, name, action, from_version, to_version, actor, at, message)
        SELECT ${datasetId}, branch_id, name, 'create', NULL, version_id, ${PERSON}, now(), '' FROM made
      )
      SELECT name, version_id, protected, created_by, created_at, moved_at FROM made`);
    await keepBooks(transaction, datasetId, { ...book(locked), operation: 'branch.create', versionId, events: ['branch.created'], output });
  });
}

async function createTag(pool: DatabasePool, datasetId: number, name: string, versionId: number): Promise<void> {
  await pool.transaction(async (transaction) => {
    const locked = await lock(transaction, datasetId);
    const output = await transaction.one(sql.unsafe`
      INSERT INTO pointers (dataset_id, name, kind, version_id, created_by, created_at, moved_at)
      VALUES (${datasetId}, ${name}, 'tag', ${versionId}, ${PERSON}, now(), now())
      RETURNING name, version_id, message, created_by, created_at`);
    await keepBooks(transaction, datasetId, { ...book(locked), operation: 'tag.create', versionId, events: ['tag.created'], output });
  });
}

/** Files, version, head and movement in one statement, each row with what the one before it returned. */
async function commit(pool: DatabasePool, datasetId: number, branch: string, withFile: boolean): Promise<void> {
  await pool.transaction(async (transaction) => {
    const locked = await lock(transaction, datasetId);
    const versionId = locked.next_version_id;
    const output = await transaction.one(sql.unsafe`
      WITH head AS (
        SELECT p.branch_id, p.version_id, v.generation, v.file_ids FROM pointers p JOIN versions v USING (dataset_id, version_id)
        WHERE p.dataset_id = ${datasetId} AND p.name = ${branch}
      ), new_file AS (
        INSERT INTO data_files (dataset_id, object_key, rows, bytes, sha256, schema_hash, sequence)
        SELECT ${datasetId}, ${`datasets/${datasetId}/${versionId}/data-${randomUUID()}.parquet`}, 20, 900, ${HASH}, ${HASH}, ${versionId}
        WHERE ${withFile} RETURNING file_id
      ), new_version AS (
        INSERT INTO versions (dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes,
          file_ids, schema, schema_hash, conversion, original, original_key)
        SELECT ${datasetId}, ${versionId}, ARRAY[version_id], generation + 1, ${branch}, ${withFile ? 'replace' : 'restore'}, '', ${PERSON}, now(), 20, 900,
          CASE WHEN ${withFile} THEN ARRAY(SELECT file_id FROM new_file) ELSE file_ids END,
          ${SCHEMA}::jsonb, ${HASH}, ${CONVERSION}::jsonb, ${ORIGINAL}::jsonb, ${`datasets/${datasetId}/${versionId}/original-${randomUUID()}`}
        FROM head
        RETURNING dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes, schema, conversion, original
      ), moved AS (
        UPDATE pointers SET version_id = ${versionId}, moved_at = now() WHERE dataset_id = ${datasetId} AND name = ${branch}
      ), logged AS (
        INSERT INTO branch_log (dataset_id, branch_id, name, action, from_version, to_version, actor, at, message)
        SELECT ${datasetId}, branch_id, ${branch}, 'commit', version_id, ${versionId}, ${PERSON}, now(), '' FROM head
      )
      SELECT dataset_id, version_id, parents, generation, branch, mode, message, author, created_at, rows, bytes, schema, conversion, original
      FROM new_version`);
    const deed = { operation: 'version.commit', versionId, events: ['version.created', 'branch.moved'], output };
    await keepBooks(transaction, datasetId, { ...book(locked), ...deed, nextVersionId: versionId + 1 });
  });
}
