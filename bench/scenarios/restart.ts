import { mintToken } from '../../server/gateway/mint.ts';
import { freePort } from '../../test/support/process-server.ts';
import { type Measurement, percentile, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { cpuSecondsOf } from '../support/document-servers.ts';
import { meetRestart, type RestartReport } from '../support/restart-crowd.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

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
    const server = await startBenchServer({}, undefined, await freePort());
    try {
      return await measure(server, options);
    } finally {
      await server.stop();
    }
  },
};

async function measure(server: BenchServer, options: ScenarioOptions): Promise<Measurement[]> {
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
      before = { ofServer: cpuSecondsOf(server.pid), ofClients: clientSeconds() };
      return readyAtMs;
    },
    giveUpMs: GIVE_UP_MS,
  });
  for (const fault of new Set(report.commands.failed)) options.say(`a command failed: ${fault}`);
  // The least time that it could take with a processor for each side, however busy the machine is.
  const spent = { ofServer: cpuSecondsOf(server.pid) - before.ofServer, ofClients: clientSeconds() - before.ofClients };
  return [
    ...describe(report),
    { area: AREA, name: 'the server was away', value: awayMs, unit: 'ms' },
    { area: AREA, name: 'CPU of the server for each client that came back', value: (spent.ofServer * 1_000) / clients, unit: 'ms' },
    { area: AREA, name: 'CPU of each client that came back', value: (spent.ofClients * 1_000) / clients, unit: 'ms' },
  ];
}

/** What this process used, which is all clients. */
const clientSeconds = (): number => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;

function describe({ clients, backMs, commands, firstBytes, againBytes }: RestartReport): Measurement[] {
  const within = backMs.filter((ms) => ms <= BACK_MS).length;
  // Of clients that are back before the first line of the server was read, the time is nought.
  const back = (share: number): number => Math.min(GIVE_UP_MS, Math.max(0, percentile(backMs, share)));
  return [
    {
      area: AREA,
      name: `share of ${clients} clients that are back within ${BACK_MS / 1_000} s`,
      value: within / clients,
      unit: 'ratio',
      limit: 0.999,
      bound: 'at least',
    },
    { area: AREA, name: 'commands that were acknowledged and lost', value: commands.lost, unit: 'count', limit: 0, bound: 'at most' },
    { area: AREA, name: 'commands that were acknowledged', value: commands.acknowledged, unit: 'count', better: 'higher' },
    { area: AREA, name: 'commands that failed', value: commands.failed.length, unit: 'count', limit: 0, bound: 'at most' },
    { area: AREA, name: 'back: median', value: back(0.5), unit: 'ms' },
    { area: AREA, name: 'back: p99', value: back(0.99), unit: 'ms' },
    { area: AREA, name: 'back: p99.9', value: back(0.999), unit: 'ms' },
    { area: AREA, name: 'received by a client at first', value: firstBytes / clients / KiB, unit: 'KiB' },
    { area: AREA, name: 'received by a client that came back', value: againBytes / clients / KiB, unit: 'KiB' },
  ];
}
