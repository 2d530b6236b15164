import { setTimeout as delay } from 'node:timers/promises';
import { type Client, connect } from '../../client/index.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { smallCsv } from '../support/data.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';
import { bytesOfOne, settledMemory } from '../support/settled.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const AREA = 'sessions';
const TABLE_ROWS = 20_000;
/** People who come at once, under one name: each has a view, and the views of one person are bounded. */
const BATCH = 50;

export const sessions: Scenario = {
  name: 'sessions',
  area: AREA,
  isCurves: true,
  about:
    "resident memory of the server for each person who has a version's table, its document and its events open, and what it keeps once they are gone",
  run: async (options) => {
    const server = await startBenchServer();
    try {
      return await measure(server, options);
    } finally {
      await server.stop();
    }
  },
};

async function measure(server: BenchServer, options: ScenarioOptions): Promise<Measurement[]> {
  const owner = await server.client('bench');
  const { datasetId } = await owner.dataset.create({ name: 'Bench: sessions' });
  await owner.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from(smallCsv(1, TABLE_ROWS)) });
  const place = { server, owner, datasetId, names: [] };
  // The first people pay for the table, and for code that is compiled.
  await leave(await arrive(place, sizeOf(options, [2, 20, 50])));
  const before = await settledMemory(server, options);
  const people: Client[] = [];
  const together: [number, number][] = [];
  const measurements: Measurement[] = [];
  for (const count of sizeOf<readonly number[]>(options, [[4], [50, 100], [100, 300, 1_000]])) {
    people.push(...(await arrive(place, count - people.length)));
    const bytes = Math.max(0, (await settledMemory(server, options)) - before);
    options.say(`${count} people: ${(bytes / MiB).toFixed(1)} MiB`);
    together.push([count, bytes]);
    measurements.push({ area: AREA, name: 'people, together', value: bytes / MiB, unit: 'MiB', at: { of: 'people', value: count } });
  }
  measurements.push({ area: AREA, name: 'person with table, document and events', value: bytesOfOne(together) / KiB, unit: 'KiB' });
  await leave(people);
  const kept = Math.max(0, (await settledMemory(server, options)) - before) / MiB;
  owner.close();
  return [...measurements, { area: AREA, name: 'memory kept after all have left', value: kept, unit: 'MiB' }];
}

interface Place {
  readonly server: BenchServer;
  readonly owner: Client;
  readonly datasetId: number;
  /** Of all who ever came. */
  readonly names: string[];
}

async function arrive(place: Place, count: number): Promise<Client[]> {
  const people: Client[] = [];
  while (people.length < count) {
    const name = await introduce(place);
    people.push(...(await Promise.all(Array.from({ length: Math.min(BATCH, count - people.length) }, () => sitDown(place, name)))));
  }
  return people;
}

/** Somebody new who sees everything. */
async function introduce({ owner, datasetId, names }: Place): Promise<string> {
  const name = `bench-${names.length + 1}`;
  names.push(name);
  await owner.grant.create({ datasetId, principal: `user:${name}`, permission: 'write' });
  return name;
}

async function sitDown({ server, datasetId }: Place, name: string): Promise<Client> {
  const client = connect({ url: server.url, token: server.token(name) });
  const [table, document] = await Promise.all([
    client.table.open({ datasetId, ref: 'main' }, { perspective: false }),
    client.document.open(`dataset/${datasetId}`),
  ]);
  const view = await client.view.create({ tableId: table.tableId, group_by: ['name'], columns: ['amount'] });
  await client.view.data({ tableId: table.tableId, viewId: view.viewId, startRow: 0, endRow: 10 });
  await document.whenSynced();
  const events = client.dataset.watch({ datasetId })[Symbol.asyncIterator]();
  await events.next();
  // The rest is waited for as long as the person is there.
  events.next().catch(() => undefined);
  return client;
}

async function leave(people: readonly Client[]): Promise<void> {
  for (const client of people) client.close();
  await delay(500);
}
