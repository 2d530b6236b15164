import { CovistaError } from '../../../protocol/errors.ts';
import type { RunId, ScheduleId } from '../../../protocol/ids.ts';
import { present } from '../../shared/assert.ts';
import type { ClaimedRun, LeftFiles, Provenance, RunAttempt, RunFailure, RunResult, RunStore, ScheduleClaims, ScheduleSettings } from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { addJob, addJobs } from './jobs.ts';
import { changeDataset } from './record.ts';
import { letRest, OF_PRESENT, RUN, type RunRow, runOf, SCHEDULE, type ScheduleRow, scheduleOf } from './schedule-rows.ts';
import { array, fragment, json, sql } from './sql.ts';

/** Clocks of a job and of its row are the same; the time that a job comes up is later than what it was set to by less. */
const EARLY = fragment`interval '1 second'`;
const NOW = fragment`date_trunc('milliseconds', clock_timestamp())`;

/** The run is another server's by now, or was deleted. */
class RunLost extends Error {
  override readonly name = 'RunLost';
}

export class PostgresRunStore implements RunStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async due(scheduleId: ScheduleId, nextOf: (settings: ScheduleSettings) => string | null): Promise<void> {
    await this.#database.transaction(async (transaction) => {
      const schedule = await transaction.first(sql<{ settings: ScheduleSettings; nextAt: string }>`
        SELECT s.settings, s.next_at AS "nextAt" FROM schedules s
        WHERE s.schedule_id = ${scheduleId} AND s.next_at <= now() + ${EARLY} AND ${OF_PRESENT} FOR UPDATE OF s`);
      if (schedule === undefined) return;
      const run = await transaction.first(sql<{ runId: RunId; state: string }>`
        INSERT INTO schedule_runs AS r (schedule_id, cause, due_at, state, finished_at, error)
        SELECT ${scheduleId}, 'cron', ${schedule.nextAt}, CASE WHEN open.is THEN 'skipped' ELSE 'waiting' END, CASE WHEN open.is THEN ${NOW} END,
          CASE WHEN open.is THEN jsonb_build_object('code', 'conflict', 'message', 'the run before was not over') END
        FROM (SELECT EXISTS (SELECT FROM schedule_runs WHERE schedule_id = ${scheduleId} AND state IN ('waiting', 'running')) AS is) AS open
        ON CONFLICT DO NOTHING RETURNING r.run_id AS "runId", r.state`);
      if (run?.state === 'waiting') await transaction.rows(addJob('run', run.runId, null));
      const next = nextOf(schedule.settings);
      await transaction.rows(sql`UPDATE schedules SET next_at = ${next} WHERE schedule_id = ${scheduleId}`);
      if (next !== null) await transaction.rows(addJob('schedule', scheduleId, next));
    });
  }

  begin(runId: RunId, worker: string): Promise<ClaimedRun | undefined> {
    return this.#database.transaction(async (transaction) => {
      const row = await transaction.first(sql<RunRow>`
        UPDATE schedule_runs r SET state = 'running', attempts = r.attempts + 1, worker = ${worker}, ${this.#lease()}, retry_at = NULL,
          started_at = ${NOW}
        WHERE r.run_id = ${runId} AND r.state = 'waiting' AND coalesce(r.retry_at <= now() + ${EARLY}, true)
          AND EXISTS (SELECT FROM schedules s WHERE s.schedule_id = r.schedule_id AND ${OF_PRESENT})
        RETURNING ${RUN}`);
      if (row === undefined) return undefined;
      const found = await transaction.one(sql<ScheduleRow & ScheduleClaims & { readonly secrets: string | null }>`
        SELECT ${SCHEDULE}, s.groups, s.claims, s.secrets FROM schedules s WHERE s.schedule_id = ${row.scheduleId}`);
      const { groups, claims, secrets, ...schedule } = found;
      const { shown: run } = runOf(row);
      const attempt = { runId, scheduleId: row.scheduleId, attempts: row.attempts, datasetId: found.datasetId };
      return { attempt, run, schedule: { ...scheduleOf(schedule, this.#database.limits.scheduleClaimsKeepMs), groups, claims, secrets } };
    });
  }

  async renew(attempt: RunAttempt): Promise<boolean> {
    const renewed = await this.#database.first(sql`UPDATE schedule_runs r SET ${this.#lease()} WHERE ${isStill(attempt)} RETURNING r.run_id`);
    return renewed !== undefined;
  }

  async succeed(attempt: RunAttempt, result: RunResult, provenance: Provenance): Promise<LeftFiles | undefined> {
    const { datasetId, runId, scheduleId } = attempt;
    const { versionId, rows, bytes, sha256, place, file, scope } = result;
    try {
      return await changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
        const ended = await transaction.first(sql`
          UPDATE schedule_runs r SET state = 'succeeded', finished_at = ${NOW}, lease_until = NULL, error = NULL, version_id = ${versionId},
            rows = ${rows}, bytes = ${bytes}, sha256 = ${sha256}, place = ${place}, file = ${file}, scope = ${scope}
          WHERE ${isStill(attempt)} RETURNING r.run_id`);
        if (ended === undefined) throw new RunLost('the run is another server’s');
        const owner = provenance.actor;
        const data = { scheduleId, owner, runId, state: 'succeeded', versionId, rows };
        return {
          result: await this.#prune(transaction, scheduleId),
          event: { kind: 'schedule.ran', data },
          versionId,
          detail: { ...data, bytes, place },
        };
      });
    } catch (error) {
      if (isDeleted(error)) await this.#again(attempt, 0, { error: DELETED, versionId });
      else if (!(error instanceof RunLost)) throw error;
      return undefined;
    }
  }

  async fail(attempt: RunAttempt, failure: RunFailure, provenance: Provenance): Promise<void> {
    const { error, versionId, retryMs, pause } = failure;
    if (retryMs !== null) return this.#again(attempt, retryMs, { error, versionId });
    const { datasetId, runId, scheduleId } = attempt;
    try {
      await changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
        const ended = await transaction.first(sql`
          UPDATE schedule_runs r SET state = 'failed', finished_at = ${NOW}, lease_until = NULL, error = ${json(error)}::jsonb, version_id = ${versionId}
          WHERE ${isStill(attempt)} RETURNING r.run_id`);
        if (ended === undefined) throw new RunLost('the run is another server’s');
        if (pause !== null) await letRest(transaction, fragment`s.schedule_id = ${scheduleId}`, { by: '', reason: pause });
        const data = { scheduleId, owner: provenance.actor, runId, state: 'failed', error, paused: pause };
        return { result: {}, event: { kind: 'schedule.ran', data }, detail: data };
      });
    } catch (fault) {
      if (isDeleted(fault)) await this.giveBack(attempt);
      else if (!(fault instanceof RunLost)) throw fault;
    }
  }

  giveBack(attempt: RunAttempt): Promise<void> {
    return this.#again({ ...attempt }, 0, undefined);
  }

  async recover(all: boolean): Promise<void> {
    await this.#database.transaction(async (transaction) => {
      const lost = await transaction.rows(sql<{ runId: RunId; worker: string }>`
        UPDATE schedule_runs r SET state = 'waiting', lease_until = NULL,
          error = jsonb_build_object('code', 'unavailable', 'message', 'the server ended in the middle of it')
        WHERE r.run_id IN (SELECT run_id FROM schedule_runs WHERE state = 'running' AND (${all} OR lease_until < now()) FOR UPDATE SKIP LOCKED)
        RETURNING r.run_id AS "runId", r.worker`);
      const held = all
        ? await transaction.rows(sql<{ worker: string }>`SELECT DISTINCT locked_by AS worker FROM covista_jobs.jobs WHERE locked_by IS NOT NULL`)
        : lost;
      const workers = [...new Set(held.map(({ worker }) => worker))];
      if (workers.length > 0) await transaction.rows(sql`SELECT FROM covista_jobs.force_unlock_workers(${array(workers, 'text')})`);
      const ids = lost.map(({ runId }) => runId);
      if (ids.length > 0) await transaction.rows(addJobs('run', fragment`SELECT id, NULL::timestamptz FROM unnest(${array(ids, 'int8')}) AS id`));
    });
  }

  async ensureJobs(): Promise<void> {
    const jobless = (key: ReturnType<typeof fragment>) =>
      fragment`NOT EXISTS (SELECT FROM covista_jobs.jobs j WHERE j.key = ${key} AND j.locked_at IS NULL)`;
    const schedules = fragment`
      SELECT s.schedule_id, s.next_at FROM schedules s WHERE s.next_at IS NOT NULL AND ${OF_PRESENT} AND ${jobless(fragment`'schedule:' || s.schedule_id`)}`;
    const runs = fragment`
      SELECT r.run_id, r.retry_at FROM schedule_runs r JOIN schedules s USING (schedule_id)
      WHERE r.state = 'waiting' AND ${OF_PRESENT} AND ${jobless(fragment`'run:' || r.run_id`)}`;
    await this.#database.rows(addJobs('schedule', schedules));
    await this.#database.rows(addJobs('run', runs));
    // Jobs in whose place others were put while a server that is gone had them.
    await this.#database.rows(sql`
      SELECT FROM (SELECT coalesce(array_agg(id), '{}') AS ids FROM covista_jobs.jobs WHERE attempts = max_attempts AND locked_at IS NULL) AS spent,
        LATERAL covista_jobs.complete_jobs(spent.ids)`);
  }

  async known(files: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.rows(sql<{ file: string }>`SELECT file FROM schedule_runs WHERE file = ANY (${array(files, 'text')})`);
    return new Set(rows.map(({ file }) => file));
  }

  async filesBytes(): Promise<number> {
    return (
      await this.#database.one(sql<{ bytes: number }>`SELECT coalesce(sum(bytes), 0)::bigint AS bytes FROM schedule_runs WHERE file IS NOT NULL`)
    ).bytes;
  }

  async lagMs(): Promise<number> {
    const { lag } = await this.#database.one(sql<{ lag: number }>`
      SELECT coalesce(max(extract(epoch FROM now() - due_at) * 1000), 0)::bigint AS lag FROM (
        SELECT coalesce(r.retry_at, r.due_at) AS due_at
        FROM schedule_runs r JOIN schedules s USING (schedule_id) WHERE r.state = 'waiting' AND ${OF_PRESENT}
        UNION ALL SELECT s.next_at FROM schedules s WHERE s.next_at < now() AND ${OF_PRESENT}
      ) AS waiting`);
    return Math.max(0, lag);
  }

  #lease() {
    return fragment`lease_until = now() + ${this.#database.limits.scheduleLeaseMs} * interval '1 millisecond'`;
  }

  /** Without a failure, as if it had not been tried. */
  async #again(attempt: RunAttempt, waitMs: number, failure: Pick<RunFailure, 'error' | 'versionId'> | undefined): Promise<void> {
    const { runId } = attempt;
    const outcome =
      failure === undefined
        ? fragment`attempts = r.attempts - 1`
        : fragment`error = ${json(failure.error)}::jsonb, version_id = ${failure.versionId}`;
    await this.#database.transaction(async (transaction) => {
      const row = await transaction.first(sql<{ retryAt: string }>`
        UPDATE schedule_runs r SET state = 'waiting', lease_until = NULL, ${outcome}, retry_at = ${NOW} + ${waitMs} * interval '1 millisecond'
        WHERE ${isStill(attempt)} RETURNING r.retry_at AS "retryAt"`);
      if (row !== undefined) await transaction.rows(addJob('run', runId, row.retryAt));
    });
  }

  /** Forgets runs and files beyond those that are kept. */
  async #prune(transaction: Executor, scheduleId: ScheduleId): Promise<string[]> {
    const runs = fragment`SELECT run_id, file FROM schedule_runs WHERE schedule_id = ${scheduleId}`;
    const { kept } = present(
      await transaction.first(
        sql<{ kept: number }>`SELECT (settings ->> 'filesKept')::integer AS kept FROM schedules WHERE schedule_id = ${scheduleId}`,
      ),
      'the schedule of a run',
    );
    const old = await transaction.rows(sql<{ file: string }>`
      WITH surplus AS (${runs} AND file IS NOT NULL ORDER BY run_id DESC OFFSET ${kept}), unfiled AS (
        UPDATE schedule_runs r SET file = NULL FROM surplus WHERE r.run_id = surplus.run_id
      ) SELECT file FROM surplus`);
    const forgotten = await transaction.rows(sql<{ file: string | null }>`
      DELETE FROM schedule_runs r USING (${runs} AND state NOT IN ('waiting', 'running') ORDER BY run_id DESC OFFSET ${this.#database.limits.scheduleRunsKept}) AS surplus
      WHERE r.run_id = surplus.run_id RETURNING r.file`);
    return [...old, ...forgotten].flatMap(({ file }) => file ?? []);
  }
}

const isStill = ({ runId, attempts }: RunAttempt) => fragment`r.run_id = ${runId} AND r.attempts = ${attempts} AND r.state = 'running'`;

/** The dataset was deleted meanwhile: the run waits until it is back, or goes with it. */
const isDeleted = (error: unknown): boolean => error instanceof CovistaError && error.code === 'not_found';
const DELETED = { code: 'not_found', message: 'the dataset was deleted while it was exported' };
