import pg from 'pg';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { translate } from './faults.ts';
import type { SequenceState } from './metadata-dump.ts';
import { appliedMigrations, columnList, type TableShape } from './metadata-tables.ts';
import { migrate } from './migrate.ts';

/** A copy of the metadata, as it is put into an empty database. */
export interface MetadataCopy {
  readonly migrations: readonly string[];
  readonly sequences: readonly SequenceState[];
  /** Those that others refer to first. */
  readonly tables: readonly TableShape[];
  /** Rows as JSON objects, in the order in which they were read. */
  rows(table: string): AsyncIterable<string>;
}

const BATCH_CHARS = 4 * 1024 * 1024;

/**
 * Puts a copy into an empty database, in one transaction, and brings it to the schema of this version. `conflict` when the
 * database is not empty, or the copy comes from a newer version.
 */
export async function loadMetadata(url: string, copy: MetadataCopy, log: Logger): Promise<void> {
  // As it was when the copy was made: later migrations may change what the rows look like.
  await migrate(url, log, copy.migrations.length);
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await assertFits(client, copy);
    await client.query('BEGIN');
    await client.query('DELETE FROM deployment');
    for (const table of copy.tables) await fill(client, table, copy.rows(table.name));
    for (const { name, lastValue } of copy.sequences) await client.query('SELECT setval($1::regclass, $2)', [pg.escapeIdentifier(name), lastValue]);
    await client.query('COMMIT');
    // What is found by plans that know the tables is found fast from the start.
    await client.query('ANALYZE');
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
  await migrate(url, log);
}

async function assertFits(client: pg.Client, copy: MetadataCopy): Promise<void> {
  const applied = await appliedMigrations(client);
  if (applied.join() !== copy.migrations.join()) {
    const unknown = copy.migrations.filter((name) => !applied.includes(name));
    const reason =
      unknown.length > 0 ? 'the backup comes from a newer version; restore it with that' : 'the database is newer than the backup; give an empty one';
    throw new CovistaError('conflict', reason, { unknown });
  }
  const { rows } = await client.query<{ isEmpty: boolean }>(
    'SELECT NOT EXISTS (SELECT FROM datasets) AND NOT EXISTS (SELECT FROM audit) AND NOT EXISTS (SELECT FROM documents) AS "isEmpty"',
  );
  if (rows[0]?.isEmpty !== true) throw new CovistaError('conflict', 'the database is not empty; give one that is');
}

/** Values are made of their texts by the database that wrote them, so that nothing is lost on the way. */
async function fill(client: pg.Client, { name, columns }: TableShape, rows: AsyncIterable<string>): Promise<void> {
  const table = pg.escapeIdentifier(name);
  const insert = `INSERT INTO ${table} (${columnList(columns)}) OVERRIDING SYSTEM VALUE
    SELECT ${columnList(columns)} FROM json_populate_recordset(NULL::${table}, $1::json)`;
  let batch: string[] = [];
  let chars = 0;
  const flush = async (): Promise<void> => {
    if (batch.length > 0) await client.query(insert, [`[${batch.join(',')}]`]);
    batch = [];
    chars = 0;
  };
  for await (const line of rows) {
    batch.push(line);
    chars += line.length;
    if (chars >= BATCH_CHARS) await flush();
  }
  await flush();
}
