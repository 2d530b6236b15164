import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Client } from '../../client/index.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { createWorkspace, FLIGHTS, type Workspace, writeOrders } from '../support/data.ts';
import { type BareDuckdb, convertStatement, startDuckdb } from '../support/duckdb.ts';
import { commitOverRest } from '../support/rest.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const MiB = 2 ** 20;
const PERSON = 'bench';
const READ_BYTES = 1024 * 1024;

interface Bench {
  readonly server: BenchServer;
  readonly client: Client;
  readonly duckdb: BareDuckdb;
  readonly workspace: Workspace;
  readonly runs: number;
}

interface Case {
  readonly name: string;
  readonly path: string;
  readonly rows: number;
}

/** Runs, of one file: all milliseconds, and the most memory above `idleBytes`. */
interface Runs {
  readonly rest: number[];
  readonly socket: number[];
  readonly floor: number[];
  readonly growth: number[];
}

export const commit: Scenario = {
  name: 'commit',
  area: 'commit',
  about: "committing a file against DuckDB's own COPY of it to Parquet, with as many threads and in a process of its own",
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(availableParallelism());
    const server = await startBenchServer();
    const client = await server.client(PERSON);
    try {
      const bench = { server, client, duckdb, workspace, runs: sizeOf(options, [1, 1, 5]) };
      return await measure(bench, await prepareCases(bench, options), options);
    } finally {
      client.close();
      await server.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

async function prepareCases({ duckdb, workspace }: Bench, options: ScenarioOptions): Promise<Case[]> {
  const rows = sizeOf(options, [5_000, 50_000, 1_000_000]);
  const orders = workspace.path('orders.csv');
  await writeOrders(duckdb, orders, rows);
  return [
    { name: 'flights-3m.parquet', path: FLIGHTS, rows: 3_000_000 },
    { name: `CSV of ${rows.toLocaleString('en')} rows`, path: orders, rows },
  ];
}

async function measure(bench: Bench, cases: readonly Case[], { say }: ScenarioOptions): Promise<Measurement[]> {
  await bench.client.ready();
  const idleBytes = bench.server.memory().now;
  const measurements: Measurement[] = [];
  for (const one of cases) {
    say(`${one.name}: ${bench.runs} runs`);
    measurements.push(...describe(one, await runAll(bench, one, idleBytes)));
  }
  return [...measurements, { area: 'commit', name: 'idle memory', value: idleBytes / MiB, unit: 'MiB' }];
}

/** Every run in turn, so that what else the machine does hits all of them alike; the first round only warms up. */
async function runAll(bench: Bench, one: Case, idleBytes: number): Promise<Runs> {
  const runs: Runs = { rest: [], socket: [], floor: [], growth: [] };
  for (let run = -1; run < bench.runs; run += 1) {
    const floor = await bench.duckdb.run([convertStatement(one.path, bench.workspace.path('floor.parquet'))]);
    bench.server.resetPeak();
    const rest = await timeCommit(bench, one, ({ datasetId }) =>
      commitOverRest({ url: bench.server.url, token: bench.server.token(PERSON), datasetId, branch: 'main', path: one.path }),
    );
    const socket = await timeCommit(bench, one, ({ datasetId }) =>
      bench.client.version.commit({ datasetId, branch: 'main' }, { body: createReadStream(one.path, { highWaterMark: READ_BYTES }) }),
    );
    const growth = bench.server.memory().peak - idleBytes;
    if (run < 0) continue;
    runs.floor.push(floor);
    runs.rest.push(rest);
    runs.socket.push(socket);
    runs.growth.push(growth / MiB);
  }
  return runs;
}

/** Commits to a new dataset each time, because a dataset recognises what it already has. */
async function timeCommit(
  { client }: Bench,
  one: Case,
  work: (dataset: { readonly datasetId: number }) => Promise<{ readonly rows: number; readonly conversion: { readonly status: string } }>,
): Promise<number> {
  const dataset = await client.dataset.create({ name: `Bench ${one.name}` });
  const start = performance.now();
  const { rows, conversion } = await work(dataset);
  const milliseconds = performance.now() - start;
  if (rows !== one.rows || conversion.status !== 'complete') throw new Error(`${one.name} became ${rows} rows, ${conversion.status}`);
  await client.dataset.delete({ datasetId: dataset.datasetId });
  return milliseconds;
}

function describe({ name }: Case, { rest, socket, floor, growth }: Runs): Measurement[] {
  const area = 'commit';
  return [
    { area, name: `${name} over REST / COPY`, ...ratioOf(rest, floor), limit: 1.3, bound: 'at most' },
    { area, name: `${name} over the socket / COPY`, ...ratioOf(socket, floor), limit: 1.3, bound: 'at most' },
    { area, name: `${name} over REST`, ...summaryOf(rest), unit: 'ms' },
    { area, name: `${name} by COPY`, ...summaryOf(floor), unit: 'ms', better: 'neither' },
    {
      area,
      name: `${name}: memory above idle`,
      ...summaryOf(growth),
      value: Math.max(...growth),
      unit: 'MiB',
      limit: 572,
      bound: 'at most',
    },
  ];
}
