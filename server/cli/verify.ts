import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import type { Logger } from '../shared/log.ts';
import { BackupCheck } from '../storage/backup/backup-check.ts';
import { BackupDirectory } from '../storage/backup/backup-directory.ts';
import { READ_BYTES } from '../storage/backup/copier.ts';
import { unlessDamaged } from '../storage/backup/damage.ts';
import { mendBackups } from '../storage/backup/mend-backups.ts';
import { verifyInstallation } from '../storage/backup/verify.ts';
import { createEncryptedObjects } from '../storage/files/encrypted-objects.ts';
import { createLocalObjects } from '../storage/files/local-objects.ts';
import { openStoreKey } from '../storage/files/store-key.ts';
import type { ObjectStore } from '../storage/stores.ts';
import { directoryOf } from './backup.ts';
import { type Command, textFlag, UsageError } from './command.ts';
import { withDatabase } from './installation.ts';
import type { Terminal } from './terminal.ts';

export const verify: Command = {
  summary: 'Compare every file with its hash and every reference with what it refers to, of an installation, or of the backups in a directory',
  operands: '[DIRECTORY]',
  flags: {
    repair: { type: 'boolean', prose: 'Make right again what follows from the rest; of backups, files that the installation has whole' },
    from: { type: 'string', value: 'DIRECTORY', prose: 'Take missing and damaged files from these backups' },
  },
  run: async ({ flags, operands, config, terminal }) => {
    const from = textFlag(flags, 'from');
    if (operands.length > 0 && from !== undefined) throw new UsageError('--from is for an installation, not for backups');
    if (operands.length > 0) return verifyBackups(directoryOf(operands), flags.repair === true ? resolve(config.dataDir) : undefined, terminal);
    return verifyServer(config, { mend: flags.repair === true, from: from && resolve(from) }, terminal);
  },
};

async function verifyServer(
  config: Config,
  wish: { readonly mend: boolean; readonly from: string | undefined },
  terminal: Terminal,
): Promise<number> {
  const dataDir = resolve(config.dataDir);
  const found = await withDatabase(config, { isNew: false }, async ({ databaseUrl, log }) =>
    verifyInstallation({ ...wish, dataDir, databaseUrl, objects: await openObjects(config, dataDir, log) }),
  );
  for (const problem of found.mended) terminal.say(`mended: ${problem}\n`);
  for (const problem of found.problems) terminal.say(`covista: ${problem}\n`);
  terminal.print(
    `${found.objects} files, ${found.bytes} bytes, ${found.strays} of no use, ${found.mended.length} mended, ${found.problems.length} problems\n`,
  );
  return found.problems.length === 0 ? 0 : 1;
}

/** Only read, so that nothing is decrypted onto the disk. */
async function openObjects(config: Config, dataDir: string, log: Logger): Promise<Pick<ObjectStore, 'read' | 'list'>> {
  const key = await openStoreKey(dataDir, config.masterKeys, log);
  const root = join(dataDir, 'objects');
  if (key === undefined) return createLocalObjects(root, READ_BYTES);
  return createEncryptedObjects({ root, key, cacheDirectory: join(dataDir, 'work', 'verify'), limits: config.limits });
}

/** `mendFrom`: the data directory from which damaged files are taken; undefined: nothing is changed. */
async function verifyBackups(path: string, mendFrom: string | undefined, terminal: Terminal): Promise<number> {
  const directory = new BackupDirectory(path);
  if (mendFrom !== undefined) for (const name of await mendBackups(directory, mendFrom)) terminal.say(`mended: object ${name}\n`);
  const check = new BackupCheck(directory);
  let problems = 0;
  for (const snapshotId of await directory.snapshotIds()) {
    const read = await unlessDamaged(async () => ({ problems: await check.damageOf(await directory.readSnapshot(snapshotId)) }));
    const damage = 'problems' in read ? read.problems : [read.damage];
    for (const problem of damage) terminal.say(`covista: ${snapshotId}: ${problem}\n`);
    terminal.print(`${snapshotId} ${damage.length === 0 ? 'is whole' : `has ${damage.length} problems`}\n`);
    problems += damage.length;
  }
  return problems === 0 ? 0 : 1;
}
