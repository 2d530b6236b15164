import pg from 'pg';
import { present } from '../../shared/assert.ts';
import { translate } from './faults.ts';
import { appliedMigrations, columnList, metadataTables, type TableShape } from './metadata-tables.ts';

/** A sequence with the last value that was drawn from it. */
export interface SequenceState {
  readonly name: string;
  readonly lastValue: string;
}

/** A file that the metadata speaks of. */
export interface KnownObject {
  readonly objectKey: string;
  readonly bytes: number;
  /** Of what it holds, whether or not it is encrypted where it lies. */
  readonly sha256: string;
}

/** The whole metadata as it was at one moment. */
export interface MetadataMoment {
  readonly takenAt: string;
  readonly deploymentId: string;
  readonly migrations: readonly string[];
  readonly sequences: readonly SequenceState[];
  readonly tables: readonly TableShape[];
  /** Rows of a table as JSON objects, one a text, in the order of its key. */
  rows(table: string): AsyncIterable<string>;
  /** Data files and originals, each once, in the order of their keys. */
  objects(): AsyncIterable<KnownObject>;
}

const ROWS_AT_ONCE = 1_000;
/** States of documents are megabytes each. */
const ROWS_WITH_BYTES_AT_ONCE = 8;

const OBJECTS = `
  SELECT DISTINCT ON (key COLLATE "C") key AS "objectKey", bytes::text AS bytes, sha256 FROM (
    SELECT object_key AS key, bytes, sha256 FROM data_files
    UNION ALL SELECT original_key, (original ->> 'bytes')::bigint, original ->> 'sha256' FROM versions WHERE original_key IS NOT NULL
  ) AS known ORDER BY key COLLATE "C"`;

/** Reads the metadata in one transaction that sees one moment, while others go on writing. */
export async function readMetadata<Result>(url: string, work: (moment: MetadataMoment) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const result = await work(await momentOf(client));
    await client.query('COMMIT');
    return result;
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
}

async function momentOf(client: pg.Client): Promise<MetadataMoment> {
  const { rows: now } = await client.query<{ takenAt: string; deploymentId: string }>(
    `SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "takenAt", id AS "deploymentId" FROM deployment`,
  );
  const { rows: sequences } = await client.query<SequenceState>(
    `SELECT sequencename AS name, last_value::text AS "lastValue" FROM pg_sequences
     WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> 'migrations_id_seq' ORDER BY sequencename`,
  );
  const found = await metadataTables(client);
  return {
    ...present(now[0], 'the deployment'),
    migrations: await appliedMigrations(client),
    sequences,
    tables: found.map(({ name, columns }) => ({ name, columns })),
    rows: async function* (name) {
      const table = present(
        found.find((candidate) => candidate.name === name),
        `table ${name}`,
      );
      const order = table.key.length === 0 ? '' : ` ORDER BY ${columnList(table.key)}`;
      const statement = `SELECT row_to_json(r)::text AS line FROM (SELECT ${columnList(table.columns)} FROM ${pg.escapeIdentifier(name)}${order}) AS r`;
      for await (const { line } of fetched<{ line: string }>(client, statement, table.hasBytes ? ROWS_WITH_BYTES_AT_ONCE : ROWS_AT_ONCE)) yield line;
    },
    objects: async function* () {
      const rows = fetched<{ objectKey: string; bytes: string; sha256: string }>(client, OBJECTS, ROWS_AT_ONCE);
      for await (const { bytes, ...object } of rows) yield { ...object, bytes: Number(bytes) };
    },
  };
}

/** Rows of a statement, some at a time. One statement is read at once. */
async function* fetched<Row extends pg.QueryResultRow>(client: pg.Client, statement: string, rowsAtOnce: number): AsyncGenerator<Row> {
  await client.query(`DECLARE reading NO SCROLL CURSOR FOR ${statement}`);
  try {
    while (true) {
      const { rows } = await client.query<Row>(`FETCH ${rowsAtOnce} FROM reading`);
      yield* rows;
      if (rows.length < rowsAtOnce) return;
    }
  } finally {
    await client.query('CLOSE reading');
  }
}

/** Which of these keys the metadata speaks of now. */
export async function stillReferenced(url: string, objectKeys: readonly string[]): Promise<Set<string>> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const { rows } = await client.query<{ objectKey: string }>(`SELECT "objectKey" FROM (${OBJECTS}) AS known WHERE "objectKey" = ANY ($1)`, [
      objectKeys,
    ]);
    return new Set(rows.map(({ objectKey }) => objectKey));
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
}
