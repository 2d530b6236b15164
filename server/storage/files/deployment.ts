import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const FILE = 'deployment-id';

/**
 * Makes sure that a data directory and a database belong together, before anything is removed that the database does not
 * know. A directory without files is bound to the database; one with files of another database is refused.
 */
export async function bindDataDirectory(dataDir: string, deploymentId: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, FILE);
  const bound = await unlessAbsent(readFile(path, 'utf8'));
  if (bound?.trim() === deploymentId) return;
  if (bound !== undefined)
    throw new Error(`${dataDir} holds the files of another database; give that database (COVISTA_DATABASE_URL) or another data directory`);
  const datasets = (await unlessAbsent(readdir(join(dataDir, 'objects', 'datasets')))) ?? [];
  if (datasets.length > 0)
    throw new Error(
      `${dataDir} holds files, but ${FILE} is missing, so it is not known which database they belong to; restore it, or give another data directory`,
    );
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(`${deploymentId}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function unlessAbsent<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
