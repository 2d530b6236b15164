import { randomUUID } from 'node:crypto';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { startOf } from './process-identity.ts';

/** Who holds a lock. */
interface Holder {
  readonly pid: number;
  readonly start: string;
  /** Tells this lock from any other that was or will be at the same path. */
  readonly nonce: string;
}

const ATTEMPTS_MAX = 1_000;
const WAIT_MS = 5;

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
    await take(path, draft);
  } finally {
    await rm(draft, { force: true });
  }
  return {
    release: async () => {
      if ((await readHolder(path))?.nonce === mine.nonce) await rm(path, { force: true });
    },
  };
}

async function take(path: string, draft: string): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    if (await tryLink(draft, path)) return;
    const holder = await readHolder(path);
    if (!holder) continue;
    if (await isAlive(holder)) throw new Error(`another server (process ${holder.pid}) uses this data directory: ${path} is its lock`);
    await removeDead(path, holder, draft);
  }
  throw new Error(`cannot take the lock ${path}: others keep taking it`);
}

/**
 * Removes the lock of a dead holder, and no other: the right to remove just that one is a lock itself, named after it. Whoever
 * saw the same dead holder and comes later finds that the lock is another's by then. A dead claimant is removed the same way.
 */
async function removeDead(path: string, dead: Holder, draft: string): Promise<void> {
  const claim = `${path}.${dead.nonce}`;
  if (await tryLink(draft, claim)) {
    if ((await readHolder(path))?.nonce === dead.nonce) await rm(path);
    await rm(claim);
    return;
  }
  const claimant = await readHolder(claim);
  if (claimant && !(await isAlive(claimant))) await removeDead(claim, claimant, draft);
  else await delay(WAIT_MS);
}

async function isAlive({ pid, start }: Holder): Promise<boolean> {
  return (await startOf(pid)) === start;
}

/** A link appears with its content or not at all, and only if there was nothing of that name. */
async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
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
