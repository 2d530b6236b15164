import { fileURLToPath } from 'node:url';
import { type RunnerOption, runner } from 'node-pg-migrate';
import pg from 'pg';
import { CovistaError } from '../../../protocol/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { translate } from './faults.ts';
import { admitToJobs, installJobs } from './jobs.ts';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));

/**
 * Brings the database at `url` to the schema of `migrations/`, all in one transaction. Servers that start at once wait for
 * each other on an advisory lock, and the later ones find nothing left to do. `unavailable` when the database does not answer.
 * With `count`, at most so many migrations are applied.
 */
export async function migrate(url: string, log: Logger, count?: number): Promise<void> {
  const applied = await run(url, log, count);
  for (const { name } of applied) log.info({ migration: name }, 'migration applied');
  await refusing(url, () => installJobs(url, log));
}

/**
 * Lets a role that owns nothing run the server on the migrated database at `url`, which is that of the owner: it may do what
 * the server does, and of the audit it may only read and add. What later migrations create it is given when this runs again.
 */
export async function admitServerRole(url: string, role: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    await assertMayNotOwn(client, role);
    const name = pg.escapeIdentifier(role);
    await client.query(`
      BEGIN;
      GRANT USAGE ON SCHEMA public TO ${name};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${name};
      GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${name};
      REVOKE ALL ON audit, migrations, deployment FROM ${name};
      GRANT SELECT, INSERT ON audit TO ${name};
      GRANT SELECT ON deployment TO ${name};
      -- References lets the migrator see that there is nothing to do, which it tells by the primary key of its table.
      GRANT SELECT, REFERENCES ON migrations TO ${name}`);
    await admitToJobs(client, role);
    await client.query('COMMIT');
  } catch (error) {
    throw translate(error);
  } finally {
    await client.end();
  }
}

async function assertMayNotOwn(client: pg.Client, role: string): Promise<void> {
  const { rows } = await client.query<{ owns: boolean }>(
    `SELECT rolsuper OR pg_has_role(rolname, (SELECT relowner FROM pg_class WHERE oid = 'audit'::regclass), 'MEMBER') AS owns
     FROM pg_roles WHERE rolname = $1`,
    [role],
  );
  const [found] = rows;
  if (found === undefined) throw new CovistaError('not_found', `the database has no role ${JSON.stringify(role)}; create it first`);
  if (found.owns)
    throw new CovistaError('conflict', `the role ${JSON.stringify(role)} owns the tables or is a superuser, so nothing can be kept from it`);
}

function run(url: string, log: Logger, count: number | undefined) {
  return refusing(url, () => runner({ ...optionsFor(url, log), ...(count === undefined ? {} : { count }) }));
}

async function refusing<Result>(url: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    // The runners tell of refusals in their words only, so whether this is one is asked of the database.
    if (!(await mayMigrate(url))) {
      const message =
        'the database is of another version, and this role may not change it; run `covista migrate` as the owner of its tables, who may create schemas';
      throw new CovistaError('forbidden', message, {}, error);
    }
    throw translate(error);
  }
}

/** Whether the role of the url may create tables and schemas, as far as that can be found out. */
async function mayMigrate(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    const { rows } = await client.query<{ may: boolean }>(
      `SELECT has_schema_privilege('public', 'CREATE') AND has_database_privilege(current_database(), 'CREATE') AS may`,
    );
    return rows[0]?.may !== false;
  } catch {
    // The failure that led here says more than one to ask about it.
    return true;
  } finally {
    await client.end();
  }
}

function optionsFor(url: string, log: Logger): RunnerOption {
  return {
    databaseUrl: url,
    dir: directory,
    ignorePattern: '(?!\\d{4}-.*\\.sql$).*',
    direction: 'up',
    migrationsTable: 'migrations',
    advisoryLockMode: 'wait',
    logger: {
      debug: (message) => log.trace({ message }, 'migration'),
      info: (message) => log.trace({ message }, 'migration'),
      warn: (message) => log.warn({ message }, 'migration'),
      error: (message) => log.error({ message }, 'migration'),
    },
  };
}
