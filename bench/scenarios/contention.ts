import type { Client } from '../../client/index.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { type BareSql, createBareSql } from '../support/bare-sql.ts';
import { createWorkspace, smallCsv, writeSmallCsvs } from '../support/data.ts';
import { type BenchDatabase, startBenchDatabase } from '../support/database.ts';
import { type BareDuckdb, convertStatement, startDuckdb } from '../support/duckdb.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const CLIENTS = 50;
/** The floors are known from these shares of the commits. */
const FLOOR_SHARE = { commits: 1 / 8, restores: 1 / 2 };
/** Of bare SQL: as many transactions at once as the server's pool has connections. */
const SQL_CONCURRENCY = 10;
const DUCKDB_CONNECTIONS = 2;

interface Bench {
  readonly clients: readonly Client[];
  readonly sql: BareSql;
  readonly duckdb: BareDuckdb;
  readonly size: Size;
}

interface Size {
  /** Of commits to one branch, between which the floor has its turn. */
  readonly parts: number;
  readonly commitsPerPart: number;
  readonly branches: number;
  /** Of metadata-only commits. */
  readonly runs: number;
}

const FULL: Size = { parts: 4, commitsPerPart: 50, branches: 1_000, runs: 3 };
const SMOKE: Size = { parts: 2, commitsPerPart: 1, branches: 10, runs: 1 };
const QUICK: Size = { parts: 1, commitsPerPart: 4, branches: 100, runs: 1 };

export const contention: Scenario = {
  name: 'contention',
  area: 'contention',
  about: `${CLIENTS} clients committing small versions at once, against the conversions by bare DuckDB plus the rows by bare SQL`,
  run: async (options) => {
    const database = await startBenchDatabase();
    const duckdb = startDuckdb(1);
    const server = await startBenchServer({ COVISTA_DATABASE_URL: database.url });
    const clients = await openClients(server);
    try {
      const bench = { clients, duckdb, sql: createBareSql(database.pool), size: sizeOf(options, [SMOKE, QUICK, FULL]) };
      return [...(await measureCommits(bench, options)), ...(await measureRestores(bench, options))];
    } finally {
      await stopAll({ clients, server, duckdb, database });
    }
  },
};

function openClients(server: BenchServer): Promise<Client[]> {
  return Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = await server.client('bench');
      await client.ready();
      return client;
    }),
  );
}

async function stopAll(bench: { clients: readonly Client[]; server: BenchServer; duckdb: BareDuckdb; database: BenchDatabase }): Promise<void> {
  for (const client of bench.clients) client.close();
  await bench.server.stop();
  await bench.duckdb.stop();
  await bench.database.stop();
}

async function measureCommits(bench: Bench, { say }: ScenarioOptions): Promise<Measurement[]> {
  const { clients, size } = bench;
  const perClient = size.parts * size.commitsPerPart;
  const commits = clients.length * size.commitsPerPart;
  const workspace = createWorkspace();
  const floorCommits = Math.ceil(commits * FLOOR_SHARE.commits);
  const statements = writeSmallCsvs(workspace.directory, floorCommits).map((path) => convertStatement(path, path.replace(/csv$/, 'parquet')));
  const rates: Rates = { ours: [], floor: [] };
  const first = clients[0] as Client;
  const create = async (): Promise<number> => (await first.dataset.create({ name: 'Bench' })).datasetId;
  await commitPart(bench, { datasetId: await create(), part: 0, commitsPerPart: 2 });
  const datasetId = await create();
  for (let part = 0; part < size.parts; part += 1) {
    const duckdbMs = await bench.duckdb.run(statements, DUCKDB_CONNECTIONS);
    const sqlMs = await time(() => commitBare(bench, floorCommits));
    const oursMs = await time(() => commitPart(bench, { datasetId, part, commitsPerPart: size.commitsPerPart }));
    say(`${commits} commits in ${oursMs.toFixed(0)} ms; DuckDB ${duckdbMs.toFixed(0)} ms and SQL ${sqlMs.toFixed(0)} ms for ${floorCommits}`);
    rates.ours.push((commits * 1000) / oursMs);
    rates.floor.push((floorCommits * 1000) / (duckdbMs + sqlMs));
  }
  await assertComplete(first, datasetId, clients.length * perClient);
  workspace.remove();
  return describe(`${clients.length} × ${perClient} commits to one branch`, 'DuckDB and SQL', rates);
}

async function commitBare({ sql }: Bench, commits: number): Promise<void> {
  const datasetId = await sql.createDataset();
  await concurrently(SQL_CONCURRENCY, commits, () => sql.commit(datasetId, 'main'));
}

interface Part {
  readonly datasetId: number;
  /** Counted from 0. */
  readonly part: number;
  readonly commitsPerPart: number;
}

/** Every client commits one small file after the other to the same branch. */
async function commitPart({ clients }: Bench, { datasetId, part, commitsPerPart }: Part): Promise<void> {
  const encoder = new TextEncoder();
  await Promise.all(
    clients.map(async (client, index) => {
      for (let commit = part * commitsPerPart; commit < (part + 1) * commitsPerPart; commit += 1) {
        const body = encoder.encode(smallCsv(commit * clients.length + index));
        await client.version.commit({ datasetId, branch: 'main', message: `${index}/${commit}` }, { body });
      }
    }),
  );
}

/** Every commit must be there, once. */
async function assertComplete(client: Client, datasetId: number, commits: number): Promise<void> {
  const messages = new Set<string>();
  let expected = commits;
  for await (const { versionId, message } of client.items(client.version.history, { datasetId, limit: 1_000 })) {
    if (versionId !== expected) throw new Error(`the history has version ${versionId} where ${expected} belongs`);
    expected -= 1;
    messages.add(message);
  }
  if (expected !== 0 || messages.size !== commits) throw new Error(`of ${commits} commits ${messages.size} are in the history`);
}

async function measureRestores(bench: Bench, { say }: ScenarioOptions): Promise<Measurement[]> {
  const { size } = bench;
  const ours = await prepareBranches(bench);
  const datasetId = await bench.sql.createDataset();
  await concurrently(SQL_CONCURRENCY, size.branches, (index) => bench.sql.createBranch(datasetId, `b${index}`, 1));
  const floorCommits = Math.ceil(size.branches * FLOOR_SHARE.restores);
  const rates: Rates = { ours: [], floor: [] };
  for (let run = -1; run < size.runs; run += 1) {
    const sqlMs = await time(() => concurrently(SQL_CONCURRENCY, floorCommits, (index) => bench.sql.restore(datasetId, `b${index}`)));
    const oursMs = await time(() => concurrently(CLIENTS, size.branches, (index, lane) => restore(bench, ours, index, lane)));
    if (run < 0) continue;
    say(`${size.branches} metadata-only commits in ${oursMs.toFixed(0)} ms; bare SQL ${sqlMs.toFixed(0)} ms for ${floorCommits}`);
    rates.ours.push((size.branches * 1000) / oursMs);
    rates.floor.push((floorCommits * 1000) / sqlMs);
  }
  return describe(`metadata-only commits over ${size.branches} branches`, 'SQL', rates);
}

async function prepareBranches({ clients, size }: Bench): Promise<number> {
  const first = clients[0] as Client;
  const { datasetId } = await first.dataset.create({ name: 'Bench' });
  await first.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode(smallCsv(1)) });
  await concurrently(clients.length, size.branches, (index, lane) => (clients[lane] as Client).branch.create({ datasetId, name: `b${index}` }));
  return datasetId;
}

/** A version that has the files of its parent. */
function restore({ clients }: Bench, datasetId: number, index: number, lane: number): Promise<unknown> {
  const branch = `b${index}`;
  return (clients[lane] as Client).version.commit({ datasetId, branch, restore: branch });
}

/** Runs work `count` times in so many lanes at once. */
async function concurrently(lanes: number, count: number, work: (index: number, lane: number) => Promise<unknown>): Promise<void> {
  const indexes = Array.from({ length: count }, (_, index) => index).values();
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      for (const index of indexes) await work(index, lane);
    }),
  );
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

interface Rates {
  readonly ours: number[];
  readonly floor: number[];
}

function describe(what: string, floorName: string, { ours, floor }: Rates): Measurement[] {
  const area = 'contention';
  return [
    {
      area,
      name: `${what} / ${floorName}`,
      ...ratioOf(ours, floor),
      limit: 0.4,
      bound: 'at least',
    },
    { area, name: what, ...summaryOf(ours), unit: 'per second' },
    { area, name: `${what}: ${floorName}`, ...summaryOf(floor), unit: 'per second', better: 'neither' },
  ];
}
