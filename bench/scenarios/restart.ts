import { mintToken } from '../../server/gateway/mint.ts';
import { freePort } from '../../test/support/process-server.ts';
import { type Measurement, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { meetRestart, type RestartReport } from '../support/restart-crowd.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { cpuSecondsOf } from '../support/watched.ts';

const AREA = 'restart';
const KiB = 1024;
/** Within this of the server being ready, clients are to be back. */
const BACK_MS = 5_000;
/** Who is not back after this is counted as back only then. */
const GIVE_UP_MS = 60_000;

export const restart: Scenario = {
  name: 'restart',
  area: AREA,
  about:
    'how soon clients with documents are back after a restart of the server, of whom some go on committing, and whether anything acknowledged is lost',
  run: async (options) => {
    const restarts: Restart[] = [];
    for (let run = 0; run < sizeOf(options, [1, 1, 3]); run += 1) {
      const server = await startBenchServer({}, undefined, await freePort());
      try {
        restarts.push(await measure(server, options));
      } finally {
        await server.stop();
      }
    }
    return describe(restarts);
  },
};

/** One restart, and what the server and all clients spent until everybody was back. */
interface Restart {
  readonly report: RestartReport;
  readonly awayMs: number;
  readonly serverSeconds: number;
  readonly clientSeconds: number;
}

async function measure(server: BenchServer, options: ScenarioOptions): Promise<Restart> {
  const secret = server.environment.COVISTA_JWT_SECRET ?? '';
  const [clients, documents, sdkEvery] = sizeOf<readonly [number, number, number]>(options, [
    [40, 2, 2],
    [500, 10, 20],
    [5_000, 50, 50],
  ]);
  let awayMs = 0;
  let before = { ofServer: 0, ofClients: 0 };
  const report = await meetRestart({
    url: server.url,
    token: (subject) => mintToken(secret, { subject, claims: { groups: ['crowd'] } }),
    clients,
    sdkEvery,
    perDocument: Math.ceil(clients / documents),
    notes: sizeOf(options, [20, 100, 100]),
    restart: async () => {
      const askedAtMs = performance.now();
      await server.restart();
      const readyAtMs = performance.now();
      awayMs = readyAtMs - askedAtMs;
      before = { ofServer: cpuSecondsOf(server.pid), ofClients: usedSeconds() };
      return readyAtMs;
    },
    giveUpMs: GIVE_UP_MS,
  });
  for (const fault of new Set(report.commands.failed)) options.say(`a command failed: ${fault}`);
  // The least time that it could take with a processor for each side, however busy the machine is.
  const [serverSeconds, clientSeconds] = [cpuSecondsOf(server.pid) - before.ofServer, usedSeconds() - before.ofClients];
  const restarted = { report, awayMs, serverSeconds, clientSeconds };
  options.say(
    `${(100 * backInTime(restarted)).toFixed(2)} % of ${clients} clients were back in time; the server was away for ${awayMs.toFixed(0)} ms`,
  );
  return restarted;
}

/** What this process used, which is all clients. */
const usedSeconds = (): number => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;

const backInTime = ({ report: { backMs, clients } }: Restart): number => backMs.filter((ms) => ms <= BACK_MS).length / clients;

function describe(restarts: readonly Restart[]): Measurement[] {
  const clients = restarts[0]?.report.clients ?? 0;
  const figure = (name: string, unit: Measurement['unit'], of: (restart: Restart) => number): Measurement => {
    return { area: AREA, name, unit, ...summaryOf(restarts.map(of)) };
  };
  // What must never happen is told of all restarts together.
  const never = (name: string, of: (commands: RestartReport['commands']) => number): Measurement => {
    const value = restarts.reduce((sum, { report }) => sum + of(report.commands), 0);
    return { area: AREA, name, value, unit: 'count', limit: 0, bound: 'at most' };
  };
  // Of clients that are back before the first line of the server was read, the time is nought.
  const back = (name: string, share: number): Measurement => ({
    ...figure(name, 'ms', ({ report: { backMs } }) => Math.min(GIVE_UP_MS, Math.max(0, percentile(backMs, share)))),
    // What says that so many are no few is reckoned for the 99th.
    ...(share === 0.99 ? { samples: clients } : {}),
  });
  return [
    {
      ...figure(`share of ${clients} clients that are back within ${BACK_MS / 1_000} s`, 'ratio', backInTime),
      // Of all restarts together: one of them that keeps people waiting is not to be left out.
      value: restarts.reduce((sum, restarted) => sum + backInTime(restarted), 0) / restarts.length,
      ...{ limit: 0.999, bound: 'at least' },
    },
    never('commands that were acknowledged and lost', ({ lost }) => lost),
    never('commands that failed', ({ failed }) => failed.length),
    { ...figure('commands that were acknowledged', 'count', ({ report: { commands } }) => commands.acknowledged), better: 'higher' },
    back('back: median', 0.5),
    back('back: p99', 0.99),
    back('back: p99.9', 0.999),
    figure('received by a client at first', 'KiB', ({ report: { firstBytes } }) => firstBytes / clients / KiB),
    figure('received by a client that came back', 'KiB', ({ report: { againBytes } }) => againBytes / clients / KiB),
    figure('the server was away', 'ms', ({ awayMs }) => awayMs),
    figure('CPU of the server for each client that came back', 'ms', ({ serverSeconds }) => (serverSeconds * 1_000) / clients),
    figure('CPU of each client that came back', 'ms', ({ clientSeconds }) => (clientSeconds * 1_000) / clients),
  ];
}
