import { resolve } from 'node:path';
import { BackupCheck } from '../storage/backup/backup-check.ts';
import { BackupDirectory } from '../storage/backup/backup-directory.ts';
import { backupLimits, takeBackup } from '../storage/backup/take-backup.ts';
import { type Command, UsageError } from './command.ts';
import { withDatabase } from './installation.ts';

export const backup: Command = {
  summary: 'Copy metadata and files of one moment into a directory of backups, beside a server that goes on working; prints the name of the backup',
  operands: 'DIRECTORY',
  flags: { verify: { type: 'boolean', prose: 'Read the backup again and compare every byte with what was copied' } },
  run: async ({ flags, operands, config, terminal }) => {
    const path = directoryOf(operands);
    const dataDir = resolve(config.dataDir);
    const { snapshot, copied, damagedAtSource, mended, unreadable } = await withDatabase(config, { isNew: false }, ({ databaseUrl, log }) =>
      takeBackup({ ...backupLimits(config.limits), dataDir, databaseUrl, directory: path, log }),
    );
    terminal.print(`${snapshot.snapshotId}\n`);
    const { objects } = snapshot;
    terminal.say(`${objects.count} files, ${objects.bytes} bytes; new were ${copied.objects} files, ${copied.bytes} bytes.\n`);
    for (const name of unreadable) terminal.say(`backup ${name} is damaged, and was passed over\n`);
    for (const what of mended) terminal.say(`mended: ${what} was damaged in the directory\n`);
    const lasting =
      flags.verify === true
        ? await new BackupCheck(new BackupDirectory(path)).damageOf(snapshot)
        : snapshot.damaged.map((key) => `${key} is missing or damaged`);
    const problems = [...lasting, ...damagedAtSource.map((key) => `${key} is damaged, and whole in the backup; see verify --from`)];
    for (const problem of problems) terminal.say(`covista: ${problem}\n`);
    return problems.length === 0 ? 0 : 1;
  },
};

/** The one operand of a command that takes a directory. */
export function directoryOf(operands: readonly string[]): string {
  const [path, ...more] = operands;
  if (path === undefined || more.length > 0) throw new UsageError('give one directory of backups');
  return resolve(path);
}
