import { resolve } from 'node:path';
import { type Config, isReachable } from '../config.ts';
import { type Backups, startBackups } from '../services/maintenance/backups.ts';
import { systemClock } from '../shared/clock.ts';
import type { Logger } from '../shared/log.ts';
import type { Metrics } from '../shared/metrics.ts';
import { BackupDirectory } from '../storage/backup/backup-directory.ts';
import { backupLimits, takeBackup } from '../storage/backup/take-backup.ts';

interface Place {
  readonly url: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The backups that the server takes by itself, where the settings name a directory for them. */
export function startHouseBackups(config: Config, { url: databaseUrl, log, metrics }: Place): Pick<Backups, 'stop'> {
  const { backupDir, dataDir, limits } = config;
  if (backupDir === undefined) {
    // Whoever tries it out on their own machine knows.
    if (isReachable(config)) log.warn('the server takes no backups of itself: COVISTA_BACKUP_DIR is not set');
    return { stop: async () => undefined };
  }
  const { backupPeriodMs: periodMs } = limits;
  const directory = resolve(backupDir);
  const kept = new BackupDirectory(directory);
  const backups = startBackups({
    newestAtMs: async () => {
      await kept.prepare();
      const { found } = await kept.newestWhole(async ({ takenAt }) => Date.parse(takenAt));
      return found;
    },
    take: async (signal) => {
      const { snapshot, copied, damagedAtSource } = await takeBackup({
        ...backupLimits(limits),
        dataDir: resolve(dataDir),
        databaseUrl,
        directory,
        log,
        signal,
      });
      log.info({ backup: snapshot.snapshotId, files: snapshot.objects.count, newBytes: copied.bytes }, 'a backup was taken');
      const damaged = [...snapshot.damaged, ...damagedAtSource];
      if (damaged.length > 0)
        log.error({ objects: damaged.slice(0, 20), count: damaged.length }, 'files are missing or damaged; run `covista verify`');
    },
    periodMs,
    clock: systemClock,
    log,
  });
  metrics.jobs({ backups });
  return backups;
}
