import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a run that is broken off would leave behind: directories, and programs that write into them. */
const directories = new Set<string>();
const programs = new Set<() => Promise<void>>();
/** By which signal the run is being ended. */
let signal: 'SIGINT' | 'SIGTERM' | undefined;

export const isBrokenOff = (): boolean => signal !== undefined;

/** Ctrl-C reaches all programs of a terminal. */
export const wereAllTold = (): boolean => signal === 'SIGINT';

/** Nothing new begins while what is there is removed. */
export function assertGoesOn(): void {
  if (isBrokenOff()) throw new Error('the run was broken off');
}

export function newDirectory(of?: string): string {
  assertGoesOn();
  const directory = mkdtempSync(join(tmpdir(), `covista-bench-${of === undefined ? '' : `${of}-`}`));
  directories.add(directory);
  return directory;
}

/** What ends just then may still write. */
const REMOVAL = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 } as const;

export function removeDirectory(directory: string): void {
  rmSync(directory, REMOVAL);
  directories.delete(directory);
}

/** Sees to it that a program ends where the run is broken off; what is answered says that it has ended otherwise. */
export function endedWithRun(end: () => Promise<void>): () => void {
  assertGoesOn();
  programs.add(end);
  return () => programs.delete(end);
}

const STATUSES = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const;

/** Where this process is asked to end, it ends what runs, removes what that wrote, and goes; where it is asked again, at once. */
export function leaveNothingWhenInterrupted(): void {
  for (const [told, status] of STATUSES) {
    process.once(told, () => {
      signal = told;
      void leave(status);
    });
  }
}

/** For who has nothing more to do in a run that is broken off. */
export const untilEnded = (): Promise<never> => new Promise(() => undefined);

async function leave(status: number): Promise<void> {
  // A server before its database.
  for (const end of [...programs].reverse()) await end().catch(() => undefined);
  for (const directory of directories) {
    try {
      removeDirectory(directory);
    } catch (fault) {
      process.stderr.write(`${directory} could not be removed: ${String(fault)}\n`);
    }
  }
  process.exit(status);
}
