import { createLog } from '../shared/log.ts';
import { startEmbedded } from '../storage/postgres/embedded.ts';
import { admitServerRole, migrate } from '../storage/postgres/migrate.ts';
import { type Command, textFlag } from './command.ts';

export const migrateDatabase: Command = {
  summary: 'Bring the database to the schema of this version, as every start of the server does',
  flags: {
    'server-role': {
      type: 'string',
      value: 'ROLE',
      prose: 'Let this role of the database, which owns nothing, run the server; it cannot change or delete what was audited',
    },
  },
  run: async ({ flags, config: { dataDir, databaseUrl, logLevel, logPretty }, terminal }) => {
    const log = createLog(logLevel, logPretty);
    const database = databaseUrl === undefined ? await startEmbedded({ dataDir, log }) : { url: databaseUrl, stop: async () => undefined };
    try {
      await migrate(database.url, log);
      const role = textFlag(flags, 'server-role');
      if (role !== undefined) await admitServerRole(database.url, role);
    } finally {
      await database.stop();
    }
    terminal.say('The database is up to date.\n');
    return 0;
  },
};
