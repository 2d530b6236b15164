import { createPgDriverFactory } from '@slonik/pg-driver';
import { createPool, type DatabasePool } from 'slonik';
import { defaultLimits } from '../../protocol/limits.ts';
import { createLog } from '../../server/shared/log.ts';
import { startEmbedded } from '../../server/storage/postgres/embedded.ts';
import { migrate } from '../../server/storage/postgres/migrate.ts';
import { endedWithRun, newDirectory, removeDirectory } from './remains.ts';

/** A migrated PostgreSQL that the server and bare statements share, so that both meet the same disk and the same caches. */
export interface BenchDatabase {
  readonly url: string;
  /** Like the server's own pool. */
  readonly pool: DatabasePool;
  stop(): Promise<void>;
}

export async function startBenchDatabase(): Promise<BenchDatabase> {
  const dataDir = newDirectory('database');
  const log = createLog('warn', false);
  const starting = startEmbedded({ dataDir, log });
  const ended = endedWithRun(async () => (await starting).stop());
  const embedded = await starting;
  await migrate(embedded.url, log);
  const pool = await createPool(embedded.url, {
    driverFactory: createPgDriverFactory(),
    maximumPoolSize: defaultLimits.databasePoolMax,
    statementTimeout: defaultLimits.statementTimeoutMs,
    idleInTransactionSessionTimeout: defaultLimits.operationTimeoutMs,
    idleTimeout: defaultLimits.operationTimeoutMs,
    resetConnection: async () => {},
    queryRetryLimit: 0,
    transactionRetryLimit: 0,
    typeParsers: [
      { name: 'int8', parse: Number },
      { name: 'timestamptz', parse: (text: string) => new Date(text).toISOString() },
    ],
  });
  return {
    url: embedded.url,
    pool,
    stop: async () => {
      await pool.end();
      await embedded.stop();
      ended();
      removeDirectory(dataDir);
    },
  };
}
