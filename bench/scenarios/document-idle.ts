import { setTimeout as delay } from 'node:timers/promises';
import * as Y from 'yjs';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import {
  covistaOf,
  createDatasets,
  type DocumentServer,
  OpenDocument,
  openMany,
  type Rivals,
  residentBytesOf,
  startRivals,
} from '../support/document-servers.ts';
import { readMetric } from '../support/metrics.ts';
import { startBenchServer } from '../support/server.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const DOCUMENT_IDLE_MS = 1_000;
const UNLOADED_MS_MAX = 60_000;
/** The thread that writes documents out is over before the memory is looked at. */
const SETTINGS = { COVISTA_DOCUMENT_STATES_IDLE_MS: '200' };
const AREA = 'document memory';

export const documentIdle: Scenario = {
  name: 'document-idle',
  area: AREA,
  about:
    'resident memory of the server for each idle connection with a document, against @y/websocket-server and @hocuspocus/server, and for documents by their size and number, with what it keeps of them',
  run: async (options) => {
    const connections: ConnectionBytes[] = [];
    const measurements: Measurement[] = [];
    const runs = sizeOf(options, [1, 1, 3]);
    for (let run = 1; run <= runs; run += 1) {
      await withRivals(sizeOf(options, [3, 3, 40]), async (rivals) => {
        connections.push(await measureConnections(rivals, { peers: run === 1, options }));
        if (run === runs) measurements.push(...(await measureSizes(rivals, options)));
      });
    }
    return [...describeConnections(connections), ...measurements, ...(await measureNumbers(options))];
  },
};

/** On servers that nobody has been at, whose memory has nothing that was given back. */
async function withRivals<Result>(documents: number, work: (rivals: Rivals) => Promise<Result>): Promise<Result> {
  const rivals = await startRivals(documents, SETTINGS);
  try {
    return await work(rivals);
  } finally {
    await rivals.stop();
  }
}

/** By server, bytes of each connection at growing numbers of them. */
type ConnectionBytes = ReadonlyMap<string, readonly (readonly [number, number])[]>;

/** Of ours at growing numbers; the peers are asked once, and only at the largest. */
async function measureConnections(
  { covista, peers }: Rivals,
  { peers: withPeers, options }: { readonly peers: boolean; readonly options: ScenarioOptions },
): Promise<ConnectionBytes> {
  const bytes = new Map<string, readonly (readonly [number, number])[]>();
  const counts = sizeOf<readonly number[]>(options, [[50], [300], [500, 1_000, 2_000, 5_000]]);
  for (const server of withPeers ? [covista, ...peers] : [covista]) {
    const all = await connectionsOf(server, server === covista ? counts : counts.slice(-1), options);
    bytes.set(server.name, all);
    const [count, each] = all.at(-1) as [number, number];
    options.say(`${server.name}: ${(each / KiB).toFixed(1)} KiB for each of ${count} connections`);
  }
  return bytes;
}

function describeConnections(runs: readonly ConnectionBytes[]): Measurement[] {
  const [ours = '', ...peers] = runs[0]?.keys() ?? [];
  const curve = runs[0]?.get(ours) ?? [];
  const bytesOf = (server: string, place: number): number[] => runs.flatMap((run) => run.get(server)?.at(place)?.[1] ?? []);
  const each = (server: string) =>
    ({ area: AREA, unit: 'KiB', ...summaryOf(bytesOf(server, -1).map((bytes) => bytes / KiB)) }) satisfies Omit<Measurement, 'name'>;
  return [
    { ...each(ours), name: 'idle connection with a document', limit: 6, bound: 'at most' },
    ...curve.map(
      ([count], place): Measurement => ({
        ...{ area: AREA, name: 'idle connections, together', unit: 'MiB', at: { of: 'connections', value: count } },
        ...summaryOf(bytesOf(ours, place).map((bytes) => (bytes * count) / MiB)),
      }),
    ),
    ...peers.map((server): Measurement => ({ ...each(server), name: `${server}: idle connection with a document`, better: 'neither' })),
  ];
}

/** Bytes of each connection, at growing numbers of them. */
async function connectionsOf(server: DocumentServer, counts: readonly number[], options: ScenarioOptions): Promise<[number, number][]> {
  // The first ones pay for code that is compiled and pools that fill.
  for (const { socket } of await openMany(server, new Array<number>(sizeOf(options, [20, 200, 500])).fill(1))) socket.close();
  const before = await settled(server, options);
  const opened: OpenDocument[] = [];
  const figures: [number, number][] = [];
  for (const count of counts) {
    opened.push(...(await openMany(server, new Array<number>(count - opened.length).fill(1))));
    figures.push([count, Math.max(0, (await settled(server, options)) - before) / count]);
  }
  for (const { socket } of opened) socket.close();
  await settled(server, options);
  return figures;
}

/** Documents of annotations, as bytes of memory for each byte that they have encoded. */
async function measureSizes({ covista }: Rivals, options: ScenarioOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [];
  let document = 2;
  for (const [annotations, documents] of sizeOf<readonly (readonly [number, number])[]>(options, [
    [[10, 2]],
    [[100, 2]],
    [
      [10, 20],
      [1_000, 10],
      [10_000, 2],
    ],
  ])) {
    const before = await settled(covista, options);
    const opened: OpenDocument[] = [];
    for (let index = 0; index < documents; index += 1, document += 1) opened.push(await fill(covista, document, annotations));
    const bytes = Math.max(0, (await settled(covista, options)) - before) / documents;
    measurements.push({ area: AREA, name: 'open document', unit: 'KiB', value: bytes / KiB, at: { of: 'annotations', value: annotations } });
    for (const { socket } of opened) socket.close();
  }
  return measurements;
}

const NOTES_OF_EACH = 100;
const WARM_UP_DOCUMENTS = 20;

/** Documents of some annotations, each open at one client, and what a server keeps once they are unloaded. */
async function measureNumbers(options: ScenarioOptions): Promise<Measurement[]> {
  const counts = sizeOf<readonly number[]>(options, [[5], [50], [50, 200, 500]]);
  const server = await startBenchServer({ ...SETTINGS, COVISTA_DOCUMENT_IDLE_MS: String(DOCUMENT_IDLE_MS) });
  try {
    await createDatasets(server, WARM_UP_DOCUMENTS + Math.max(...counts));
    const covista = covistaOf(server);
    const opened: OpenDocument[] = [];
    const fillUpTo = async (count: number): Promise<void> => {
      while (opened.length < count) opened.push(await fill(covista, opened.length + 1, NOTES_OF_EACH));
    };
    await fillUpTo(WARM_UP_DOCUMENTS);
    const before = await settled(covista, options);
    const measurements: Measurement[] = [];
    for (const count of counts) {
      await fillUpTo(WARM_UP_DOCUMENTS + count);
      const bytes = Math.max(0, (await settled(covista, options)) - before);
      measurements.push({ area: AREA, name: 'open documents, together', unit: 'MiB', value: bytes / MiB, at: { of: 'documents', value: count } });
    }
    for (const { socket } of opened) socket.close();
    // They are written out first, one after the other.
    const givenUpAtMs = performance.now() + UNLOADED_MS_MAX;
    while ((await readMetric(server, 'bench', /^covista_documents (\S+)$/)) > 0) {
      if (performance.now() > givenUpAtMs) throw new Error('documents that nobody has open are not unloaded');
      await delay(DOCUMENT_IDLE_MS);
    }
    const kept = Math.max(0, (await settled(covista, options)) - before);
    return [...measurements, { area: AREA, name: 'kept of documents that were unloaded', unit: 'MiB', value: kept / MiB }];
  } finally {
    await server.stop();
  }
}

const AT = '2026-01-01T00:00:00.000Z';
/** Annotations of one message, which has a bound. */
const AT_ONCE = 1_000;

async function fill(server: DocumentServer, document: number, annotations: number): Promise<OpenDocument> {
  const opened = await OpenDocument.open(server, document);
  const doc = new Y.Doc();
  let update: Uint8Array = new Uint8Array();
  doc.on('update', (made: Uint8Array) => {
    update = made;
  });
  for (let made = 0; made < annotations; made += AT_ONCE) {
    doc.transact(() => {
      for (let index = made; index < Math.min(annotations, made + AT_ONCE); index += 1) {
        const plain = { anchor: { column: 'price' }, author: 'bench', createdAt: AT, resolved: null };
        const shared = { body: new Y.Text(`Note ${index}: this looks odd to me`), replies: new Y.Array() };
        doc.getMap('annotations').set(`note-${index}`, new Y.Map<unknown>(Object.entries({ ...plain, ...shared })));
      }
    });
    opened.sendUpdate(update);
  }
  await opened.settled();
  return opened;
}

/** Resident memory once it has come to rest and collected its garbage: the least of some looks. */
async function settled({ pid, collect }: DocumentServer, options: ScenarioOptions): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  await collect();
  for (let look = 0; look < sizeOf(options, [2, 2, 3]); look += 1) {
    await delay(sizeOf(options, [50, 250, 400]));
    least = Math.min(least, residentBytesOf(pid));
  }
  return least;
}
