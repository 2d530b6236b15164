import { CovistaError } from '../../../protocol/errors.ts';
import type { DatasetId, RunId, ScheduleId, Subject } from '../../../protocol/ids.ts';
import type { Schedule, ScheduleRun } from '../../../protocol/operations/schedule.ts';
import type {
  LeftFiles,
  NewSchedule,
  Page,
  Provenance,
  RunRecord,
  ScheduleChange,
  ScheduleClaims,
  ScheduleRecord,
  ScheduleStore,
} from '../stores.ts';
import type { Database, Executor } from './database.ts';
import { addJob } from './jobs.ts';
import { type Change, changeDataset } from './record.ts';
import { letRest, RUN, type RunRow, runOf, SCHEDULE, type ScheduleRow, scheduleOf } from './schedule-rows.ts';
import { array, fragment, json, sql } from './sql.ts';

export class PostgresScheduleStore implements ScheduleStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  create(datasetId: DatasetId, schedule: NewSchedule, provenance: Provenance): Promise<Schedule> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      const { schedulesPerDatasetMax: most } = this.#database.limits;
      const { count } = await transaction.one(sql<{ count: number }>`SELECT count(*) AS count FROM schedules WHERE dataset_id = ${datasetId}`);
      if (count >= most) throw new CovistaError('conflict', `a dataset has at most ${most} schedules`, { schedulesPerDatasetMax: most });
      const { name, settings, claims, secrets, nextAt } = schedule;
      const { scheduleId } = await transaction.one(sql<{ scheduleId: ScheduleId }>`
        INSERT INTO schedules (dataset_id, name, owner, groups, claims, claims_at, settings, secrets, next_at, created_at, updated_at)
        VALUES (${datasetId}, ${name}, ${provenance.actor}, ${array(claims.groups, 'text')}, ${JSON.stringify(claims.claims)}::json, ${dataset.at},
          ${json(settings)}::jsonb, ${secrets}, ${nextAt}, ${dataset.at}, ${dataset.at})
        RETURNING schedule_id AS "scheduleId"`);
      if (nextAt !== null) await transaction.rows(addJob('schedule', scheduleId, nextAt));
      return this.#changed(transaction, datasetId, scheduleId, 'create');
    });
  }

  async list(datasetId: DatasetId, owner: Subject | null, { after = 0 as ScheduleId, limit }: Page & { readonly after?: ScheduleId | undefined }) {
    const rows = await this.#database.rows(sql<ScheduleRow>`
      SELECT ${SCHEDULE} FROM schedules s
      WHERE s.dataset_id = ${datasetId} AND s.schedule_id > ${after} AND coalesce(s.owner = ${owner}, true) ORDER BY s.schedule_id LIMIT ${limit}`);
    return rows.map((row) => scheduleOf(row, this.#database.limits.scheduleClaimsKeepMs));
  }

  get(datasetId: DatasetId, scheduleId: ScheduleId): Promise<ScheduleRecord | undefined> {
    return this.#read(this.#database, datasetId, scheduleId);
  }

  change({ datasetId, scheduleId, paused }: Schedule, change: ScheduleChange, provenance: Provenance): Promise<Schedule> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      const { name = null, settings, secrets, claims } = change;
      const nextAt = paused === null ? change.nextAt : null;
      await transaction.rows(sql`
        UPDATE schedules s SET name = coalesce(${name}, s.name), settings = coalesce(${settings === undefined ? null : json(settings)}::jsonb, s.settings),
          secrets = ${secrets === undefined ? fragment`s.secrets` : fragment`${secrets}::text`}, ${renewed(claims)},
          next_at = CASE WHEN s.paused_at IS NULL THEN ${nextAt}::timestamptz END, updated_at = date_trunc('milliseconds', clock_timestamp())
        WHERE s.schedule_id = ${scheduleId}`);
      await this.#reset(transaction, scheduleId, nextAt);
      return this.#changed(transaction, datasetId, scheduleId, 'update');
    });
  }

  pause({ datasetId, scheduleId }: Schedule, provenance: Provenance): Promise<Schedule> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      await letRest(transaction, fragment`s.schedule_id = ${scheduleId}`, { by: provenance.actor, reason: 'asked' });
      return this.#changed(transaction, datasetId, scheduleId, 'pause');
    });
  }

  resume({ datasetId, scheduleId }: Schedule, { claims, nextAt }: Pick<NewSchedule, 'claims' | 'nextAt'>, provenance: Provenance): Promise<Schedule> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      await transaction.rows(sql`
        UPDATE schedules s SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, ${renewed(claims)}, next_at = ${nextAt},
          updated_at = date_trunc('milliseconds', clock_timestamp())
        WHERE s.schedule_id = ${scheduleId}`);
      await this.#reset(transaction, scheduleId, nextAt);
      return this.#changed(transaction, datasetId, scheduleId, 'resume');
    });
  }

  ask({ datasetId, scheduleId, owner }: Schedule, claims: ScheduleClaims, provenance: Provenance): Promise<ScheduleRun> {
    return changeDataset(this.#database, { datasetId, provenance }, async (transaction, dataset) => {
      const open = await transaction.first(sql`
        SELECT run_id FROM schedule_runs WHERE schedule_id = ${scheduleId} AND state IN ('waiting', 'running')`);
      if (open !== undefined) throw new CovistaError('conflict', 'the run before is not over', { scheduleId });
      await transaction.rows(sql`UPDATE schedules s SET ${renewed(claims)} WHERE s.schedule_id = ${scheduleId}`);
      const row = await transaction.one(sql<RunRow>`
        INSERT INTO schedule_runs AS r (schedule_id, cause, due_at, state) VALUES (${scheduleId}, 'asked', ${dataset.at}, 'waiting') RETURNING ${RUN}`);
      await transaction.rows(addJob('run', row.runId, null));
      const { shown } = runOf(row);
      const data = { scheduleId, owner, action: 'run' };
      return { result: shown, event: { kind: 'schedule.changed', data }, detail: { ...data, runId: shown.runId } };
    });
  }

  async runs(scheduleId: ScheduleId, { before, limit }: Page & { readonly before?: RunId | undefined }): Promise<RunRecord[]> {
    const rows = await this.#database.rows(sql<RunRow>`
      SELECT ${RUN} FROM schedule_runs r WHERE r.schedule_id = ${scheduleId} AND r.run_id < ${before ?? Number.MAX_SAFE_INTEGER}
      ORDER BY r.run_id DESC LIMIT ${limit}`);
    return rows.map(runOf);
  }

  async run(scheduleId: ScheduleId, runId: RunId): Promise<RunRecord | undefined> {
    const row = await this.#database.first(sql<RunRow>`
      SELECT ${RUN} FROM schedule_runs r WHERE r.schedule_id = ${scheduleId} AND r.run_id = ${runId}`);
    return row && runOf(row);
  }

  async delete({ datasetId, scheduleId, owner, name }: Schedule, provenance: Provenance): Promise<LeftFiles> {
    const left = await changeDataset(this.#database, { datasetId, provenance }, async (transaction) => {
      const rows = await transaction.rows(sql<{ file: string }>`
        SELECT file FROM schedule_runs WHERE schedule_id = ${scheduleId} AND file IS NOT NULL`);
      await transaction.rows(sql`DELETE FROM schedules WHERE schedule_id = ${scheduleId}`);
      await this.#reset(transaction, scheduleId, null);
      const data = { scheduleId, owner, action: 'delete' };
      const event = { kind: 'schedule.changed', data } as const;
      return { result: { files: rows.map(({ file }) => file) }, event, detail: { ...data, name }, output: {} };
    });
    // A repeated command has nothing left to remove.
    return left.files ?? [];
  }

  /** The one job of a schedule comes up at its next time. */
  async #reset(transaction: Executor, scheduleId: ScheduleId, nextAt: string | null): Promise<void> {
    if (nextAt !== null) await transaction.rows(addJob('schedule', scheduleId, nextAt));
    else await transaction.rows(sql`SELECT (covista_jobs.remove_job(${`schedule:${scheduleId}`})).id`);
  }

  async #read(executor: Executor, datasetId: DatasetId, scheduleId: ScheduleId): Promise<ScheduleRecord | undefined> {
    const row = await executor.first(sql<ScheduleRow>`
      SELECT ${SCHEDULE} FROM schedules s WHERE s.dataset_id = ${datasetId} AND s.schedule_id = ${scheduleId}`);
    return row && scheduleOf(row, this.#database.limits.scheduleClaimsKeepMs);
  }

  async #changed(transaction: Executor, datasetId: DatasetId, scheduleId: ScheduleId, action: string): Promise<Change<Schedule>> {
    const found = await this.#read(transaction, datasetId, scheduleId);
    if (found === undefined) throw new CovistaError('not_found', `there is no schedule ${scheduleId}`, { datasetId, scheduleId });
    const { shown, settings } = found;
    const data = { scheduleId, owner: shown.owner, action };
    const { ref, refKind, cron, timeZone, format, destination } = settings;
    return {
      result: shown,
      event: { kind: 'schedule.changed', data },
      detail: { ...data, name: shown.name, ref, refKind, cron, timeZone, format, destination },
    };
  }
}

const renewed = ({ groups, claims }: ScheduleClaims) =>
  fragment`groups = ${array(groups, 'text')}, claims = ${JSON.stringify(claims)}::json, claims_at = date_trunc('milliseconds', clock_timestamp())`;
