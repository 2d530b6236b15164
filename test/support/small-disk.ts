import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface SmallDisk {
  readonly directory: string;
  close(): Promise<void>;
}

/** A file system of a few megabytes in memory; undefined where this process may not mount one. */
export async function mountSmallDisk(bytes: number): Promise<SmallDisk | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-test-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory]);
  } catch {
    await rm(directory, { recursive: true });
    return undefined;
  }
  return {
    directory,
    close: async () => {
      await run('umount', [directory]);
      await rm(directory, { recursive: true });
    },
  };
}

/** Runs a module in a Node whose files may have so many bytes at most: the other way to run out of room. */
export async function runWithFileLimit(module: string, bytes: number, args: readonly string[]): Promise<string> {
  const script = `trap '' XFSZ; ulimit -f ${Math.floor(bytes / 1024)}; exec "$@"`;
  const { stdout } = await run('bash', ['-c', script, 'bash', process.execPath, module, ...args], { maxBuffer: 1e7 });
  return stdout;
}
