import type { Client } from '../../client/index.ts';
import { type Measurement, median, percentile, type Scenario, type ScenarioOptions, sizeOf, spreadOf } from '../measurement.ts';
import { type BareSql, createBareSql } from '../support/bare-sql.ts';
import { smallCsv } from '../support/data.ts';
import { startBenchDatabase } from '../support/database.ts';
import { startBenchServer } from '../support/server.ts';

/** One operation, and the statements that have its effect. */
interface Pair {
  readonly name: string;
  ours(call: number): Promise<unknown>;
  bare(call: number): Promise<unknown>;
}

export const metadata: Scenario = {
  name: 'metadata',
  area: 'metadata',
  about: 'calls of the SDK over the socket against their bare SQL through a pool like the server’s, on the same database, in turn',
  run: async (options) => {
    const database = await startBenchDatabase();
    const server = await startBenchServer({ COVISTA_DATABASE_URL: database.url });
    const client = await server.client('bench');
    try {
      const pairs = await preparePairs(client, createBareSql(database.pool));
      const measurements: Measurement[] = [];
      for (const pair of pairs) measurements.push(...(await measure(pair, options)));
      return measurements;
    } finally {
      client.close();
      await server.stop();
      await database.stop();
    }
  },
};

const VERSIONS = 8;

async function preparePairs(client: Client, sql: BareSql): Promise<Pair[]> {
  const { datasetId } = await client.dataset.create({ name: 'Bench' });
  for (let version = 1; version <= VERSIONS; version += 1)
    await client.version.commit({ datasetId, branch: 'main' }, { body: new TextEncoder().encode(smallCsv(version)) });
  await client.tag.create({ datasetId, name: 'a-tag' });
  const versionOf = (call: number): number => 1 + (call % VERSIONS);
  const resolve = (ref: string) => () => client.ref.resolve({ datasetId, ref });
  return [
    {
      name: 'branch.create',
      ours: (call) => client.branch.create({ datasetId, name: `ours-${call}` }),
      bare: (call) => sql.createBranch(datasetId, `bare-${call}`, VERSIONS),
    },
    {
      name: 'tag.create',
      ours: (call) => client.tag.create({ datasetId, name: `our-tag-${call}` }),
      bare: (call) => sql.createTag(datasetId, `bare-tag-${call}`, VERSIONS),
    },
    { name: 'ref.resolve main', ours: resolve('main'), bare: () => sql.resolve(datasetId, 'main') },
    { name: 'ref.resolve main~2', ours: resolve('main~2'), bare: () => sql.resolveBack(datasetId, 'main', 2) },
    { name: 'ref.resolve a tag', ours: resolve('a-tag'), bare: () => sql.resolve(datasetId, 'a-tag') },
    {
      name: 'version.get',
      ours: (call) => client.version.get({ datasetId, versionId: versionOf(call) }),
      bare: (call) => sql.readVersion(datasetId, versionOf(call)),
    },
  ];
}

/** Rounds give the spread; the 99th percentile that counts is that of all calls together. */
const ROUNDS = 5;

async function measure({ name, ours, bare }: Pair, options: ScenarioOptions): Promise<Measurement[]> {
  const perRound = sizeOf(options, [5, 20, 300]);
  const warmUp = sizeOf(options, [2, 20, 400]);
  options.say(`${name}: ${ROUNDS} rounds of ${perRound} calls`);
  const rounds: Round[] = [];
  let call = 0;
  for (; call < warmUp; call += 1) await Promise.all([ours(call), bare(call)]);
  for (let round = 0; round < ROUNDS; round += 1) {
    const times = { ours: [] as number[], bare: [] as number[] };
    for (let index = 0; index < perRound; index += 1, call += 1) {
      times.bare.push(await time(() => bare(call)));
      times.ours.push(await time(() => ours(call)));
    }
    rounds.push(times);
  }
  return describe(name, rounds);
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

interface Round {
  readonly ours: number[];
  readonly bare: number[];
}

function describe(name: string, rounds: readonly Round[]): Measurement[] {
  const area = 'metadata';
  const ours = rounds.flatMap((round) => round.ours);
  const bare = rounds.flatMap((round) => round.bare);
  // Of ours and of bare ones alike.
  const samples = ours.length;
  const ofRounds = (figure: (round: Round) => number): readonly [number, number] => spreadOf(rounds.map(figure));
  return [
    {
      area,
      name: `${name}: p99 / bare SQL`,
      value: percentile(ours, 0.99) / percentile(bare, 0.99),
      spread: ofRounds((round) => percentile(round.ours, 0.99) / percentile(round.bare, 0.99)),
      unit: 'ratio',
      samples,
      limit: 3,
      bound: 'at most',
    },
    {
      area,
      name: `${name}: median / bare SQL`,
      value: median(ours) / median(bare),
      spread: ofRounds((round) => median(round.ours) / median(round.bare)),
      unit: 'ratio',
    },
    { area, name: `${name}: p99`, value: percentile(ours, 0.99), spread: ofRounds((round) => percentile(round.ours, 0.99)), unit: 'ms', samples },
    {
      area,
      name: `${name}: p99 of bare SQL`,
      value: percentile(bare, 0.99),
      spread: ofRounds((round) => percentile(round.bare, 0.99)),
      unit: 'ms',
      samples,
      better: 'neither',
    },
  ];
}
