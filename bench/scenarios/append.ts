import { readFileSync } from 'node:fs';
import type { Client } from '../../client/index.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { createWorkspace, FLIGHTS, writeFlights } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import { startBenchServer } from '../support/server.ts';

const ROWS = 1_000;

export const append: Scenario = {
  name: 'append',
  area: 'append',
  about: `appending ${ROWS} rows to a version of 3,000,000 rows against appending them to one of ${ROWS}`,
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(1);
    const path = workspace.path('more.csv');
    await writeFlights(duckdb, path, ROWS);
    await duckdb.stop();
    const server = await startBenchServer();
    const client = await server.client('bench');
    try {
      return await measure(client, readFileSync(path), options);
    } finally {
      client.close();
      await server.stop();
      workspace.remove();
    }
  },
};

async function measure(client: Client, more: Uint8Array, options: ScenarioOptions): Promise<Measurement[]> {
  const large = await datasetOf(client, readFileSync(FLIGHTS), 3_000_000);
  const small = await datasetOf(client, more, ROWS);
  const runs = sizeOf(options, [1, 5, 25]);
  options.say(`${runs} appends to each, in turn`);
  const times = { large: [] as number[], small: [] as number[] };
  for (let run = -3; run < runs; run += 1) {
    const onLarge = await timeAppend(client, { datasetId: large, branch: `run${run}`, rows: 3_000_000 + ROWS, more });
    const onSmall = await timeAppend(client, { datasetId: small, branch: `run${run}`, rows: 2 * ROWS, more });
    if (run < 0) continue;
    times.large.push(onLarge);
    times.small.push(onSmall);
  }
  const area = 'append';
  return [
    { area, name: 'to 3,000,000 rows / to 1,000 rows', ...ratioOf(times.large, times.small), limit: 2, bound: 'at most' },
    { area, name: 'to 3,000,000 rows', ...summaryOf(times.large), unit: 'ms' },
    { area, name: 'to 1,000 rows', ...summaryOf(times.small), unit: 'ms' },
  ];
}

async function datasetOf(client: Client, body: Uint8Array, rows: number): Promise<number> {
  const { datasetId } = await client.dataset.create({ name: `Bench of ${rows} rows` });
  const version = await client.version.commit({ datasetId, branch: 'main' }, { body });
  if (version.rows !== rows) throw new Error(`expected ${rows} rows, got ${version.rows}`);
  return datasetId;
}

interface Append {
  readonly datasetId: number;
  readonly branch: string;
  readonly rows: number;
  readonly more: Uint8Array;
}

/** Each append begins a branch of its own at main, so that all of them find the same base. */
async function timeAppend(client: Client, { datasetId, branch, rows, more }: Append): Promise<number> {
  const start = performance.now();
  const version = await client.version.commit({ datasetId, branch, mode: 'append' }, { body: more });
  const milliseconds = performance.now() - start;
  if (version.rows !== rows) throw new Error(`expected ${rows} rows, got ${version.rows}`);
  return milliseconds;
}
