import { join } from 'node:path';
import { CovistaError } from '../../../protocol/errors.ts';
import { lockDirectory } from '../postgres/directory-lock.ts';

/** Whoever writes to a directory of backups is alone there; `conflict` while another one is. */
export async function lockBackups(directory: string): Promise<{ release(): Promise<void> }> {
  try {
    return await lockDirectory(join(directory, 'backup.lock'));
  } catch (cause) {
    // A failure of the file system has a code, and says itself what is wrong.
    if (cause instanceof Error && 'code' in cause) throw cause;
    throw new CovistaError('conflict', `another backup into ${directory} is under way`, {}, cause);
  }
}
