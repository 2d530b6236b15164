import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { startOf } from './process-identity.ts';

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  readonly start: string;
  readonly nonce: string;
}

const ATTEMPTS_MAX = 10;

/**
 * Takes a lock file for this process, or throws when a process that still runs holds it. A lock whose holder is gone (killed,
 * or the machine restarted) is taken over.
 */
export async function lockDirectory(path: string): Promise<{ release(): Promise<void> }> {
  const start = await startOf(process.pid);
  const mine: Holder = { pid: process.pid, start: start ?? '', nonce: randomUUID() };
  const draft = `${path}.${mine.nonce}`;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600, flush: true });
  try {
    // A link appears with its content or not at all, and only if there was nothing of that name.
    for (let attempt = 1; !(await tryLink(draft, path)); attempt += 1) {
      await removeStale(path);
      if (attempt === ATTEMPTS_MAX) throw new Error(`cannot take the lock ${path}: others keep taking it`);
    }
  } finally {
    await rm(draft, { force: true });
  }
  return {
    release: async () => {
      if ((await readHolder(path))?.nonce === mine.nonce) await rm(path, { force: true });
    },
  };
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function removeStale(path: string): Promise<void> {
  const holder = await readHolder(path);
  if (!holder) return;
  if ((await startOf(holder.pid)) === holder.start) {
    throw new Error(`another server (process ${holder.pid}) uses this data directory: ${path} is its lock`);
  }
  // Whoever else saw the same stale lock may have replaced it meanwhile: look at what was really taken away, and give it back.
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  if ((await readHolder(aside))?.nonce !== holder.nonce) await tryLink(aside, path);
  await rm(aside, { force: true });
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw new Error(`the lock ${path} cannot be read; remove it if no server runs`, { cause: error });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
