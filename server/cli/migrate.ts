import { createLog } from '../shared/log.ts';
import { startEmbedded } from '../storage/postgres/embedded.ts';
import { migrate } from '../storage/postgres/migrate.ts';
import type { Command } from './command.ts';

export const migrateDatabase: Command = {
  summary: 'Bring the database to the schema of this version, as every start of the server does',
  flags: {},
  run: async ({ config: { dataDir, databaseUrl, logLevel, logPretty }, terminal }) => {
    const log = createLog(logLevel, logPretty);
    const database = databaseUrl === undefined ? await startEmbedded({ dataDir, log }) : { url: databaseUrl, stop: async () => undefined };
    try {
      await migrate(database.url, log);
    } finally {
      await database.stop();
    }
    terminal.say('The database is up to date.\n');
    return 0;
  },
};
