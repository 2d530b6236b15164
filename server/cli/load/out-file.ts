import { statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';

/** Makes sure that a file can be written before minutes of work whose outcome goes there; where nothing was written, none is left that was not there. */
export async function withOutFile<Result>(path: string | undefined, work: () => Promise<Result>): Promise<Result> {
  if (path === undefined) return work();
  const isNew = await touch(path);
  try {
    return await work();
  } finally {
    if (isNew && statSync(path, { throwIfNoEntry: false })?.size === 0) await rm(path);
  }
}

/** Answers whether it was made. */
async function touch(path: string): Promise<boolean> {
  try {
    await (await open(path, 'ax')).close();
    return true;
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'EEXIST') throw fault;
    await (await open(path, 'a')).close();
    return false;
  }
}
