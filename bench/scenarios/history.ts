import type { Client } from '../../client/index.ts';
import { type Measurement, ratioOf, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { growChain } from '../support/chain.ts';
import { startBenchDatabase } from '../support/database.ts';
import { startBenchServer } from '../support/server.ts';

const PAGE = 50;

export const history: Scenario = {
  name: 'history',
  area: 'history',
  about: 'pages of history from the tip of a long chain of versions against those of a chain of 100',
  run: async (options) => {
    const database = await startBenchDatabase();
    const server = await startBenchServer({ COVISTA_DATABASE_URL: database.url });
    const client = await server.client('bench');
    try {
      const long = sizeOf(options, [300, 3_000, 100_000]);
      const datasets = { short: await createDataset(client), long: await createDataset(client) };
      await growChain(database.pool, datasets.short, 100);
      await growChain(database.pool, datasets.long, long);
      return await measure(client, datasets, long, options);
    } finally {
      client.close();
      await server.stop();
      await database.stop();
    }
  },
};

async function createDataset(client: Client): Promise<number> {
  return (await client.dataset.create({ name: 'Bench' })).datasetId;
}

async function measure(
  client: Client,
  datasets: { readonly short: number; readonly long: number },
  long: number,
  options: ScenarioOptions,
): Promise<Measurement[]> {
  const runs = sizeOf(options, [2, 30, 300]);
  options.say(`${runs} times the first two pages of ${PAGE} versions, in turn`);
  const times = { short: [] as number[], long: [] as number[] };
  for (let run = -10; run < runs; run += 1) {
    const ofShort = await timePages(client, datasets.short, 100);
    const ofLong = await timePages(client, datasets.long, long);
    if (run < 0) continue;
    times.short.push(ofShort);
    times.long.push(ofLong);
  }
  const area = 'history';
  const { value, unit } = ratioOf(times.long, times.short);
  return [
    { area, name: `pages of ${long.toLocaleString('en')} versions / of 100`, value, unit, limit: 1.3, bound: 'at most' },
    { area, name: `two pages of ${long.toLocaleString('en')} versions`, ...summaryOf(times.long), unit: 'ms' },
    { area, name: 'two pages of 100 versions', ...summaryOf(times.short), unit: 'ms' },
  ];
}

async function timePages(client: Client, datasetId: number, tip: number): Promise<number> {
  const start = performance.now();
  const first = await client.version.history({ datasetId, limit: PAGE });
  const second = await client.version.history({ datasetId, limit: PAGE, cursor: first.next });
  const milliseconds = performance.now() - start;
  const seen = [...first.items, ...second.items].map(({ versionId }) => versionId);
  if (seen.length !== 2 * PAGE || seen.some((versionId, index) => versionId !== tip - index)) throw new Error('the history is not the chain');
  return milliseconds;
}
