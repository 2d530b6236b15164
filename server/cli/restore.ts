import { mkdir, readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CovistaError } from '../../protocol/errors.ts';
import { BackupDirectory } from '../storage/backup/backup-directory.ts';
import { chooseBackup, restoreBackup } from '../storage/backup/restore.ts';
import { directoryOf } from './backup.ts';
import { type Command, textFlag } from './command.ts';
import { withDatabase } from './installation.ts';

export const restore: Command = {
  summary: 'Make an installation of a backup, in an empty data directory and an empty database',
  operands: 'DIRECTORY',
  flags: { backup: { type: 'string', value: 'NAME', prose: 'Which backup, by the name that `backup` printed; absent: the newest' } },
  run: async ({ flags, operands, config, terminal }) => {
    const directory = new BackupDirectory(directoryOf(operands));
    const dataDir = resolve(config.dataDir);
    // Before a database is made there: what was misspelt can be asked for again.
    const snapshot = await chooseBackup(directory, textFlag(flags, 'backup'));
    await mkdir(dataDir, { recursive: true });
    if ((await readdir(dataDir)).length > 0) throw new CovistaError('conflict', `${dataDir} is not empty; restore into a directory that is`);
    const beganAtMs = Date.now();
    const damaged = await withDatabase(config, { isNew: true }, ({ databaseUrl, log }) =>
      restoreBackup({ directory, snapshot, dataDir, databaseUrl, log }),
    );
    terminal.print(`${snapshot.snapshotId}\n`);
    const { takenAt, objects } = snapshot;
    const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
    terminal.say(
      `${objects.count} files, ${objects.bytes} bytes in ${seconds(Date.now() - beganAtMs)}; of ${takenAt}, ${seconds(beganAtMs - Date.parse(takenAt))} before.\n`,
    );
    for (const name of damaged) terminal.say(`covista: ${name} is missing or damaged in the backup\n`);
    return damaged.length === 0 ? 0 : 1;
  },
};
