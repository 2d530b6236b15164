import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '../../client/index.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
import { pauseBeside } from '../support/beside.ts';
import { smallCsv } from '../support/data.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const MiB = 2 ** 20;
const AREA = 'churn';
const MINUTE_MS = 60_000;
const AT_ONCE = 20;
const TABLE_ROWS = 5_000;
/** Between two visits of a person, so that the machine is not at its limit for half an hour. */
const PAUSE_MS = 1_000;

export const churn: Scenario = {
  name: 'churn',
  area: AREA,
  about: 'growth of the memory of a server to which people come, commit, open tables, pivot, write and leave for half an hour',
  isLong: true,
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
  const { datasetId } = await owner.dataset.create({ name: 'Bench: churn' });
  await owner.version.commit({ datasetId, branch: 'main' }, { body: Buffer.from(smallCsv(0, TABLE_ROWS)) });
  const minutes = sizeOf(options, [0.02, 1, 30]);
  const looks: { readonly minute: number; readonly bytes: number }[] = [];
  const startMs = performance.now();
  const endMs = startMs + minutes * MINUTE_MS;
  const come = async (person: number): Promise<void> => {
    for (let visit = 0; performance.now() < endMs; visit += 1) {
      await visitOnce({ server, datasetId, seed: person + visit * AT_ONCE });
      await delay(sizeOf(options, [10, PAUSE_MS, PAUSE_MS]));
    }
  };
  const everybody = Promise.all(Array.from({ length: AT_ONCE }, (_, person) => come(person)));
  for (let look = 1; look <= LOOKS; look += 1) {
    const minute = Number(((look / LOOKS) * minutes).toPrecision(3));
    await pauseBeside(everybody, startMs + minute * MINUTE_MS - performance.now());
    await server.collect();
    const { now: bytes } = server.memory();
    looks.push({ minute, bytes });
    options.say(`after ${minute} minutes: ${(bytes / MiB).toFixed(0)} MiB`);
  }
  await everybody;
  owner.close();
  const [middle, last] = [looks[LOOKS / 2 - 1], looks.at(-1)];
  const growth = middle === undefined || last === undefined ? 0 : (last.bytes - middle.bytes) / MiB;
  return [
    ...looks.map(
      ({ minute, bytes }): Measurement => ({
        area: AREA,
        name: 'memory',
        value: bytes / MiB,
        unit: 'MiB',
        at: { of: 'minutes', value: minute },
      }),
    ),
    { area: AREA, name: 'growth over the second half', value: Math.max(0, growth), unit: 'MiB' },
  ];
}

const LOOKS = 10;

interface Visit {
  readonly server: BenchServer;
  readonly datasetId: number;
  readonly seed: number;
}

async function visitOnce({ server, datasetId, seed }: Visit): Promise<void> {
  const client = connect({ url: server.url, token: server.token('bench') });
  try {
    const { versionId } = await client.version.commit(
      { datasetId, branch: `visit-${seed % AT_ONCE}` },
      { body: Buffer.from(smallCsv(seed + 1, 200)) },
    );
    const { tableId } = await client.table.open({ datasetId, ref: String(seed % 10 === 0 ? versionId : 1) }, { perspective: false });
    const { viewId } = await client.view.create({ tableId, group_by: ['name'], columns: ['amount'] });
    await client.view.data({ tableId, viewId, startRow: 0, endRow: 20 });
    // A view belongs to the person, and would outlast the connection.
    await client.view.close({ tableId, viewId });
    const document = await client.document.open(`dataset/${datasetId}`);
    const { id } = document.annotations.add(`Visit ${seed}`);
    await document.whenDurable();
    document.annotations.remove(id);
    await document.whenDurable();
  } finally {
    client.close();
  }
}
