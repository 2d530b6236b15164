import { setTimeout as delay } from 'node:timers/promises';
import { present } from '../../server/shared/assert.ts';
import { type Measurement, median, percentile, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { commitTimes } from '../support/commit-floor.ts';
import { startBenchDatabase } from '../support/database.ts';
import { cursorMessage, numberIn, Writer } from '../support/document-edits.ts';
import { type DocumentServer, type OpenDocument, openMany, type Rivals, startRivals } from '../support/document-servers.ts';
import { threadSecondsOf } from '../support/watched.ts';

const AREA = 'document fan-out';
/** Edits a second of somebody who draws, and of a crowd or a program. */
const [CALM, FAST] = [20, 200] as const;
/** Moves of a cursor a second, apart from edits. */
const MOVES_PER_SECOND = 10;
/** The first moves, which are not timed. */
const ARRIVING_MOVES = 5;
/** Before those that are timed, at each rate. */
const WARM_UP_EDITS = 10;

export const documentFanOut: Scenario = {
  name: 'document-fan-out',
  area: AREA,
  about: `one writer to many readers of a document, ${CALM} edits a second, ${FAST} to the smaller crowd, and then ${MOVES_PER_SECOND} moves of a cursor a second, against @y/websocket-server and @hocuspocus/server, which keep nothing on disk`,
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

/** What edits at one rate cost in the runs. */
interface EditFigures {
  readonly cpuUs: number[];
  readonly ms: number[];
}

/** What one server did in the runs. */
interface Figures {
  /** By how many a second. */
  readonly edits: ReadonlyMap<number, EditFigures>;
  readonly moveMs: number[];
}

interface Load {
  readonly readers: number;
  /** Edits a second, one after the other. */
  readonly rates: readonly number[];
}

const newFigures = ({ rates }: Load): Figures => ({ edits: new Map(rates.map((rate) => [rate, { cpuUs: [], ms: [] }])), moveMs: [] });
const editsOf = ({ edits }: Figures, perSecond: number): EditFigures => present(edits.get(perSecond), `edits at ${perSecond} a second`);

const BOTH = [CALM, FAST] as const;
const [SMOKE, QUICK, FULL]: readonly [Load[], Load[], Load[]] = [
  [{ readers: 10, rates: BOTH }],
  [{ readers: 100, rates: BOTH }],
  [
    { readers: 100, rates: BOTH },
    { readers: 500, rates: [CALM] },
  ],
];

async function measure(rivals: Rivals, commitMs: number, options: ScenarioOptions): Promise<Measurement[]> {
  const measurements: Measurement[] = [{ area: AREA, name: 'commit of the database, p99', unit: 'ms', value: commitMs, better: 'neither' }];
  for (const load of sizeOf(options, [SMOKE, QUICK, FULL])) {
    const figures = await compare(rivals, load, options);
    measurements.push(...targetsOf(load, figures, commitMs), ...curvesOf(load, present(figures.get(rivals.covista.name), 'figures of ours')));
  }
  for (const readers of sizeOf<readonly number[]>(options, [[5], [], [1, 10, 50, 1_000]])) {
    const load = { readers, rates: [CALM] };
    const into = newFigures(load);
    await fanOut({ server: rivals.covista, load, options, into, isMoving: false });
    measurements.push(...curvesOf(load, into));
  }
  return measurements;
}

function targetsOf({ readers, rates }: Load, figures: ReadonlyMap<string, Figures>, commitMs: number): Measurement[] {
  const to = `to ${readers} readers`;
  const edits = rates.flatMap((perSecond) =>
    editTargetsOf(perSecond === CALM ? to : `${to} at ${perSecond} edits a second`, {
      commitMs,
      figures: new Map([...figures].map(([server, all]) => [server, editsOf(all, perSecond)])),
    }),
  );
  const moves = new Map([...figures].map(([server, { moveMs }]) => [server, moveMs]));
  return [
    ...edits,
    { area: AREA, name: `presence ${to}, p99 / better peer`, ...overBest(moves), limit: 0.6, bound: 'at most' },
    ...ofEach(moves, (server) => `${server}: presence ${to}, p99`, 'ms'),
  ];
}

interface Edits {
  /** By server, ours first. */
  readonly figures: ReadonlyMap<string, EditFigures>;
  readonly commitMs: number;
}

function editTargetsOf(to: string, { figures, commitMs }: Edits): Measurement[] {
  const by = (pick: (figures: EditFigures) => readonly number[]): ByServer => new Map([...figures].map(([server, found]) => [server, pick(found)]));
  const [cpuUs, ms] = [by((found) => found.cpuUs), by((found) => found.ms)];
  return [
    { area: AREA, name: `CPU per delivery ${to} / better peer`, ...overBest(cpuUs), limit: 0.6, bound: 'at most' },
    {
      ...{ area: AREA, name: `edit ${to}, p99, against the better peer’s plus a commit`, unit: 'ms', ...summaryOf(oursOf(ms)) },
      ...{ limit: Number((bestOf(ms) + commitMs).toFixed(1)), bound: 'at most' },
    },
    ...ofEach(cpuUs, (server) => `${server}: microseconds of CPU per delivery ${to}`, 'count'),
    ...ofEach(ms, (server) => `${server}: edit ${to}, p99`, 'ms'),
  ];
}

/** One figure of each run, ours first. */
type ByServer = ReadonlyMap<string, readonly number[]>;

const oursOf = (figures: ByServer): readonly number[] => [...figures.values()][0] ?? [];
const bestOf = (figures: ByServer): number => Math.min(...[...figures.values()].slice(1).map(median));
const overBest = (figures: ByServer) => ({ unit: 'ratio', ...summaryOf(oursOf(figures).map((value) => value / bestOf(figures))) }) as const;

function ofEach(figures: ByServer, name: (server: string) => string, unit: Measurement['unit']): Measurement[] {
  return [...figures].map(([server, values], index) => ({
    ...{ area: AREA, name: name(server), unit, ...summaryOf(values) },
    better: index === 0 ? 'lower' : 'neither',
  }));
}

/** The servers take turns, so that whatever else the machine does meets all alike. */
async function compare({ covista, peers }: Rivals, load: Load, options: ScenarioOptions): Promise<Map<string, Figures>> {
  const figures = new Map([covista, ...peers].map(({ name }) => [name, newFigures(load)]));
  for (let run = 0; run < sizeOf(options, [1, 1, 3]); run += 1) {
    for (const server of [covista, ...peers]) {
      const into = present(figures.get(server.name), server.name);
      await fanOut({ server, load, options, into, isMoving: true });
      const last = (values: readonly number[]): string => (values.at(-1) ?? Number.NaN).toFixed(1);
      const edits = [...into.edits].map(
        ([rate, { cpuUs, ms }]) => `${rate} edits a second ${last(cpuUs)} µs of CPU per delivery, ${last(ms)} ms at p99`,
      );
      options.say(`${load.readers} readers of ${server.name}: ${edits.join('; ')}; presence ${last(into.moveMs)} ms at p99`);
    }
  }
  return figures;
}

function curvesOf({ readers }: Load, figures: Figures): Measurement[] {
  const { cpuUs, ms } = editsOf(figures, CALM);
  return [curve('CPU per delivery', 'count', readers, cpuUs), curve('edit to the screens of readers, p99', 'ms', readers, ms)];
}

function curve(name: string, unit: Measurement['unit'], readers: number, values: readonly number[]): Measurement {
  return { area: AREA, name: unit === 'count' ? `${name} in microseconds` : name, unit, ...summaryOf(values), at: { of: 'readers', value: readers } };
}

interface FanOut {
  readonly server: DocumentServer;
  readonly load: Load;
  readonly options: ScenarioOptions;
  readonly into: Figures;
  /** Whether cursors are moved as well. */
  readonly isMoving: boolean;
}

async function fanOut({ server, load, options, into, isMoving }: FanOut): Promise<void> {
  const [writer, ...crowd] = (await openMany(server, new Array<number>(load.readers + 1).fill(1))) as [OpenDocument, ...OpenDocument[]];
  const edits = new Writer('bench');
  writer.send(edits.begin());
  for (const perSecond of load.rates) {
    const edit = { writer, crowd, perSecond, message: (number: number) => edits.rename(number) };
    // The first ones pay for code that is compiled.
    await deliver({ ...edit, count: WARM_UP_EDITS });
    const before = threadSecondsOf(server.pid);
    const times = await deliver({ ...edit, count: perSecond * sizeOf(options, [0.3, 1, perSecond === FAST ? 1 : 2]) });
    const { cpuUs, ms } = editsOf(into, perSecond);
    cpuUs.push(((threadSecondsOf(server.pid) - before) * 1e6) / times.length);
    ms.push(percentile(times, 0.99));
  }
  if (isMoving) into.moveMs.push(await movedMs({ writer, crowd }, sizeOf(options, [0.3, 1, 2])));
  for (const document of [writer, ...crowd]) document.socket.close();
  await delay(100);
}

/** What moves of a cursor take to all others at p99, in milliseconds. */
async function movedMs(people: Pick<Delivery, 'writer' | 'crowd'>, seconds: number): Promise<number> {
  const clientId = 1 + Math.floor(Math.random() * 2 ** 30);
  const moves = { ...people, perSecond: MOVES_PER_SECOND };
  // Of who comes many hear later than of who moves.
  await deliver({ ...moves, count: ARRIVING_MOVES, message: (number) => cursorMessage(clientId, number) });
  // In step: a move that follows another at once would wait for the next round.
  await delay(1_000 / MOVES_PER_SECOND);
  const times = await deliver({
    ...{ ...moves, count: seconds * MOVES_PER_SECOND },
    message: (number) => cursorMessage(clientId, number, ARRIVING_MOVES + number + 1),
  });
  return percentile(times, 0.99);
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
