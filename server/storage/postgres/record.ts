import { CovistaError, ERRORS } from '../../../protocol/errors.ts';
import type { DatasetId, VersionId } from '../../../protocol/ids.ts';
import type { EventKind, Idempotency, Provenance } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { EVENT_CHANNEL, encodeNotice } from './event-notice.ts';
import { faultOf } from './faults.ts';
import { findResult } from './idempotency.ts';
import { fragment, json, sql } from './sql.ts';

/**
 * The one road of every change: it takes its dataset's lock, does its work, and leaves an audit row, events for watchers and,
 * for commands with an idempotency key, their result, all in one transaction.
 */

/** A dataset whose row is locked until the transaction ends. */
export interface LockedDataset {
  readonly datasetId: DatasetId;
  readonly nextVersionId: number;
  readonly nextColumnId: number;
  readonly lastEvent: number;
  readonly key: string[] | null;
  /** The time of everything in this transaction: never before that of an earlier transaction on the dataset. */
  readonly at: string;
}

export interface NewEvent {
  readonly kind: EventKind;
  readonly data: Record<string, unknown>;
}

/** What one command did. */
export interface Entry {
  readonly provenance: Provenance;
  readonly datasetId: DatasetId | null;
  readonly versionId: VersionId | null;
  readonly detail: Record<string, unknown>;
  readonly events: readonly NewEvent[];
  /** The output of the operation, for who repeats the command with its idempotency key. */
  readonly output: unknown;
}

/** What a change made of its dataset, besides what it recorded. */
export interface Change<Result> {
  readonly result: Result;
  readonly event?: NewEvent;
  readonly versionId?: VersionId;
  readonly detail: Record<string, unknown>;
  /** Where the operation's output is another than the result. */
  readonly output?: unknown;
}

/** Another command with the same idempotency key has just been recorded. Has no cause, which would be taken for what went wrong. */
export class RepeatedCommand extends Error {
  override readonly name = 'RepeatedCommand';
}

/** Events after which caches of every server forget grants, or records of versions. */
const GRANTS_CHANGED: ReadonlySet<EventKind> = new Set(['grant.changed', 'dataset.deleted', 'dataset.restored']);
const VERSIONS_CHANGED: ReadonlySet<EventKind> = new Set(['version.removed', 'version.restored', 'dataset.deleted']);

/** Undefined when there is no such dataset, or it was deleted. The clock is read by the outer query, when the lock is already held. */
export function lockDataset(transaction: Executor, datasetId: DatasetId): Promise<LockedDataset | undefined> {
  return transaction.first(sql<LockedDataset>`
    WITH locked AS MATERIALIZED (
      SELECT dataset_id, next_version_id, next_column_id, last_event, key, updated_at
      FROM datasets WHERE dataset_id = ${datasetId} AND deleted_at IS NULL FOR NO KEY UPDATE
    )
    SELECT dataset_id AS "datasetId", next_version_id AS "nextVersionId", next_column_id AS "nextColumnId", last_event AS "lastEvent", key,
      greatest(date_trunc('milliseconds', clock_timestamp()), updated_at) AS at
    FROM locked`);
}

export function noDataset(datasetId: DatasetId): CovistaError {
  return new CovistaError('not_found', `there is no dataset ${datasetId}`, { datasetId });
}

/** Changes one dataset; `not_found` when it does not exist. A repeated command gets the result of the first. */
export function changeDataset<Result>(
  database: Database,
  target: { readonly datasetId: DatasetId; readonly provenance: Provenance },
  work: (transaction: Executor, dataset: LockedDataset) => Promise<Change<Result>>,
): Promise<Result> {
  const { datasetId, provenance } = target;
  return once(database, provenance, () =>
    database.transaction(async (transaction) => {
      const dataset = await lockDataset(transaction, datasetId);
      if (!dataset) throw noDataset(datasetId);
      const change = await work(transaction, dataset);
      const entry = { provenance, datasetId, versionId: change.versionId ?? null, detail: change.detail };
      const events = change.event ? [change.event] : [];
      await record(transaction, dataset, [{ ...entry, events, output: 'output' in change ? change.output : change.result }]);
      return change.result;
    }),
  );
}

/**
 * Runs a command; when one with its idempotency key came first, answers with what that one stored. That is looked up late,
 * because it is rare: a repeated command fails, either on its key or on what the first one did.
 */
export async function once<Result>(database: Database, provenance: Provenance, command: () => Promise<Result>): Promise<Result> {
  try {
    return await command();
  } catch (error) {
    const { actor, idempotency } = provenance;
    const stored = idempotency && mayBeRepeated(error) ? await findResult(database, actor, idempotency) : undefined;
    if (stored) return stored.result as Result;
    throw error;
  }
}

function mayBeRepeated(error: unknown): boolean {
  return error instanceof RepeatedCommand || (error instanceof CovistaError && ERRORS[error.code].retry !== 'later');
}

/** Writes what commands did, numbers their events, and moves the dataset's counters on. `at` is that of the dataset, or now. */
export async function record(transaction: Executor, dataset: LockedDataset | { readonly at: string }, entries: readonly Entry[]): Promise<void> {
  const sequencer = 'datasetId' in dataset ? advance(dataset, entries) : fragment`SELECT`;
  const remembered = entries.flatMap(({ provenance, output }) =>
    provenance.idempotency ? [rememberedRow(provenance.actor, provenance.idempotency, output)] : [],
  );
  try {
    await transaction.rows(sql`
      WITH audited AS (
        INSERT INTO audit (at, actor, operation, dataset_id, version_id, request_id, address, outcome, detail)
        SELECT ${dataset.at}::timestamptz, actor, operation, dataset_id, version_id, request_id, address, 'ok', detail
        FROM json_to_recordset(${json(entries.map(auditRow))}::json) AS a(
          actor text, operation text, dataset_id integer, version_id integer, request_id text, address text, detail jsonb)
      ), remembered AS (
        INSERT INTO idempotency (subject, key, input_hash, result, created_at)
        SELECT subject, key, input_hash, result, ${dataset.at}::timestamptz
        FROM json_to_recordset(${json(remembered)}::json) AS r(subject text, key text, input_hash text, result jsonb)
      )
      ${sequencer}`);
  } catch (error) {
    if (faultOf(error)?.constraint === 'idempotency_pkey') throw new RepeatedCommand('a command with this idempotency key exists');
    throw error;
  }
}

function advance(dataset: LockedDataset, entries: readonly Entry[]) {
  const events = entries.flatMap(({ provenance, events }) => events.map((event) => ({ ...event, actor: provenance.actor })));
  const rows = events.map((event, index) => ({ ...event, sequence: dataset.lastEvent + 1 + index }));
  const lastEvent = dataset.lastEvent + events.length;
  const grantsChanged = events.some(({ kind }) => GRANTS_CHANGED.has(kind));
  const versionsChanged = events.some(({ kind }) => VERSIONS_CHANGED.has(kind));
  const isDeleted = events.at(-1)?.kind === 'dataset.deleted';
  const notice = { datasetId: dataset.datasetId, sequence: lastEvent, grantsChanged, versionsChanged, isDeleted };
  return fragment`, told AS (
      INSERT INTO events (dataset_id, sequence, kind, at, actor, data)
      SELECT ${dataset.datasetId}::integer, sequence, kind, ${dataset.at}::timestamptz, actor, data
      FROM json_to_recordset(${json(rows)}::json) AS e(sequence bigint, kind text, actor text, data jsonb)
    ), advanced AS (
      UPDATE datasets SET updated_at = ${dataset.at}, last_event = ${lastEvent},
        next_version_id = ${dataset.nextVersionId}, next_column_id = ${dataset.nextColumnId}
      WHERE dataset_id = ${dataset.datasetId}
    )
    SELECT pg_notify(${EVENT_CHANNEL}, ${encodeNotice(notice)})
    WHERE ${events.length} > 0`;
}

function auditRow({ provenance, datasetId, versionId, detail }: Entry) {
  const { actor, operation, requestId, address } = provenance;
  return { actor, operation, dataset_id: datasetId, version_id: versionId, request_id: requestId, address, detail };
}

function rememberedRow(subject: string, idempotency: Idempotency, output: unknown) {
  return { subject, key: idempotency.key, input_hash: idempotency.inputHash, result: output };
}
