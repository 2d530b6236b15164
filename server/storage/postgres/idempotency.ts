import { CovistaError } from '../../../protocol/errors.ts';
import type { Subject } from '../../../protocol/ids.ts';
import type { Idempotency, IdempotencyStore } from '../stores.ts';
import { type Database, deleteInPieces, type Executor } from './database.ts';
import { sql } from './sql.ts';

interface Stored {
  readonly inputHash: string;
  readonly result: unknown;
}

export function otherInput(key: string): CovistaError {
  return new CovistaError('conflict', 'this idempotency key was used for another command, other input or other bytes', { idempotencyKey: key });
}

/** The result of the command with this key, if there was one; `conflict` when its input was another. */
export async function findResult(
  executor: Executor,
  subject: Subject,
  { key, inputHash }: Idempotency,
): Promise<{ readonly result: unknown } | undefined> {
  const stored = await executor.first(sql<Stored>`
    SELECT input_hash AS "inputHash", result FROM idempotency WHERE subject = ${subject} AND key = ${key}`);
  if (stored && stored.inputHash !== inputHash) throw otherInput(key);
  return stored && { result: stored.result };
}

export class PostgresIdempotencyStore implements IdempotencyStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(subject: Subject, idempotency: Idempotency): Promise<{ readonly result: unknown } | undefined> {
    return findResult(this.#database, subject, idempotency);
  }

  async prune(keepMs: number): Promise<void> {
    await deleteInPieces(
      this.#database,
      (rowsMax) => sql<{ deleted: number }>`
        WITH gone AS (
          DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency WHERE created_at < now() - ${keepMs} * interval '1 millisecond' LIMIT ${rowsMax}))
          RETURNING 1
        ) SELECT count(*) AS deleted FROM gone`,
    );
  }
}
