import { createReadStream } from 'node:fs';
import type { PacedName, PacedOrders } from '../loads/paced.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { createWorkspace, type Workspace, writeOrders } from '../support/data.ts';
import { startDuckdb } from '../support/duckdb.ts';
import { UNDER_WAY_MAX } from '../support/pace.ts';
import { pacedLoad } from '../support/paced.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const AREA = 'operations';
const PERSON = 'bench';

/** One of every kind: queries, reads of rows, tables, views, documents, streams, downloads, commands and commits, with a rate that a server bears easily. */
const RATES: Readonly<Record<PacedName, number>> = {
  'session.whoami': 500,
  'ref.resolve': 200,
  'version.get': 200,
  'version.history': 100,
  'version.preview': 20,
  'diff.rows': 20,
  'table.open': 50,
  'view.data': 50,
  'view.create': 20,
  'document.connect': 20,
  'dataset.watch': 50,
  'version.fetch': 10,
  'branch.create': 50,
  'version.append': 10,
  'version.commit': 20,
};

/**
 * What is asked ever faster, until it cannot keep up; `session.whoami` only up to half of what one process of the SDK can ask, since the
 * server answers twenty times as many (see `rpc`), so that the limit that was found would be that of the client.
 */
const SWEPT = [
  ['session.whoami', [1_000, 2_500, 5_000, 10_000]],
  ['ref.resolve', [500, 1_000, 2_000, 4_000]],
  ['view.data', [25, 50, 100, 200]],
] as const satisfies readonly (readonly [PacedName, readonly number[]])[];

export const operations: Scenario = {
  name: 'operations',
  area: AREA,
  isCurves: true,
  about:
    'latency of every kind of operation by connections at a steady rate, how many one client process gets answered flat out, and latency by rate over 100 connections',
  run: async (options) => {
    const workspace = createWorkspace();
    const server = await startBenchServer();
    try {
      const orders = await prepare(server, workspace, options);
      return [...(await byConnections(orders, options)), ...(await throughput(orders, options)), ...(await byRate(orders, options))];
    } finally {
      await server.stop();
      workspace.remove();
    }
  },
};

type Prepared = Omit<PacedOrders, 'connections' | 'seconds' | 'operations'>;

async function prepare(server: BenchServer, workspace: Workspace, options: ScenarioOptions): Promise<Prepared> {
  const rows = sizeOf(options, [2_000, 20_000, 100_000]);
  const paths = [workspace.path('one.csv'), workspace.path('other.csv')] as const;
  const duckdb = startDuckdb(1);
  await writeOrders(duckdb, paths[0], rows);
  await writeOrders(duckdb, paths[1], rows + 100);
  await duckdb.stop();
  const client = await server.client(PERSON);
  try {
    const { datasetId } = await client.dataset.create({ name: 'Bench: operations' });
    for (const path of paths) await client.version.commit({ datasetId, branch: 'main' }, { body: createReadStream(path) });
    for (const name of ['small', 'growing']) await client.branch.create({ datasetId, name, from: 'main' });
    await client.version.commit({ datasetId, branch: 'growing', mode: 'replace' }, { body: Buffer.from('id,at\n0,0\n') });
    const { tableId } = await client.table.open({ datasetId, ref: '1' }, { perspective: false });
    return { url: server.url, token: server.token(PERSON), datasetId, rows, tableId };
  } finally {
    client.close();
  }
}

async function byConnections(prepared: Prepared, options: ScenarioOptions): Promise<Measurement[]> {
  const operations = Object.entries(RATES).map(([name, perSecond]) => ({ name: name as PacedName, perSecond }));
  const measurements: Measurement[] = [];
  for (const connections of sizeOf<readonly number[]>(options, [[2], [100], [1, 100, 1_000]])) {
    options.say(`${connections} connections`);
    for (const { name, count: samples, p50, p99, failures } of await pacedLoad({
      ...prepared,
      connections,
      seconds: sizeOf(options, [0.3, 0.5, 0.7]),
      operations,
    })) {
      if (Object.keys(failures).length > 0) throw new Error(`some failed: ${JSON.stringify(failures)}`);
      const at = { of: 'connections', value: connections };
      measurements.push({ area: AREA, name: `${name}: median`, value: p50, unit: 'ms', at });
      measurements.push({ area: AREA, name: `${name}: p99`, value: p99, unit: 'ms', samples, at });
    }
  }
  return measurements;
}

/** Of the cheapest kinds as many as one process of the SDK can ask, which is less than the server answers. */
async function throughput(prepared: Prepared, options: ScenarioOptions): Promise<Measurement[]> {
  const operations = Object.keys(RATES).map((name) => ({ name: name as PacedName }));
  const measurements: Measurement[] = [];
  for (const connections of sizeOf<readonly number[]>(options, [[2], [100], [1, 100, 1_000]])) {
    options.say(`${connections} connections flat out`);
    for (const { name, perSecond, failures } of await pacedLoad({
      ...prepared,
      connections,
      seconds: sizeOf(options, [0.3, 0.5, 0.4]),
      operations,
    })) {
      failUnlessTooMuch(name, failures);
      measurements.push({
        area: AREA,
        name: `${name}: answered to one process, at most ${UNDER_WAY_MAX} under way`,
        value: perSecond,
        unit: 'per second',
        at: { of: 'connections', value: connections },
      });
    }
  }
  return measurements;
}

function failUnlessTooMuch(name: PacedName, failures: Readonly<Record<string, number>>): void {
  const others = Object.keys(failures).filter((failure) => !TOO_MUCH.includes(failure.replace(`${name}: `, '')));
  if (others.length > 0) throw new Error(`some failed: ${JSON.stringify(failures)}`);
}

/** Rises until the answers come later than they are asked for; what is asked faster than that tells nothing more. */
async function byRate(prepared: Prepared, options: ScenarioOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  const connections = sizeOf(options, [2, 20, 100]);
  const seconds = sizeOf(options, [0.3, 0.5, 1.5]);
  for (const [name, rates] of SWEPT) {
    const asked = rates.slice(0, sizeOf(options, [1, 2, rates.length]));
    const figures = await pacedLoad({ ...prepared, connections, seconds, operations: asked.map((perSecond) => ({ name, perSecond })) });
    for (const { failures } of figures) failUnlessTooMuch(name, failures);
    const limit = figures.findIndex(({ perSecond }, index) => perSecond < (asked[index] ?? 0) * KEPT_UP);
    for (const [index, { p99, count: samples }] of figures.slice(0, limit < 0 ? asked.length : limit + 1).entries()) {
      const at = { of: 'requests a second', value: asked[index] ?? 0 };
      measurements.push({ area: AREA, name: `${name}: p99`, value: p99, unit: 'ms', samples, at });
    }
  }
  return measurements;
}

/** How a server that is asked too much says so: of one person, or by all together of its database. */
const TOO_MUCH = ['rate_limited', 'unavailable'];

/** A server that answers less than this share of the rate in time has found its limit. */
const KEPT_UP = 0.9;
