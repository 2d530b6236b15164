import { join, resolve } from 'node:path';
import type { Config } from '../config.ts';
import type { Logger } from '../shared/log.ts';
import { BackupCheck } from '../storage/backup/backup-check.ts';
import { BackupDirectory, READ_BYTES } from '../storage/backup/backup-directory.ts';
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
    repair: { type: 'boolean', prose: 'Make right again what follows from the rest' },
    from: { type: 'string', value: 'DIRECTORY', prose: 'Take missing and damaged files from these backups' },
  },
  run: async ({ flags, operands, config, terminal }) => {
    const from = textFlag(flags, 'from');
    if (operands.length > 0 && (flags.repair === true || from !== undefined)) throw new UsageError('backups are not repaired; take another one');
    if (operands.length > 0) return verifyBackups(directoryOf(operands), terminal);
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

async function verifyBackups(path: string, terminal: Terminal): Promise<number> {
  const directory = new BackupDirectory(path);
  const check = new BackupCheck(directory);
  let problems = 0;
  for (const snapshotId of await directory.snapshotIds()) {
    const damage = await check.damageOf(await directory.readSnapshot(snapshotId));
    for (const problem of damage) terminal.say(`covista: ${snapshotId}: ${problem}\n`);
    terminal.print(`${snapshotId} ${damage.length === 0 ? 'is whole' : `has ${damage.length} problems`}\n`);
    problems += damage.length;
  }
  return problems === 0 ? 0 : 1;
}
