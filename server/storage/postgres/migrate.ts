import { fileURLToPath } from 'node:url';
import { type RunnerOption, runner } from 'node-pg-migrate';
import type { Logger } from '../../shared/log.ts';
import { translate } from './faults.ts';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));

/**
 * Brings the database at `url` to the schema of `migrations/`, all in one transaction. Servers that start at once wait for
 * each other on an advisory lock, and the later ones find nothing left to do. `unavailable` when the database does not answer.
 */
export async function migrate(url: string, log: Logger): Promise<void> {
  const applied = await run(url, log);
  for (const { name } of applied) log.info({ migration: name }, 'migration applied');
}

async function run(url: string, log: Logger) {
  try {
    return await runner(optionsFor(url, log));
  } catch (error) {
    throw translate(error);
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
