import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { FRAME } from '../../protocol/frame.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { type Measurement, median, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { firstLine, flood, hex, type Load, type Target, UNLIMITED_PER_SECOND } from '../support/load.ts';
import { startBenchServer } from '../support/server.ts';

const CONNECTIONS = 100;
/** Requests that each connection keeps under way. */
const DEPTH = 32;
const AREA = 'rpc';

interface Peer extends Omit<Target, 'port' | 'pid'> {
  readonly program: string;
}

const text = (message: string): string => Buffer.from(message).toString('hex');
const whoami = Array.from({ length: DEPTH }, (_, index) => hex([FRAME.request, index + 1, 'session.whoami', {}, null, false]));
const numbered = (message: (number: number) => string): string[] => Array.from({ length: DEPTH }, (_, index) => text(message(index + 1)));

/** The practical limit, and what people would use instead; the messages are those of their own clients. */
const ECHO: Peer = {
  ...{ name: 'bare uWebSockets.js echo', program: 'echo', path: '/rpc', hello: '', greetings: 0, requests: whoami, isText: false },
  answer: /^\[1,\d+,"session.whoami",/,
};
const PEERS: readonly Peer[] = [
  {
    name: 'ws',
    program: 'ws',
    path: '/',
    hello: '',
    greetings: 0,
    requests: numbered((id) => `{"id":${id},"method":"whoami"}`),
    answer: /^\{"id":\d+,"method":"whoami"\}$/,
    isText: true,
  },
  {
    name: 'tRPC over ws',
    program: 'trpc',
    path: '/',
    hello: '',
    greetings: 0,
    requests: numbered((id) => `{"id":${id},"jsonrpc":"2.0","method":"query","params":{"path":"whoami"}}`),
    answer: /"result":.*"subject":"bench"/,
    isText: true,
  },
  {
    name: 'socket.io',
    program: 'socket-io',
    path: '/socket.io/?EIO=4&transport=websocket',
    hello: text('40'),
    greetings: 2,
    requests: numbered((id) => `42${id}["whoami"]`),
    answer: /^43\d+\[\{"subject":"bench"/,
    isText: true,
  },
];

export const rpc: Scenario = {
  name: 'rpc',
  area: AREA,
  about: `session.whoami over /rpc, ${CONNECTIONS} connections with ${DEPTH} requests each under way, against a bare uWebSockets.js and msgpackr echo, ws, tRPC and socket.io`,
  run: measure,
};

async function measure(options: ScenarioOptions): Promise<Measurement[]> {
  const server = await startBenchServer({ COVISTA_REQUESTS_PER_SUBJECT_PER_SECOND: String(UNLIMITED_PER_SECOND) });
  const children: ChildProcess[] = [];
  try {
    const start = (peer: Peer): Promise<Target> => startPeer(peer, children);
    const ours: Target = {
      ...{ name: 'covista', path: '/rpc', greetings: 1, requests: whoami, isText: false },
      port: new URL(server.url).port,
      pid: server.pid,
      hello: hex([FRAME.hello, PROTOCOL_VERSION, server.token('bench'), 'bench']),
      answer: new RegExp(`^\\[${FRAME.response},\\d+,\\{"subject":"bench"`),
    };
    const echo = await start(ECHO);
    const against = await compare({ ours, echo }, options);
    const peers = await Promise.all(PEERS.map(start));
    return [...against, ...(await comparePeers(ours, peers, options)), ...(await measureScaling(ours, options))];
  } finally {
    for (const child of children) child.kill();
    await server.stop();
  }
}

async function startPeer({ program, ...peer }: Peer, children: ChildProcess[]): Promise<Target> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `../peers/${program}.ts`)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return { ...peer, port: new URL(await firstLine(child)).port, pid: child.pid as number };
}

/** Takes turns, so that whatever else the machine does meets both alike. */
async function compare({ ours, echo }: { readonly ours: Target; readonly echo: Target }, options: ScenarioOptions): Promise<Measurement[]> {
  const seconds = secondsOf(options);
  await flood(ours, CONNECTIONS, 1);
  await flood(echo, CONNECTIONS, 1);
  const pairs: { readonly whoami: Load; readonly echo: Load }[] = [];
  for (let run = 0; run < sizeOf(options, [1, 1, 5]); run += 1) {
    const pair = { echo: await flood(echo, CONNECTIONS, seconds), whoami: await flood(ours, CONNECTIONS, seconds) };
    options.say(`run ${run + 1}: whoami ${pair.whoami.perSecond}, echo ${pair.echo.perSecond} a second`);
    pairs.push(pair);
  }
  const ratios = pairs.map((pair) => pair.whoami.perSecond / pair.echo.perSecond);
  const perCpu = pairs.map((pair) => pair.whoami.perCpuSecond / pair.echo.perCpuSecond);
  return [
    { ...figure('whoami throughput against a bare echo', 'ratio', ratios), limit: 0.6, bound: 'at least' },
    { ...figure('whoami requests per CPU second against a bare echo', 'ratio', perCpu), better: 'higher' },
    {
      ...figure(
        'bare echo',
        'per second',
        pairs.map((pair) => pair.echo.perSecond),
      ),
      better: 'neither',
    },
  ];
}

async function comparePeers(ours: Target, peers: readonly Target[], options: ScenarioOptions): Promise<Measurement[]> {
  const seconds = secondsOf(options);
  const measurements: Measurement[] = [];
  for (const peer of peers) {
    const ratios: number[] = [];
    for (let run = 0; run < sizeOf(options, [1, 1, 2]); run += 1) {
      const theirs = await flood(peer, CONNECTIONS, seconds);
      ratios.push((await flood(ours, CONNECTIONS, seconds)).perCpuSecond / theirs.perCpuSecond);
    }
    options.say(`${peer.name}: ${median(ratios).toFixed(2)} times its requests per CPU second`);
    measurements.push({ ...figure(`whoami requests per CPU second against ${peer.name}`, 'ratio', ratios), better: 'higher' });
  }
  return measurements;
}

/** How the rate changes as the same work comes from more connections. */
async function measureScaling(ours: Target, options: ScenarioOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  for (const connections of sizeOf<readonly number[]>(options, [[1], [100], [1, 10, 100, 1_000]])) {
    const { perSecond } = await flood(ours, connections, secondsOf(options));
    measurements.push({ ...figure('whoami', 'per second', [perSecond]), at: { of: 'connections', value: connections } });
  }
  return measurements;
}

const secondsOf = (options: ScenarioOptions): number => sizeOf(options, [0.5, 0.5, 2]);

function figure(name: string, unit: Measurement['unit'], values: readonly number[]): Measurement {
  return { area: AREA, name, unit, ...summaryOf(values) };
}
