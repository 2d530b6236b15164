import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Logger } from '../../shared/log.ts';
import { translate } from './faults.ts';

export interface BackupReader {
  /** Lets go of the files. */
  leave(): Promise<void>;
}

const JOIN = `
  INSERT INTO file_readers (reader_id, kind, acknowledged_at, expires_at)
  VALUES ($1, 'backup', clock_timestamp(), clock_timestamp() + $2 * interval '1 millisecond')`;
const RENEW = `UPDATE file_readers SET expires_at = clock_timestamp() + $2 * interval '1 millisecond' WHERE reader_id = $1`;
const LEAVE = 'DELETE FROM file_readers WHERE reader_id = $1';

/**
 * Registers a backup as a reader of files before its moment: as it acknowledges nothing, none that is condemned later is deleted
 * until it leaves, or is not heard of for `leaseMs`. A database of an older version has nothing that deletes so.
 */
export async function joinAsBackup(url: string, leaseMs: number, log: Logger): Promise<BackupReader> {
  const readerId = randomUUID();
  const run = async (statement: string, values: readonly unknown[]): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.query(statement, [...values]);
    } catch (error) {
      throw translate(error);
    } finally {
      await client.end();
    }
  };
  if (!(await isThere(url))) return { leave: async () => undefined };
  await run(JOIN, [readerId, leaseMs]);
  const timer = setInterval(() => {
    run(RENEW, [readerId, leaseMs]).catch((error: unknown) =>
      log.warn({ err: error }, 'the backup could not renew its lease on files; it is tried again'),
    );
  }, leaseMs / 6);
  return {
    leave: async () => {
      clearInterval(timer);
      await run(LEAVE, [readerId]);
    },
  };
}

async function isThere(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const { rows } = await client.query<{ found: string | null }>(`SELECT to_regclass('file_readers')::text AS found`);
    return rows[0]?.found != null;
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
}
