import { execFile } from 'node:child_process';
import { readFile, readlink, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';

/**
 * A process id alone proves nothing: after a crash or a reboot it may belong to anybody. Together with the time when the
 * process started it names one process for good.
 */

/** When a running process started, as a text to compare with; undefined when there is none, or only its unreaped remains. */
export async function startOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return askPs(pid, 'lstart=');
  const stat = await readOr(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the program's name in brackets, which may contain anything; after it comes the state, the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const boot = (await readOr('/proc/sys/kernel/random/boot_id')) ?? '';
  return `${fields[19]}@${boot.trim()}`;
}

/** Whether a process is the PostgreSQL server of the cluster in `directory`: it is what it runs, and where. */
export async function isPostgresOf(pid: number, directory: string): Promise<boolean> {
  if (process.platform !== 'linux') {
    const command = await askPs(pid, 'command=');
    return command?.includes('postgres') === true && command.includes(directory);
  }
  const [program, place] = await Promise.all([linkOr(`/proc/${pid}/exe`), linkOr(`/proc/${pid}/cwd`)]);
  return program !== undefined && basename(program).startsWith('postgres') && place === (await realpath(directory));
}

async function askPs(pid: number, column: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', column, '-p', String(pid)]);
    return stdout.trim() || undefined;
  } catch (error) {
    // It exits with 1 when there is no such process.
    if (error instanceof Error && 'code' in error && error.code === 1) return undefined;
    throw error;
  }
}

const GONE = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM']);

/** Undefined when the process is gone, or belongs to somebody whose business it is. */
async function orGone(reading: Promise<string>): Promise<string | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof Error && 'code' in error && GONE.has(String(error.code))) return undefined;
    throw error;
  }
}

const readOr = (path: string): Promise<string | undefined> => orGone(readFile(path, 'utf8'));
const linkOr = (path: string): Promise<string | undefined> => orGone(readlink(path));
