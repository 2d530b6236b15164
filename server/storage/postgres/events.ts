import type { DatasetId } from '../../../protocol/ids.ts';
import type { EventNotice, EventRecord, EventStore } from '../stores.ts';
import { type Database, deleteInPieces } from './database.ts';
import { listenForEvents } from './event-listener.ts';
import { sql } from './sql.ts';

export class PostgresEventStore implements EventStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async after(datasetId: DatasetId, sequence: number, limit: number): Promise<EventRecord[]> {
    const rows = await this.#database.rows(sql<EventRecord>`
      SELECT sequence, kind, at, actor, data FROM events
      WHERE dataset_id = ${datasetId} AND sequence > ${sequence} ORDER BY sequence LIMIT ${limit}`);
    return [...rows];
  }

  /** Taken from the dataset, which remembers it when its events were pruned; from the events when the dataset is gone. */
  async latest(datasetId: DatasetId): Promise<number> {
    const { latest } = await this.#database.one(sql<{ latest: number }>`
      SELECT coalesce(
        (SELECT last_event FROM datasets WHERE dataset_id = ${datasetId}),
        (SELECT max(sequence) FROM events WHERE dataset_id = ${datasetId}), 0) AS latest`);
    return latest;
  }

  async earliest(datasetId: DatasetId): Promise<number> {
    const { earliest } = await this.#database.one(sql<{ earliest: number }>`
      SELECT coalesce(min(sequence), 0) AS earliest FROM events WHERE dataset_id = ${datasetId}`);
    return earliest;
  }

  listen(onNotice: (notice: EventNotice) => void): Promise<{ close(): Promise<void> }> {
    return listenForEvents({ url: this.#database.url, log: this.#database.log, onNotice });
  }

  async prune(keepMs: number): Promise<void> {
    await deleteInPieces(
      this.#database,
      (rowsMax) => sql<{ deleted: number }>`
        WITH gone AS (
          DELETE FROM events WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM events WHERE at < now() - ${keepMs} * interval '1 millisecond' LIMIT ${rowsMax}))
          RETURNING 1
        ) SELECT count(*) AS deleted FROM gone`,
    );
  }
}
