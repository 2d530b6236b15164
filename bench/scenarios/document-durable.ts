import { setTimeout as delay } from 'node:timers/promises';
import { DOCUMENT_MESSAGE } from '../../protocol/documents/messages.ts';
import { type Measurement, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { commitTimes } from '../support/commit-floor.ts';
import { type BenchDatabase, startBenchDatabase } from '../support/database.ts';
import { Writer } from '../support/document-edits.ts';
import { createDatasets } from '../support/document-servers.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const AREA = 'durable edits';

export const documentDurable: Scenario = {
  name: 'document-durable',
  area: AREA,
  about: 'from an edit over /rpc to the word that the database has it, against a transaction of one row',
  run: async (options) => {
    const database = await startBenchDatabase();
    try {
      const server = await startBenchServer({ COVISTA_DATABASE_URL: database.url });
      try {
        await createDatasets(server, 1);
        return await measure({ server, database }, options);
      } finally {
        await server.stop();
      }
    } finally {
      await database.stop();
    }
  },
};

async function measure(
  { server, database }: { readonly server: BenchServer; readonly database: BenchDatabase },
  options: ScenarioOptions,
): Promise<Measurement[]> {
  const runs = sizeOf(options, [1, 1, 3]);
  const measurements: Measurement[] = [];
  await acknowledgeTimes(server, { perSecond: 50, count: 20 });
  for (const perSecond of [20, 200]) {
    const [ours, floor, late]: [number[], number[], number[]] = [[], [], []];
    const count = Math.round(sizeOf(options, [0.5, 2, 5]) * perSecond);
    for (let run = 0; run < runs; run += 1) {
      floor.push(percentile(await commitTimes(database.pool, count), 0.99));
      await server.loopDelay();
      ours.push(percentile(await acknowledgeTimes(server, { perSecond, count }), 0.99));
      late.push((await server.loopDelay()).maxMs);
      options.say(
        `${perSecond} edits a second: ${ours.at(-1)?.toFixed(1)} ms at p99, a transaction alone ${floor.at(-1)?.toFixed(1)} ms; main thread ${late.at(-1)?.toFixed(1)} ms late at most`,
      );
    }
    const above = ours.map((timeMs, run) => Math.max(0, timeMs - (floor[run] ?? 0)));
    const figure = { area: AREA, unit: 'ms' } as const;
    measurements.push(
      {
        ...{ ...figure, name: `${perSecond} a second: p99 above a transaction of its own`, ...summaryOf(above), samples: count },
        ...{ limit: 25, bound: 'at most' },
      },
      { ...figure, name: `${perSecond} a second: p99`, ...summaryOf(ours), samples: count },
      // At 200 a second the log gives way to a state several times meanwhile.
      { ...figure, name: `${perSecond} a second: main thread late, at most`, ...summaryOf(late), limit: 10, bound: 'at most' },
    );
  }
  return measurements;
}

async function acknowledgeTimes(
  server: BenchServer,
  { perSecond, count }: { readonly perSecond: number; readonly count: number },
): Promise<number[]> {
  const client = await server.client('bench');
  const sentAt: number[] = [];
  const times: number[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const onMessage = (bytes: Uint8Array): void => {
    if (bytes[0] !== DOCUMENT_MESSAGE.durable) return;
    const settled = (bytes[1] as number) < 128 ? (bytes[1] as number) : ((bytes[1] as number) & 127) + ((bytes[2] as number) << 7);
    while (times.length < settled) times.push(performance.now() - (sentAt[times.length] ?? Number.NaN));
    if (times.length > count) resolve();
  };
  const channel = await client.document.connect({ name: 'dataset/1', receipts: true }, { onMessage });
  const writer = new Writer('bench');
  const send = (message: Uint8Array): void => {
    sentAt.push(performance.now());
    channel.send(message);
  };
  send(writer.begin());
  const startMs = performance.now();
  for (let edit = 0; edit < count; edit += 1) {
    const waitMs = startMs + (edit * 1000) / perSecond - performance.now();
    if (waitMs > 0) await delay(waitMs);
    send(writer.rename(edit));
  }
  await done;
  client.close();
  return times.slice(1);
}
