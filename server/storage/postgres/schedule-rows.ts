import type { DatasetId, ScheduleId, Subject } from '../../../protocol/ids.ts';
import type { PauseReason, Schedule, ScheduleRun } from '../../../protocol/operations/schedule.ts';
import type { RevocationRecord, RunRecord, ScheduleRecord, ScheduleSettings } from '../stores.ts';
import type { Executor } from './database.ts';
import { addJobs } from './jobs.ts';
import { fragment, sql } from './sql.ts';

/** Rows of schedules and runs, and what callers are shown of them. */

export const RUN = fragment`r.run_id AS "runId", r.schedule_id AS "scheduleId", r.cause, r.due_at AS "dueAt", r.state, r.attempts,
  r.retry_at AS "retryAt", r.started_at AS "startedAt", r.finished_at AS "finishedAt", r.version_id AS "versionId", r.rows, r.bytes, r.sha256,
  r.place, r.error, r.file, r.scope`;

export type RunRow = Omit<ScheduleRun, 'downloadable'> & Pick<RunRecord, 'file' | 'scope'>;

export const SCHEDULE = fragment`s.schedule_id AS "scheduleId", s.dataset_id AS "datasetId", s.name, s.owner, s.settings, s.next_at AS "nextAt",
  s.claims_at AS "claimsAt", s.paused_at AS "pausedAt", s.paused_by AS "pausedBy", s.pause_reason AS "pauseReason",
  s.created_at AS "createdAt", s.updated_at AS "updatedAt",
  (SELECT to_jsonb(l) FROM (SELECT ${RUN} FROM schedule_runs r WHERE r.schedule_id = s.schedule_id ORDER BY r.run_id DESC LIMIT 1) AS l) AS "lastRun"`;

export interface ScheduleRow {
  readonly scheduleId: ScheduleId;
  readonly datasetId: DatasetId;
  readonly name: string;
  readonly owner: Subject;
  readonly settings: ScheduleSettings;
  readonly nextAt: string | null;
  readonly claimsAt: string;
  readonly pausedAt: string | null;
  readonly pausedBy: string | null;
  readonly pauseReason: PauseReason | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Its times are as JSON has them. */
  readonly lastRun: RunRow | null;
}

const instant = (text: string | null): string | null => (text === null ? null : new Date(text).toISOString());

export function runOf(row: RunRow): RunRecord {
  const { file, scope, ...run } = row;
  const { dueAt, retryAt, startedAt, finishedAt } = run;
  const times = { retryAt: instant(retryAt), startedAt: instant(startedAt), finishedAt: instant(finishedAt) };
  return { shown: { ...run, dueAt: new Date(dueAt).toISOString(), ...times, downloadable: file !== null }, file, scope };
}

export function scheduleOf(row: ScheduleRow, claimsKeepMs: number): ScheduleRecord {
  const { settings, claimsAt, pausedAt, pausedBy, pauseReason, lastRun, ...rest } = row;
  const shown: Schedule = {
    ...rest,
    ...settings,
    paused: pausedAt === null || pauseReason === null ? null : { at: pausedAt, by: pausedBy ?? '', reason: pauseReason },
    claimsUntil: new Date(Date.parse(claimsAt) + claimsKeepMs).toISOString(),
    lastRun: lastRun === null ? null : runOf(lastRun).shown,
  };
  return { shown, settings };
}

/** That the dataset of a schedule `s` is there: while it is deleted, nothing of it runs, and nothing is held against it. */
export const OF_PRESENT = fragment`EXISTS (SELECT FROM datasets d WHERE d.dataset_id = s.dataset_id AND d.deleted_at IS NULL)`;

/** Jobs for what of a dataset's schedules has to be done, and has none: it was deleted meanwhile. */
export async function wakeSchedules(transaction: Executor, datasetId: DatasetId): Promise<void> {
  const of = fragment`FROM schedules s WHERE s.dataset_id = ${datasetId}`;
  await transaction.rows(addJobs('schedule', fragment`SELECT s.schedule_id, s.next_at ${of} AND s.next_at IS NOT NULL`));
  const runs = fragment`SELECT r.run_id, r.retry_at FROM schedule_runs r WHERE r.state = 'waiting' AND r.schedule_id IN (SELECT s.schedule_id ${of})`;
  await transaction.rows(addJobs('run', runs));
}

/** Lets schedules rest: no time of theirs comes, and what waits is given up. `which` is a condition on `s`. */
export async function letRest(
  transaction: Executor,
  which: ReturnType<typeof fragment>,
  why: { readonly by: Subject; readonly reason: PauseReason },
): Promise<void> {
  await transaction.rows(sql`
    WITH rested AS (
      UPDATE schedules s SET paused_at = date_trunc('milliseconds', clock_timestamp()), paused_by = ${why.by}, pause_reason = ${why.reason}, next_at = NULL
      WHERE s.paused_at IS NULL AND ${which} RETURNING s.schedule_id
    ), given_up AS (
      UPDATE schedule_runs r SET state = 'skipped', retry_at = NULL, finished_at = date_trunc('milliseconds', clock_timestamp()),
        error = coalesce(r.error, jsonb_build_object('code', 'cancelled', 'message', 'the schedule was paused'))
      FROM rested WHERE r.schedule_id = rested.schedule_id AND r.state = 'waiting'
    )
    SELECT (covista_jobs.remove_job('schedule:' || schedule_id)).id FROM rested`);
}

/** What somebody's tokens made goes on no longer under tokens that are revoked. */
export async function pauseRevoked(transaction: Executor, { tokenId, subject, issuedBefore, revokedBy }: RevocationRecord): Promise<void> {
  // A token that does not say when it was issued may be older than the revocation.
  const which =
    tokenId === null
      ? fragment`s.owner = ${subject} AND coalesce((s.claims ->> 'iat')::numeric <= extract(epoch FROM ${issuedBefore}::timestamptz), true)`
      : fragment`s.claims ->> 'jti' = ${tokenId}`;
  await letRest(transaction, which, { by: revokedBy, reason: 'revoked' });
}
