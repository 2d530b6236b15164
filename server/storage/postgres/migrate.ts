import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import type { Logger } from '../../shared/log.ts';

const directory = fileURLToPath(new URL('../../../migrations', import.meta.url));

/**
 * Brings the database at `url` to the schema of `migrations/`, all in one transaction. Servers that start at once wait for
 * each other on an advisory lock, and the later ones find nothing left to do.
 */
export async function migrate(url: string, log: Logger): Promise<void> {
  const applied = await runner({
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
  });
  for (const { name } of applied) log.info({ migration: name }, 'migration applied');
}
