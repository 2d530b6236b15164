import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { encodeFrame } from '../../protocol/frame.ts';

/** A server under load, and the messages that it is loaded with. */
export interface Target {
  readonly name: string;
  readonly port: string;
  readonly pid: number;
  readonly path: string;
  /** The message that opens a session, in hexadecimal; empty where there is none. */
  readonly hello: string;
  /** How many messages come before requests are taken. */
  readonly greetings: number;
  readonly requests: readonly string[];
  readonly isText: boolean;
}

export interface Load {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** A frame as the load generator takes it. */
export const hex = (frame: Parameters<typeof encodeFrame>[0]): string => Buffer.from(encodeFrame(frame)).toString('hex');

/** Loads a server from a process of its own. */
export async function flood(target: Target, connections: number, seconds: number): Promise<Load> {
  const flags = {
    port: target.port,
    path: target.path,
    hello: target.hello,
    greetings: target.greetings,
    connections,
    depth: target.requests.length,
    seconds,
    requests: target.requests.join(','),
  };
  const args = [...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), ...(target.isText ? ['--text'] : [])];
  const before = cpuSeconds(target.pid);
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'flood.ts'), ...args]);
  const perSecond = Number(stdout);
  return { perSecond, perCpuSecond: (perSecond * seconds) / (cpuSeconds(target.pid) - before) };
}

/** CPU time that a process has used (proc(5), stat, fields 14 and 15, in hundredths of a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The first line that a program prints, which is its address. */
export async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the peer has no standard output');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return line;
}
