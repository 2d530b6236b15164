import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { encodeFrame } from '../../protocol/frame.ts';
import { cpuSecondsOf } from './watched.ts';

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
  /** What an answer to any of them is; of a binary message, as JSON. */
  readonly answer: RegExp;
  readonly isText: boolean;
}

export interface Load {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** A frame as the load generator takes it. */
export const hex = (frame: Parameters<typeof encodeFrame>[0]): string => Buffer.from(encodeFrame(frame)).toString('hex');

/** Of one person who is many connections; what it refuses would be counted as nothing. */
export const UNLIMITED_PER_SECOND = 1_000_000_000;

/** Loads a server from a process of its own; rejects where that says anything but answers. */
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
    answer: target.answer.source,
  };
  const args = [...Object.entries(flags).map(([name, value]) => `--${name}=${value}`), ...(target.isText ? ['--text'] : [])];
  const before = cpuSecondsOf(target.pid);
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'flood.ts'), ...args]);
  const perSecond = Number(stdout);
  return { perSecond, perCpuSecond: (perSecond * seconds) / (cpuSecondsOf(target.pid) - before) };
}

/** The first line that a program prints, which is its address. */
export async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the peer has no standard output');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return line;
}
