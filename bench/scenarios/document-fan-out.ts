import { setTimeout as delay } from 'node:timers/promises';
import { type Measurement, median, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { commitTimes } from '../support/commit-floor.ts';
import { startBenchDatabase } from '../support/database.ts';
import { cursorMessage, numberIn, Writer } from '../support/document-edits.ts';
import { type DocumentServer, type OpenDocument, openMany, type Rivals, startRivals } from '../support/document-servers.ts';
import { threadSecondsOf } from '../support/watched.ts';

const AREA = 'document fan-out';
/** Edits, and separately moves of a cursor, a second. */
const EDITS_PER_SECOND = 20;
const MOVES_PER_SECOND = 10;
/** The first moves, which are not timed. */
const ARRIVING_MOVES = 5;

export const documentFanOut: Scenario = {
  name: 'document-fan-out',
  area: AREA,
  about: `one writer to many readers of a document, ${EDITS_PER_SECOND} edits and then ${MOVES_PER_SECOND} moves of a cursor a second, against @y/websocket-server and @hocuspocus/server, which keep nothing on disk`,
  run: async (options) => {
    const database = await startBenchDatabase();
    try {
      const rivals = await startRivals(1, { COVISTA_DATABASE_URL: database.url });
      try {
        const commitMs = percentile(await commitTimes(database.pool, sizeOf(options, [20, 200, 500])), 0.99);
        return await measure(rivals, commitMs, options);
      } finally {
        await rivals.stop();
      }
    } finally {
      await database.stop();
    }
  },
};

/** What one server did in the runs. */
interface Figures {
  readonly cpuUs: number[];
  readonly editMs: number[];
  readonly moveMs: number[];
}

async function measure(rivals: Rivals, commitMs: number, options: ScenarioOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [{ area: AREA, name: 'commit of the database, p99', unit: 'ms', value: commitMs, better: 'neither' }];
  for (const readers of sizeOf<readonly number[]>(options, [[10], [100], [100, 500]])) {
    const figures = await compare(rivals, readers, options);
    measurements.push(...targetsOf(readers, figures, commitMs), ...curvesOf(readers, figures.get(rivals.covista.name) as Figures));
  }
  for (const readers of sizeOf<readonly number[]>(options, [[5], [], [1, 10, 50, 1_000]])) {
    measurements.push(...curvesOf(readers, await compareAlone(rivals.covista, readers, options)));
  }
  return measurements;
}

function targetsOf(readers: number, figures: ReadonlyMap<string, Figures>, commitMs: number): Measurement[] {
  const [ours, ...peers] = [...figures.values()] as [Figures, ...Figures[]];
  const best = (pick: (figures: Figures) => readonly number[]): number => Math.min(...peers.map((peer) => median(pick(peer))));
  const ratio = (pick: (figures: Figures) => readonly number[]) => summaryOf(pick(ours).map((value) => value / best(pick)));
  const to = `to ${readers} readers`;
  return [
    { area: AREA, name: `CPU per delivery ${to} / better peer`, unit: 'ratio', ...ratio(({ cpuUs }) => cpuUs), limit: 0.6, bound: 'at most' },
    {
      ...{ area: AREA, name: `edit ${to}, p99, against the better peer’s plus a commit`, unit: 'ms', ...summaryOf(ours.editMs) },
      ...{ limit: Number((best(({ editMs }) => editMs) + commitMs).toFixed(1)), bound: 'at most' },
    },
    { area: AREA, name: `presence ${to}, p99 / better peer`, unit: 'ratio', ...ratio(({ moveMs }) => moveMs), limit: 0.6, bound: 'at most' },
    ...[...figures].flatMap(([server, { cpuUs, editMs, moveMs }], index): Measurement[] => {
      const figure = { area: AREA, better: index === 0 ? 'lower' : 'neither' } as const;
      return [
        { ...figure, name: `${server}: microseconds of CPU per delivery ${to}`, unit: 'count', ...summaryOf(cpuUs) },
        { ...figure, name: `${server}: edit ${to}, p99`, unit: 'ms', ...summaryOf(editMs) },
        { ...figure, name: `${server}: presence ${to}, p99`, unit: 'ms', ...summaryOf(moveMs) },
      ];
    }),
  ];
}

/** The servers take turns, so that whatever else the machine does meets all alike. */
async function compare({ covista, peers }: Rivals, readers: number, options: ScenarioOptions): Promise<Map<string, Figures>> {
  const figures = new Map<string, Figures>();
  for (let run = 0; run < sizeOf(options, [1, 1, 3]); run += 1) {
    for (const server of [covista, ...peers]) {
      const known = figures.get(server.name) ?? { cpuUs: [], editMs: [], moveMs: [] };
      figures.set(server.name, known);
      await fanOut({ server, readers, options, into: known });
      const last = (values: readonly number[]): string => (values.at(-1) ?? Number.NaN).toFixed(1);
      options.say(
        `${readers} readers of ${server.name}: ${last(known.cpuUs)} µs of CPU per delivery, edits ${last(known.editMs)} ms and presence ${last(known.moveMs)} ms at p99`,
      );
    }
  }
  return figures;
}

async function compareAlone(server: DocumentServer, readers: number, options: ScenarioOptions): Promise<Figures> {
  const into: Figures = { cpuUs: [], editMs: [], moveMs: [] };
  await fanOut({ server, readers, options, into });
  return into;
}

function curvesOf(readers: number, { cpuUs, editMs }: Figures): Measurement[] {
  return [curve('CPU per delivery', 'count', readers, cpuUs), curve('edit to the screens of readers, p99', 'ms', readers, editMs)];
}

function curve(name: string, unit: Measurement['unit'], readers: number, values: readonly number[]): Measurement {
  return { area: AREA, name: unit === 'count' ? `${name} in microseconds` : name, unit, ...summaryOf(values), at: { of: 'readers', value: readers } };
}

interface FanOut {
  readonly server: DocumentServer;
  readonly readers: number;
  readonly options: ScenarioOptions;
  readonly into: Figures;
}

async function fanOut({ server, readers, options, into }: FanOut): Promise<void> {
  const [writer, ...crowd] = (await openMany(server, new Array<number>(readers + 1).fill(1))) as [OpenDocument, ...OpenDocument[]];
  const edits = new Writer('bench');
  writer.send(edits.begin());
  const seconds = sizeOf(options, [0.3, 1, 2]);
  const clientId = 1 + Math.floor(Math.random() * 2 ** 30);
  // The first ones pay for code that is compiled.
  await deliver({ writer, crowd, count: 10, perSecond: EDITS_PER_SECOND, message: (number) => edits.rename(number) });
  const before = threadSecondsOf(server.pid);
  const editTimes = await deliver({
    ...{ writer, crowd, count: seconds * EDITS_PER_SECOND, perSecond: EDITS_PER_SECOND },
    message: (number) => edits.rename(number),
  });
  into.cpuUs.push(((threadSecondsOf(server.pid) - before) * 1e6) / editTimes.length);
  into.editMs.push(percentile(editTimes, 0.99));
  const moves = { writer, crowd, perSecond: MOVES_PER_SECOND };
  // Of who comes many hear later than of who moves.
  await deliver({ ...moves, count: ARRIVING_MOVES, message: (number) => cursorMessage(clientId, number) });
  // In step: a move that follows another at once would wait for the next round.
  await delay(1_000 / MOVES_PER_SECOND);
  const moveTimes = await deliver({
    ...{ ...moves, count: seconds * MOVES_PER_SECOND },
    message: (number) => cursorMessage(clientId, number, ARRIVING_MOVES + number + 1),
  });
  into.moveMs.push(percentile(moveTimes, 0.99));
  for (const document of [writer, ...crowd]) document.socket.close();
  await delay(100);
}

interface Delivery {
  readonly writer: OpenDocument;
  readonly crowd: readonly OpenDocument[];
  readonly count: number;
  readonly perSecond: number;
  message(number: number): Uint8Array;
}

const PATIENCE_MS = 10_000;

/** Sends at a rate of its own, whatever becomes of it, and answers with the milliseconds that each delivery took. */
async function deliver({ writer, crowd, count, perSecond, message }: Delivery): Promise<number[]> {
  const sentAt: number[] = [];
  const times: number[] = [];
  let missing = Math.round(count) * crowd.length;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  for (const { socket } of crowd) {
    let next = 0;
    socket.onMessage = (payload) => {
      // A message may bring several edits, and the newest cursor stands for those before it.
      for (const newest = numberIn(payload) ?? -1; next <= newest; next += 1) {
        times.push(performance.now() - (sentAt[next] ?? Number.NaN));
        missing -= 1;
      }
      if (missing === 0) resolve();
    };
  }
  const startMs = performance.now();
  for (let number = 0; number < Math.round(count); number += 1) {
    const waitMs = startMs + (number * 1000) / perSecond - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const bytes = message(number);
    sentAt[number] = performance.now();
    writer.send(bytes);
  }
  await Promise.race([done, delay(PATIENCE_MS, undefined, { ref: false })]);
  if (missing > 0) throw new Error(`${missing} of ${Math.round(count) * crowd.length} deliveries never came`);
  return times;
}
