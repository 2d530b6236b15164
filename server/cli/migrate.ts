import { createLog } from '../shared/log.ts';
import { startEmbedded } from '../storage/postgres/embedded.ts';
import { migrate } from '../storage/postgres/migrate.ts';
import type { Command } from './command.ts';

export const migrateDatabase: Command = {
  summary: 'Bring the database to the schema of this version, as every start of the server does',
  flags: {},
  run: async ({ config, terminal }) => {
    const log = createLog(config.logLevel, config.logPretty);
    const embedded = config.databaseUrl === undefined ? await startEmbedded({ dataDir: config.dataDir, log }) : undefined;
    try {
      await migrate(embedded?.url ?? config.databaseUrl ?? '', log);
    } finally {
      await embedded?.stop();
    }
    terminal.say('The database is up to date.\n');
    return 0;
  },
};
