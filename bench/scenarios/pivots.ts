import { cpus } from 'node:os';
import { Random } from '../../server/cli/load/random.ts';
import { type Measurement, median, percentile, type Scenario, type ScenarioOptions, sizeOf, spreadOf, summaryOf } from '../measurement.ts';
import { createWorkspace, type Workspace } from '../support/data.ts';
import { type BareDuckdb, startDuckdb } from '../support/duckdb.ts';
import { type CommittedOrders, commitOrders, downloadOrders, OWNER, PIVOTS, type Pivot, perspectiveUrl, pivotAt } from '../support/orders.ts';
import { startPerspectivePeer } from '../support/perspective-peer.ts';
import { startBenchServer } from '../support/server.ts';
import {
  type Crowd,
  type CrowdFigures,
  type ProbeFigures,
  type ProbeTarget,
  probing,
  startTableLoad,
  type TableLoad,
} from '../support/table-crowd.ts';
import type { LoopDelay } from '../support/watched.ts';

const AREA = 'pivots';
const MiB = 2 ** 20;
const WINDOW_ROWS = 100;
/** Of the table of which others ask little meanwhile. */
const SMALL_ROWS = 1_000;

interface Size {
  readonly rows: number;
  readonly people: number;
  readonly windows: number;
  readonly runs: number;
}

const SMOKE: Size = { rows: 2_000, people: 2, windows: 2, runs: 1 };
const QUICK: Size = { rows: 30_000, people: 4, windows: 10, runs: 1 };
const FULL: Size = { rows: 1_000_000, people: PIVOTS.length, windows: 20, runs: 3 };

export const pivots: Scenario = {
  name: 'pivots',
  area: AREA,
  about: "people who each make a two-level pivot and read windows of it, against Perspective's WebSocketServer and bare DuckDB",
  run: async (options) => {
    const workspace = createWorkspace();
    const duckdb = startDuckdb(cpus().length);
    const load = startTableLoad();
    try {
      return await measure({ workspace, duckdb, load, size: sizeOf(options, [SMOKE, QUICK, FULL]), options });
    } finally {
      await load.stop();
      await duckdb.stop();
      workspace.remove();
    }
  },
};

interface Bench {
  readonly workspace: Workspace;
  readonly duckdb: BareDuckdb;
  readonly load: TableLoad;
  readonly size: Size;
  readonly options: ScenarioOptions;
}

async function measure(bench: Bench): Promise<Measurement[]> {
  const { ours, data } = await measureOurs(bench);
  const bareMs = await measureBare(bench, data.parquet);
  const peer = await measurePeer(bench, data);
  for (const kind of KINDS) assertSame(ours[kind][0]?.answers, peer[kind][0]?.answers);
  return describe(bench.size, { ours, peer, bareMs });
}

/** Whether all make the same pivot, or each another one. */
const KINDS = ['equal', 'different'] as const;
type Kind = (typeof KINDS)[number];

type Figures = Readonly<Record<Kind, CrowdFigures[]>> & {
  /** Of each run. */
  readonly probes: readonly ProbeFigures[];
  readonly delays: readonly LoopDelay[];
  readonly peakBytes: number;
};

interface Subject {
  /** Where the table is, under its name. */
  readonly url: string;
  readonly table: string;
  readonly probe: ProbeTarget;
  resetPeak(): void;
  memory(): { readonly peak: number };
  loopDelay(): Promise<LoopDelay>;
}

function crowdOf({ people, windows }: Size, { url, table }: Subject, kind: Kind, run: number): Crowd {
  const configs = Array.from({ length: people }, (_, index) => pivotAt(kind === 'equal' ? 0 : index).config);
  return { people: configs.map((config) => ({ url, config })), table, windows, windowRows: WINDOW_ROWS, seed: (run + 2) * 1_000 };
}

/** Somebody asks for little all the time that the crowds are there. */
async function measureSubject({ load, size }: Bench, subject: Subject, { runs, warmUp }: { runs: number; warmUp: boolean }): Promise<Figures> {
  const crowds: Record<Kind, CrowdFigures[]> = { equal: [], different: [] };
  if (warmUp) for (const kind of KINDS) await load.run(crowdOf(size, subject, kind, -1));
  subject.resetPeak();
  const [probes, delays]: [ProbeFigures[], LoopDelay[]] = [[], []];
  for (let run = 0; run < runs; run += 1) {
    await subject.loopDelay();
    const { figures } = await probing(subject.probe, async () => {
      for (const kind of KINDS) crowds[kind].push(await load.run(crowdOf(size, subject, kind, run)));
    });
    probes.push(figures);
    delays.push(await subject.loopDelay());
  }
  return { ...crowds, probes, delays, peakBytes: subject.memory().peak };
}

/** The same rows as files. */
interface Data {
  readonly parquet: string;
  readonly arrow: string;
  readonly smallArrow: string;
}

async function measureOurs(bench: Bench): Promise<{ ours: Figures; data: Data }> {
  const { workspace, duckdb, size, options } = bench;
  const server = await startBenchServer();
  try {
    const small = await commitOrders(server, { workspace, duckdb, rows: SMALL_ROWS });
    const orders = await commitOrders(server, { workspace, duckdb, rows: size.rows });
    const token = server.token(OWNER);
    const client = await server.client(OWNER);
    const tableOf = async ({ datasetId }: CommittedOrders): Promise<{ url: string; table: string }> => {
      const { tableId } = await client.table.open({ datasetId, ref: 'main', engine: 'duckdb' }, { perspective: false });
      return { url: perspectiveUrl(server, tableId), table: tableId };
    };
    const subject = { ...server, ...(await tableOf(orders)), probe: { ...(await tableOf(small)), session: { url: server.url, token } } };
    options.say(`${size.people} people and ${size.rows} rows, ${size.runs} times`);
    const ours = await measureSubject(bench, subject, { runs: size.runs, warmUp: true });
    client.close();
    const [parquet, arrow, smallArrow] = [workspace.path('orders.parquet'), workspace.path('orders.arrow'), workspace.path('small.arrow')];
    await downloadOrders(server, orders, { path: parquet, format: 'parquet' });
    await downloadOrders(server, orders, { path: arrow, format: 'arrow' });
    await downloadOrders(server, small, { path: smallArrow, format: 'arrow' });
    return { ours, data: { parquet, arrow, smallArrow } };
  } finally {
    await server.stop();
  }
}

/** Takes minutes with all the rows, and is the same every time: once is enough. */
async function measurePeer(bench: Bench, { arrow, smallArrow }: Data): Promise<Figures> {
  bench.options.say("the same with Perspective's WebSocketServer, once");
  const peer = await startPerspectivePeer({ orders: arrow, small: smallArrow });
  try {
    const subject = { ...peer, table: 'orders', probe: { url: peer.url, table: 'small' } };
    return await measureSubject(bench, subject, { runs: 1, warmUp: false });
  } finally {
    await peer.stop();
  }
}

/** Pivots, each followed by its windows, on as many connections as there are people. */
async function measureBare({ size, duckdb, options }: Bench, file: string): Promise<number[]> {
  options.say('the same with bare DuckDB');
  const random = new Random(1);
  const times: number[] = [];
  for (let run = -1; run < size.runs; run += 1) {
    const scripts = Array.from({ length: size.people }, (_, index) => scriptOf(pivotAt(index), { table: `pivot${index}`, file, random, size }));
    const milliseconds = await duckdb.run(scripts, size.people);
    await duckdb.run(scripts.map((_script, index) => `DROP TABLE pivot${index}`));
    if (run >= 0) times.push(milliseconds);
  }
  return times;
}

interface Script {
  readonly table: string;
  readonly file: string;
  readonly random: Random;
  readonly size: Size;
}

function scriptOf(pivot: Pivot, { table, file, random, size }: Script): string[] {
  const windows = Array.from({ length: size.windows }, () => {
    const start = random.below(Math.max(1, pivot.rowsAbout - WINDOW_ROWS));
    return `SELECT * FROM ${table} WHERE rowid BETWEEN ${start} AND ${start + WINDOW_ROWS - 1}`;
  });
  return [pivot.statement(table, file), ...windows];
}

function assertSame(ours: readonly string[] | undefined, theirs: readonly string[] | undefined): void {
  for (const [index, answer] of (ours ?? []).entries()) {
    if (answer !== theirs?.[index]) throw new Error(`a pivot came to ${answer} here, and to ${theirs?.[index]} with Perspective`);
  }
}

interface Found {
  readonly ours: Figures;
  readonly peer: Figures;
  readonly bareMs: readonly number[];
}

function describe({ people, rows }: Size, { ours, peer, bareMs }: Found): Measurement[] {
  const what = `${people} people, ${rows} rows`;
  const totals = (figures: Figures, kind: Kind): number[] => figures[kind].map(({ totalMs }) => totalMs);
  const share = (kind: Kind): Pick<Measurement, 'value' | 'spread' | 'unit'> => {
    const theirs = median(totals(peer, kind));
    const shares = totals(ours, kind).map((ms) => ms / theirs);
    return { ...summaryOf(shares), unit: 'ratio' };
  };
  // Of the windows or views of all runs together; the spread is that of the runs.
  const together = (runs: readonly (readonly number[])[], at: number, isSpread: boolean) => {
    const spread = isSpread ? { spread: spreadOf(runs.map((run) => percentile(run, at))) } : {};
    const samples = at > 0.5 ? { samples: runs.flat().length } : {};
    return { value: percentile(runs.flat(), at), ...spread, ...samples, unit: 'ms' } as const;
  };
  const ofRuns = (figures: Figures, kinds: readonly Kind[], times: (run: CrowdFigures) => readonly number[], at = 0.99) => {
    const runs = kinds.flatMap((kind) => figures[kind].map(times));
    return together(runs, at, runs.length > kinds.length);
  };
  const ofProbes = ({ probes }: Figures, times: (probe: ProbeFigures) => readonly number[]) => together(probes.map(times), 0.99, probes.length > 1);
  const late = ({ delays }: Figures, of: keyof LoopDelay) => ({ ...summaryOf(delays.map((delay) => delay[of])), unit: 'ms' }) as const;
  const bare = median(bareMs);
  const overBare = totals(ours, 'different').map((ms) => ms / bare);
  const target = (limit: number) => ({ limit, bound: 'at most' }) as const;
  const figures: Omit<Measurement, 'area'>[] = [
    { name: `${what}, equal pivots / Perspective's server`, ...share('equal'), ...target(1 / 60) },
    { name: `${what}, different pivots / Perspective's server`, ...share('different'), ...target(1 / 15) },
    { name: `${what}, different pivots / bare DuckDB`, ...summaryOf(overBare), unit: 'ratio', ...target(1.8) },
    ...KINDS.map((kind) => ({ name: `window of ${kind} pivots: p99`, ...ofRuns(ours, [kind], ({ windowMs }) => windowMs), ...target(20) })),
    { name: "resident memory / Perspective's server", value: ours.peakBytes / peer.peakBytes, unit: 'ratio', ...target(1 / 3) },
    { name: 'window of another table meanwhile: p99', ...ofProbes(ours, ({ windowMs }) => windowMs), ...target(10) },
    { name: 'session.whoami meanwhile: p99', ...ofProbes(ours, ({ whoamiMs }) => whoamiMs), ...target(10) },
    { name: 'delay of the main loop meanwhile: p99', ...late(ours, 'p99Ms'), ...target(5) },
    { name: 'delay of the main loop meanwhile: longest', value: Math.max(...ours.delays.map(({ maxMs }) => maxMs)), unit: 'ms' },
    { name: 'window: median', ...ofRuns(ours, KINDS, ({ windowMs }) => windowMs, 0.5) },
    { name: 'bare DuckDB, different pivots', ...summaryOf(bareMs), unit: 'ms', better: 'neither' },
    { name: "Perspective's server: window, p99", ...ofRuns(peer, KINDS, ({ windowMs }) => windowMs), better: 'neither' },
    { name: "Perspective's server: window of another table meanwhile, p99", ...ofProbes(peer, ({ windowMs }) => windowMs), better: 'neither' },
    {
      name: "Perspective's server: delay of the main loop, longest",
      value: Math.max(...peer.delays.map(({ maxMs }) => maxMs)),
      unit: 'ms',
      better: 'neither',
    },
    { name: "Perspective's server: resident memory", value: peer.peakBytes / MiB, unit: 'MiB', better: 'neither' },
    { name: 'resident memory', value: ours.peakBytes / MiB, unit: 'MiB' },
    ...KINDS.flatMap((kind): Omit<Measurement, 'area'>[] => [
      { name: `${kind} pivots`, ...summaryOf(totals(ours, kind)), unit: 'ms' },
      { name: `${kind} pivots: until a view is there, p99`, ...ofRuns(ours, [kind], ({ viewMs }) => viewMs) },
      { name: `Perspective's server: ${kind} pivots`, ...summaryOf(totals(peer, kind)), unit: 'ms', better: 'neither' },
    ]),
  ];
  return figures.map((figure) => ({ area: AREA, ...figure }));
}
