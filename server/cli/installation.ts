import type { Config } from '../config.ts';
import { createLog, type Logger } from '../shared/log.ts';
import { attachEmbedded, startEmbedded } from '../storage/postgres/embedded.ts';

export interface Installation {
  readonly databaseUrl: string;
  readonly log: Logger;
}

/**
 * Runs `work` on the database of an installation: the external one, the embedded one that its server runs, or else one that is
 * started for as long as that takes. A database that is to be new is never one that runs.
 */
export async function withDatabase<Result>(
  { dataDir, databaseUrl, logLevel, logPretty }: Config,
  options: { readonly isNew: boolean },
  work: (installation: Installation) => Promise<Result>,
): Promise<Result> {
  const log = createLog(logLevel, logPretty);
  if (databaseUrl !== undefined) return work({ databaseUrl, log });
  const embedded = await (options.isNew ? startEmbedded : attachEmbedded)({ dataDir, log });
  try {
    return await work({ databaseUrl: embedded.url, log });
  } finally {
    await embedded.stop();
  }
}
