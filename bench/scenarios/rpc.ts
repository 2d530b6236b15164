import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { encodeFrame, FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { type Measurement, median, type Scenario, type ScenarioOptions, spreadOf } from '../measurement.ts';
import { startBenchServer } from '../support/server.ts';

const CONNECTIONS = 100;
/** Requests that each connection keeps under way. */
const DEPTH = 32;

interface Target {
  readonly port: string;
  readonly pid: number;
  /** The message that opens a session, in hexadecimal; empty where there is none. */
  readonly hello: string;
}

interface Load {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

export const rpc: Scenario = {
  name: 'rpc',
  about: `session.whoami over /rpc, ${CONNECTIONS} connections with ${DEPTH} requests each under way, against a bare uWebSockets.js and msgpackr echo`,
  run: measure,
};

async function measure({ quick, say }: ScenarioOptions): Promise<Measurement[]> {
  const server = await startBenchServer();
  const echo = spawn(process.execPath, [join(import.meta.dirname, '../peers/echo.ts')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const ours = { port: new URL(server.url).port, pid: server.pid, hello: helloOf(server.token('bench')) };
    const bare = { port: new URL(await firstLine(echo)).port, pid: echo.pid as number, hello: '' };
    return await compare(ours, bare, { runs: quick ? 1 : 5, seconds: quick ? 1 : 3, say });
  } finally {
    echo.kill();
    await server.stop();
  }
}

/** Takes turns, so that whatever else the machine does meets both alike. */
async function compare(
  ours: Target,
  bare: Target,
  { runs, seconds, say }: { readonly runs: number; readonly seconds: number; readonly say: (text: string) => void },
): Promise<Measurement[]> {
  await flood(ours, 1);
  await flood(bare, 1);
  const pairs: { readonly whoami: Load; readonly echo: Load }[] = [];
  for (let run = 0; run < runs; run += 1) {
    const pair = { echo: await flood(bare, seconds), whoami: await flood(ours, seconds) };
    say(`run ${run + 1}: whoami ${pair.whoami.perSecond}, echo ${pair.echo.perSecond} a second`);
    pairs.push(pair);
  }
  const figure = (name: string, unit: Measurement['unit'], values: readonly number[]): Measurement => ({
    area: 'rpc',
    name,
    unit,
    value: median(values),
    spread: spreadOf(values),
  });
  const ratios = pairs.map(({ whoami, echo }) => whoami.perSecond / echo.perSecond);
  return [
    { ...figure('whoami throughput against a bare echo', 'ratio', ratios), limit: 0.6, bound: 'at least' },
    figure(
      'whoami requests per CPU second against a bare echo',
      'ratio',
      pairs.map(({ whoami, echo }) => whoami.perCpuSecond / echo.perCpuSecond),
    ),
    figure(
      'whoami',
      'per second',
      pairs.map(({ whoami }) => whoami.perSecond),
    ),
    figure(
      'bare echo',
      'per second',
      pairs.map(({ echo }) => echo.perSecond),
    ),
  ];
}

const requests = Array.from({ length: DEPTH }, (_, index) => hex([FRAME.request, index + 1, 'session.whoami', {}, null, false])).join(',');

function hex(frame: Parameters<typeof encodeFrame>[0]): string {
  return Buffer.from(encodeFrame(frame)).toString('hex');
}

function helloOf(token: string): string {
  return hex([FRAME.hello, PROTOCOL_VERSION, token, 'bench']);
}

/** Loads a server from a process of its own. */
async function flood({ port, pid, hello }: Target, seconds: number): Promise<Load> {
  const load = ['--connections', String(CONNECTIONS), '--depth', String(DEPTH), '--seconds', String(seconds), '--requests', requests];
  const before = cpuSeconds(pid);
  const { stdout } = await promisify(execFile)(process.execPath, [
    join(import.meta.dirname, '../support/flood.ts'),
    '--port',
    port,
    '--hello',
    hello,
    ...load,
  ]);
  const perSecond = Number(stdout);
  return { perSecond, perCpuSecond: (perSecond * seconds) / (cpuSeconds(pid) - before) };
}

/** CPU time that a process has used (proc(5), stat, fields 14 and 15, in hundredths of a second). */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the echo server has no standard output');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return line;
}
