import { unlink } from 'node:fs/promises';

/** Removes a file, if it is there. One call of the file system, where `rm` makes three. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
