import { join } from 'node:path';
import { objectPath } from '../files/object-files.ts';
import { BackupCheck } from './backup-check.ts';
import type { BackupDirectory } from './backup-directory.ts';
import { hashOfCopy, sizeOf } from './copier.ts';
import { unlessDamaged } from './damage.ts';
import { lockBackups } from './lock.ts';

/**
 * Takes files that are missing or damaged in a directory of backups from the installation, where that has them as they were; answers
 * with their names. `conflict` while a backup is under way.
 */
export async function mendBackups(directory: BackupDirectory, dataDir: string): Promise<string[]> {
  const lock = await lockBackups(directory.root);
  try {
    const check = new BackupCheck(directory);
    for (const snapshotId of await directory.snapshotIds()) await unlessDamaged(async () => check.damageOf(await directory.readSnapshot(snapshotId)));
    const copier = directory.copier();
    const mended: string[] = [];
    for (const { name, bytes, sha256 } of check.damagedObjects.values()) {
      const path = objectPath(join(dataDir, 'objects'), name);
      if ((await sizeOf(path)) !== bytes || (await hashOfCopy(path))?.sha256 !== sha256) continue;
      await copier.copy(path, name);
      mended.push(name);
    }
    await copier.sync();
    return mended;
  } finally {
    await lock.release();
  }
}
