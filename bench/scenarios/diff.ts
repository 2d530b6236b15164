import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../client/index.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { createWorkspace, smallCsv, type Workspace } from '../support/data.ts';
import { type BareDuckdb, startDuckdb } from '../support/duckdb.ts';
import { readMetric } from '../support/metrics.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { compareStatement, type VersionPair, writeVersions } from '../support/versions.ts';

const MiB = 2 ** 20;
const AREA = 'diff';
const SUBJECT = 'bench';
/** A page as callers get it when they do not say, and a long one. */
const PAGE = { usual: 100, long: 1_000 };
const READ_BYTES = 1024 * 1024;
/** Files that two versions share, and the rows of each. */
const SHARED_FILES = 9;

interface Bench {
  readonly server: BenchServer;
  readonly client: Client;
  readonly duckdb: BareDuckdb;
  readonly workspace: Workspace;
  readonly options: ScenarioOptions;
  /** Makes the server forget what it computed before. */
  forget(): Promise<void>;
}

/** Two versions of a dataset, and what a diff of them must say. */
interface Pair {
  readonly datasetId: number;
  readonly from: number;
  readonly to: number;
  readonly counts: { readonly added: number; readonly removed: number; readonly changed: number };
}

export const diff: Scenario = {
  name: 'diff',
  area: AREA,
  about: 'counting the changes of two versions by key and reading the first of them, against a full join in a DuckDB of its own',
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(availableParallelism());
    const server = await startBenchServer({
      COVISTA_DIFF_RESULTS_MAX: '1',
      COVISTA_DIFF_KEY_CHECKS_MAX: '1',
      // The other comparisons are all like the first of their versions.
      COVISTA_DIFF_DIGEST_ROWS_MIN: String(2 * largeRows(options)),
    });
    const client = await server.client(SUBJECT);
    try {
      const bench = { server, client, duckdb, workspace, options, forget: await prepareForgetting(client) };
      return [...(await measureMillion(bench)), ...(await measureShared(bench)), ...(await measureLarge(bench))];
    } finally {
      client.close();
      await server.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

/** The server keeps one result, so another diff makes it forget the one before. */
async function prepareForgetting(client: Client): Promise<() => Promise<void>> {
  const { datasetId } = await client.dataset.create({ name: 'Bench: forgetting' });
  for (const seed of [0, 1]) await client.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from(smallCsv(seed)) });
  const ends = [
    [1, 2],
    [2, 1],
  ] as const;
  let turn = 0;
  return async () => {
    const [from, to] = ends[turn % 2] ?? ends[0];
    turn += 1;
    await client.diff.rows({ datasetId, from: String(from), to: String(to), key: ['id'], limit: 0 });
  };
}

async function commitFile({ client }: Bench, datasetId: number, path: string, mode: 'replace' | 'append' = 'replace'): Promise<number> {
  const body = createReadStream(path, { highWaterMark: READ_BYTES });
  return (await client.version.commit({ datasetId, branch: 'main', mode }, { body })).versionId;
}

interface Written {
  readonly pair: Pair;
  readonly statement: string;
}

async function writePair(bench: Bench, name: string, size: VersionPair): Promise<Written> {
  const { client, duckdb, workspace } = bench;
  const paths = { from: workspace.path(`${name}-from.parquet`), to: workspace.path(`${name}-to.parquet`) };
  await writeVersions(duckdb, paths, size);
  const { datasetId } = await client.dataset.create({ name: `Bench: ${name}` });
  const from = await commitFile(bench, datasetId, paths.from);
  const to = await commitFile(bench, datasetId, paths.to);
  const counts = { added: size.inserted, removed: size.deleted, changed: size.updated };
  return { pair: { datasetId, from, to, counts }, statement: compareStatement(paths.from, paths.to) };
}

async function timeDiff({ client, forget }: Bench, { datasetId, from, to, counts }: Pair, limit = PAGE.usual): Promise<number> {
  await forget();
  const start = performance.now();
  const found = await client.diff.rows({ datasetId, from: String(from), to: String(to), key: ['id'], limit });
  const milliseconds = performance.now() - start;
  const expected = JSON.stringify(counts);
  const got = JSON.stringify({ added: found.counts.added, removed: found.counts.removed, changed: found.counts.changed });
  if (got !== expected) throw new Error(`the diff counted ${got}, not ${expected}`);
  const total = counts.added + counts.removed + counts.changed;
  if (found.changes.length !== Math.min(total, limit)) throw new Error(`the first page has ${found.changes.length} changes`);
  return milliseconds;
}

/** Ours and the floor in turn, so that what else the machine does hits both alike; the first round only warms up. */
async function compareRuns(bench: Bench, { pair, statement }: Written, { runs, limit }: { readonly runs: number; readonly limit: number }) {
  const times = { ours: [] as number[], floor: [] as number[] };
  for (let run = -1; run < runs; run += 1) {
    const floor = await bench.duckdb.run([statement]);
    const ours = await timeDiff(bench, pair, limit);
    if (run < 0) continue;
    times.floor.push(floor);
    times.ours.push(ours);
  }
  return times;
}

async function measureMillion(bench: Bench): Promise<Measurement[]> {
  const { options } = bench;
  const rows = sizeOf(options, [4_000, 100_000, 1_000_000]);
  const name = `${rows.toLocaleString('en')} rows of which 1 % differ`;
  options.say(name);
  const size = { rows, updated: rows / 200, inserted: rows / 400, deleted: rows / 400 };
  const { ours, floor } = await compareRuns(bench, await writePair(bench, 'million', size), { runs: sizeOf(options, [1, 3, 3]), limit: PAGE.usual });
  return [
    { area: AREA, name: `${name} / full join`, ...ratioOf(ours, floor), limit: 1.5, bound: 'at most' },
    { area: AREA, name, ...summaryOf(ours), unit: 'ms' },
    { area: AREA, name: `${name} by full join`, ...summaryOf(floor), unit: 'ms', better: 'neither' },
  ];
}

/** One file of ten differs, against a dataset that has only this file. */
async function measureShared(bench: Bench): Promise<Measurement[]> {
  const { client, duckdb, workspace, options } = bench;
  const rows = sizeOf(options, [2_000, 20_000, 200_000]);
  const size = { rows, updated: rows / 100, inserted: 0, deleted: 0 };
  options.say(`${SHARED_FILES + 1} files of ${rows.toLocaleString('en')} rows of which one differs`);
  const paths = { from: workspace.path('part-from.parquet'), to: workspace.path('part-to.parquet') };
  await writeVersions(duckdb, paths, size);
  const counts = { added: 0, removed: 0, changed: size.updated };
  const alone = await client.dataset.create({ name: 'Bench: one file' });
  const one: Pair = { datasetId: alone.datasetId, from: await commitFile(bench, alone.datasetId, paths.from), to: 2, counts };
  await commitFile(bench, alone.datasetId, paths.to);
  const { datasetId } = await client.dataset.create({ name: 'Bench: shared files' });
  await commitFile(bench, datasetId, paths.from);
  for (let file = 1; file <= SHARED_FILES; file += 1) {
    const more = workspace.path(`part-${file}.parquet`);
    await writeVersions(duckdb, { from: more, to: workspace.path('unused.parquet') }, size, file * 2 * rows);
    await commitFile(bench, datasetId, more, 'append');
  }
  const upsert = await client.version.commit({ datasetId, branch: 'main', mode: 'upsert', key: ['id'] }, { body: createReadStream(paths.to) });
  const many: Pair = { datasetId, from: upsert.versionId - 1, to: upsert.versionId, counts };
  const times = { many: [] as number[], one: [] as number[] };
  for (let run = -1; run < sizeOf(options, [1, 3, 3]); run += 1) {
    const [onMany, onOne] = [await timeDiff(bench, many), await timeDiff(bench, one)];
    if (run < 0) continue;
    times.many.push(onMany);
    times.one.push(onOne);
  }
  return [
    { area: AREA, name: 'one file of ten differs / only that file', ...ratioOf(times.many, times.one), limit: 2, bound: 'at most' },
    { area: AREA, name: 'one file of ten differs', ...summaryOf(times.many), unit: 'ms' },
  ];
}

const largeRows = (options: ScenarioOptions): number => sizeOf(options, [4_000, 100_000, 10_000_000]);

/** Compared for the first time, by the cells, and then again and again, by what the server made meanwhile for the next time. */
async function measureLarge(bench: Bench): Promise<Measurement[]> {
  const { options, server } = bench;
  const rows = largeRows(options);
  const name = `${rows.toLocaleString('en')} rows × 12 columns`;
  options.say(name);
  const size = { rows, updated: rows / 100, inserted: rows / 200, deleted: rows / 200 };
  const written = await writePair(bench, 'large', size);
  server.resetPeak();
  const first = await timeDiff(bench, written.pair, PAGE.long);
  const start = performance.now();
  await digestsMade(server);
  const making = performance.now() - start;
  const runs = sizeOf(options, [1, 1, 2]);
  const { ours, floor } = await compareRuns(bench, written, { runs, limit: PAGE.long });
  const hits = await readMetric(server, SUBJECT, /^covista_cache_hits_total\{cache="row_digests"\} (\d+)/);
  if (hits < runs) throw new Error(`only ${hits} comparisons were made by digests`);
  return [
    { area: AREA, name: `${name}, compared again`, ...summaryOf(ours), unit: 'ms', limit: 4_000, bound: 'at most' },
    { area: AREA, name: `${name}, compared for the first time`, value: first, unit: 'ms' },
    { area: AREA, name: `${name}: until it is ready for the next time`, value: making, unit: 'ms' },
    { area: AREA, name: `${name} / full join`, ...ratioOf(ours, floor) },
    { area: AREA, name: `${name} by full join`, ...summaryOf(floor), unit: 'ms', better: 'neither' },
    { area: AREA, name: `${name}: memory of the server`, value: server.memory().peak / MiB, unit: 'MiB', limit: 1_430, bound: 'at most' },
  ];
}

/** Waits for the digests of rows that the diff before asked for. */
async function digestsMade(server: BenchServer): Promise<void> {
  while ((await readMetric(server, SUBJECT, /^covista_row_digests_pending (\d+)/)) > 0) await delay(100);
}
