import { Logger, run, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { runId as toRunId, scheduleId as toScheduleId } from '../../../protocol/ids.ts';
import type { Logger as Log } from '../../shared/log.ts';
import type { JobQueue, JobTasks } from '../schedule-store.ts';
import { type fragment, sql } from './sql.ts';

/** Where graphile-worker keeps its jobs: a name of our own, so that it meets no other that uses the same database. */
export const JOBS_SCHEMA = 'covista_jobs';
/**
 * How often each of its runners looks for jobs whose time has come, which is most of what an idle server does; those that are due
 * at once are told by NOTIFY.
 */
const POLL_MS = 2_500;
/** A job fails only when the database does, and is tried again with growing waits; what a run makes of its faults is its own matter. */
const JOB_ATTEMPTS_MAX = 25;
/** One connection listens; the others take jobs and keep what became of them. Fewer than there are jobs at once are warned of. */
const POOL_MIN = 3;

/** Makes or changes the tables of the jobs; servers that do so at once wait for each other. Nothing where they are up to date. */
export async function installJobs(url: string, log: Log): Promise<void> {
  const pool = openPool(url, 1, log);
  try {
    await runMigrations({ pgPool: pool, schema: JOBS_SCHEMA, logger: loggerOf(log) });
  } finally {
    await pool.end();
  }
}

/** What lets a role that does not own the tables take and make jobs. They have row level security, which only an owner passes. */
export async function admitToJobs(client: pg.Client, role: string): Promise<void> {
  const name = pg.escapeIdentifier(role);
  await client.query(`
    GRANT USAGE ON SCHEMA ${JOBS_SCHEMA} TO ${name};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${JOBS_SCHEMA} TO ${name};
    REVOKE INSERT, UPDATE, DELETE ON ${JOBS_SCHEMA}.migrations FROM ${name};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${JOBS_SCHEMA} TO ${name};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${JOBS_SCHEMA} TO ${name}`);
  const { rows } = await client.query<{ table: string }>(
    `SELECT relname AS "table" FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relrowsecurity`,
    [JOBS_SCHEMA],
  );
  for (const { table } of rows) {
    const policy = pg.escapeIdentifier(`covista_${role}`.slice(0, 63));
    const on = `${JOBS_SCHEMA}.${pg.escapeIdentifier(table)}`;
    await client.query(`DROP POLICY IF EXISTS ${policy} ON ${on}; CREATE POLICY ${policy} ON ${on} TO ${name} USING (true) WITH CHECK (true)`);
  }
}

export function createJobQueue(options: { readonly url: string; readonly concurrency: number; readonly log: Log }): JobQueue {
  const { url, concurrency, log } = options;
  return {
    start: async (tasks) => {
      const pool = openPool(url, Math.max(POOL_MIN, concurrency), log);
      const runner = await run({
        pgPool: pool,
        schema: JOBS_SCHEMA,
        logger: loggerOf(log),
        concurrency,
        pollInterval: POLL_MS,
        noHandleSignals: true,
        parsedCronItems: [],
        taskList: taskListOf(tasks),
      });
      let isStopping = false;
      // It ends by itself only where the tables of the jobs have become those of a newer version, and need not say that it failed.
      const ended = (error?: unknown): void => {
        if (!isStopping) log.error({ err: error }, 'no jobs are taken any more; start this server anew');
      };
      runner.promise.then(() => ended(), ended);
      return {
        stop: async () => {
          isStopping = true;
          try {
            await runner.stop();
          } catch (error) {
            // One that ended by itself says that it has stopped already.
            log.warn({ err: error }, 'the jobs did not stop in order');
          } finally {
            await pool.end();
          }
        },
      };
    },
  };
}

function taskListOf(tasks: JobTasks): NonNullable<Parameters<typeof run>[0]['taskList']> {
  return {
    schedule: (payload) => tasks.due(toScheduleId.parse((payload as { id: unknown }).id)),
    run: (payload, { job }) => tasks.run(toRunId.parse((payload as { id: unknown }).id), job.locked_by ?? ''),
  };
}

/** Part of a statement that makes a job, or sets the one of its name to another time; `at` null: now. */
export function addJob(task: 'schedule' | 'run', id: number, at: string | null) {
  const payload = JSON.stringify({ id });
  return sql`SELECT FROM covista_jobs.add_job(${task}, ${payload}::json, run_at => coalesce(${at}::timestamptz, now()),
    max_attempts => ${JOB_ATTEMPTS_MAX}, job_key => ${`${task}:${id}`})`;
}

/** The same for every id that a query gives as `id`, with its time as `at`. */
export function addJobs(task: 'schedule' | 'run', ids: ReturnType<typeof fragment>) {
  return sql`SELECT j.id FROM (${ids}) AS given(id, at), LATERAL covista_jobs.add_job(${task}, json_build_object('id', given.id),
    run_at => coalesce(given.at, now()), max_attempts => ${JOB_ATTEMPTS_MAX}, job_key => ${task} || ':' || given.id) AS j`;
}

function openPool(url: string, max: number, log: Log): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max });
  const lost = (error: Error): void => log.warn({ err: error }, 'a connection of the jobs was lost');
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', lost));
  return pool;
}

function loggerOf(log: Log): Logger {
  const levels = { error: 'error', warning: 'warn', info: 'debug', debug: 'trace' } as const;
  return new Logger(() => (level, message) => log[levels[level]]({ message }, 'jobs'));
}
