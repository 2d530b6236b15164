import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Question } from './observed.ts';

export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Runs a program of Node with its standard output piped, such that `loopDelay` and `collect` can be asked of it. */
export function spawnWatched(args: readonly string[], env: NodeJS.ProcessEnv = process.env): ChildProcess {
  return spawn(process.execPath, ['--expose-gc', '--import', join(import.meta.dirname, 'observed.ts'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
}

/** How late the main thread of a program was since the last time that this was asked. */
export async function loopDelay(child: ChildProcess): Promise<LoopDelay> {
  return (await ask(child, 'how late?')) as LoopDelay;
}

/** Lets a program collect the garbage of its main thread. */
export async function collect(child: ChildProcess): Promise<void> {
  await ask(child, 'collect');
}

async function ask(child: ChildProcess, question: Question): Promise<unknown> {
  const answered = once(child, 'message');
  child.send(question);
  const [answer] = await answered;
  return answer;
}

/** Resident memory of a process now, and the most since the last call of `resetPeak`, in bytes. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytesOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { now: bytesOf('VmRSS'), peak: bytesOf('VmHWM') };
}

/** Lets the kernel count the peak from now on. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** CPU time that a process has used, also in threads that have ended, in seconds, to a hundredth of one (proc(5), stat, fields 14 and 15). */
export function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** CPU time that the threads of a process have used which are there, in seconds, to the nanosecond (proc(5), schedstat): for a moment in which none ends. */
export function threadSecondsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e9;
}
