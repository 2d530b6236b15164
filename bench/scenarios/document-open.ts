import { type Measurement, median, type Scenario, sizeOf, summaryOf } from '../measurement.ts';
import { type DocumentServer, openMany, startRivals } from '../support/document-servers.ts';

const AREA = 'document opening';

export const documentOpen: Scenario = {
  name: 'document-open',
  area: AREA,
  about: 'documents with two clients each that are opened and synced at once, against @y/websocket-server and @hocuspocus/server',
  run: async (options) => {
    const runs = sizeOf(options, [1, 1, 3]);
    const documents = sizeOf(options, [20, 300, 1_000]);
    // Every run opens documents that nobody has opened before, as the peers know no others.
    const { covista, peers, stop } = await startRivals(documents * (runs + 1));
    try {
      const times = new Map<string, number[]>();
      for (let run = 0; run <= runs; run += 1) {
        for (const server of [covista, ...peers]) {
          const timeMs = await openAll(server, run * documents, documents);
          // The first run pays for code that is compiled.
          if (run > 0) times.set(server.name, [...(times.get(server.name) ?? []), timeMs]);
          options.say(`${server.name}: ${timeMs.toFixed(0)} ms for ${documents} documents`);
        }
      }
      return measurementsOf(times, documents);
    } finally {
      await stop();
    }
  },
};

function measurementsOf(times: ReadonlyMap<string, readonly number[]>, documents: number): Measurement[] {
  const [ours, ...peers] = [...times.values()] as [readonly number[], ...(readonly number[])[]];
  const best = Math.min(...peers.map(median));
  return [
    {
      area: AREA,
      name: `better peer’s time for ${documents} documents / ours`,
      unit: 'ratio',
      ...summaryOf(ours.map((timeMs) => best / timeMs)),
      limit: 2,
      bound: 'at least',
    },
    ...[...times].map(
      ([server, timesMs], index): Measurement => ({
        area: AREA,
        name: `${server}: ${documents} documents`,
        unit: 'ms',
        ...summaryOf(timesMs),
        better: index === 0 ? 'lower' : 'neither',
      }),
    ),
  ];
}

async function openAll(server: DocumentServer, from: number, documents: number): Promise<number> {
  const numbers = Array.from({ length: documents }, (_, index) => from + index + 1);
  const start = performance.now();
  const opened = await openMany(
    server,
    numbers.flatMap((number) => [number, number]),
  );
  const timeMs = performance.now() - start;
  for (const { socket } of opened) socket.close();
  return timeMs;
}
