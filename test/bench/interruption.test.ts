import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const TIMEOUT_MS = 5 * 60_000;

/** What scenarios begin with. */
const RUN = `
  import { createWorkspace } from './bench/support/data.ts';
  import { startBenchDatabase } from './bench/support/database.ts';
  import { leaveNothingWhenInterrupted } from './bench/support/remains.ts';
  import { startBenchServer } from './bench/support/server.ts';
  leaveNothingWhenInterrupted();
  createWorkspace();
  const { url } = await startBenchDatabase();
  await startBenchServer({ COVISTA_DATABASE_URL: url });
  process.stdout.write('begun');
`;

/** Those of the bench, which PostgreSQL's user must be able to reach. */
async function newTemporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'covista-interruption-'));
  await chmod(directory, 0o755);
  return directory;
}

/** As in a terminal, where it reaches all programs. */
function pressCtrlC({ pid }: ChildProcess): void {
  process.kill(-(pid as number), 'SIGINT');
}

test(
  'a run that is interrupted leaves no directories, neither of data nor of servers',
  async () => {
    const directory = await newTemporaryDirectory();
    const remains = async (): Promise<string[]> => (await readdir(directory)).filter((name) => name.startsWith('covista-bench-'));
    const run = spawn(process.execPath, ['--input-type=module', '--eval', RUN], {
      ...{ cwd: join(import.meta.dirname, '../..'), env: { ...process.env, TMPDIR: directory } },
      ...{ stdio: ['ignore', 'pipe', 'inherit'], detached: true },
    });
    const ended = once(run, 'exit');
    try {
      if (run.stdout === null) throw new Error('the run has no standard output');
      await Promise.race([once(run.stdout, 'data'), ended]);
      // Of the workspace, the database and the server.
      expect(await remains()).toHaveLength(3);
      pressCtrlC(run);
      expect(await ended).toEqual([130, null]);
      expect(await remains()).toEqual([]);
    } finally {
      run.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    }
  },
  TIMEOUT_MS,
);
