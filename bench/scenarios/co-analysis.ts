import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Outcome } from '../../server/cli/load/report.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf, summaryOf } from '../measurement.ts';
import { createWorkspace } from '../support/data.ts';
import { type BenchServer, startBenchServer } from '../support/server.ts';

const MiB = 2 ** 20;
const AREA = 'co-analysis';
const TARGET_PEOPLE = 500;
const MAIN = join(import.meta.dirname, '../../server/main.ts');

export const coAnalysis: Scenario = {
  name: 'co-analysis',
  area: AREA,
  about: 'people with think time who explore one version together, by `covista load` in a process of its own',
  run: async (options) => {
    const workspace = createWorkspace();
    const server = await startBenchServer();
    try {
      const measurements: Measurement[] = [];
      for (const people of sizeOf<readonly number[]>(options, [[4], [50], [50, 100, 250, TARGET_PEOPLE]])) {
        const crowds: Met[] = [];
        for (let run = 0; run < sizeOf(options, [1, 1, people < TARGET_PEOPLE ? 1 : 3]); run += 1) {
          crowds.push(await gather(server, workspace.path('outcome.json'), { people, options }));
        }
        measurements.push(...describe(people, crowds));
      }
      return measurements;
    } finally {
      await server.stop();
      workspace.remove();
    }
  },
};

interface Crowd {
  readonly people: number;
  readonly options: ScenarioOptions;
}

/** What a crowd met. */
interface Met extends Outcome {
  /** The most memory that the server took, in MiB. */
  readonly memory: number;
}

/** People who come, explore for a while and leave. */
async function gather(server: BenchServer, out: string, { people, options }: Crowd): Promise<Met> {
  options.say(`${people} people`);
  const [duration, ramp] = sizeOf<readonly [number, number]>(options, [[2, 1], [4, 2], people < TARGET_PEOPLE ? [6, 3] : [15, 8]]);
  const flags = { people, duration, ramp, rows: sizeOf(options, [2_000, 20_000, 100_000]), out, think: sizeOf(options, [50, 2_000, 2_000]) };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  server.resetPeak();
  await promisify(execFile)(process.execPath, [MAIN, 'load', '--as-many', `--url=${server.url}`, ...args], { env: server.environment });
  return { ...(JSON.parse(readFileSync(out, 'utf8')) as Outcome), memory: server.memory().peak / MiB };
}

/** 1.5 GB in MiB. */
const GIGABYTE_AND_A_HALF = 1_430;
/** What so many people must find. */
const TARGETS: Readonly<Record<string, number>> = { 'view.data': 100, 'note.seen': 100, 'view.seen': 100 };

function describe(people: number, crowds: readonly Met[]): Measurement[] {
  const at = { of: 'people', value: people };
  const isFull = people === TARGET_PEOPLE;
  const names = [...new Set(crowds.flatMap(({ actions }) => actions.filter(({ count }) => count > 0).map(({ action }) => action)))];
  const came = ({ actions }: Met, name: string): boolean => actions.some(({ action, count }) => action === name && count > 0);
  const idle = Object.keys(TARGETS).filter((name) => crowds.some((crowd) => !came(crowd, name)));
  // What nobody did meets no target.
  if (isFull && idle.length > 0) throw new Error(`nobody came to ${idle.join(', ')}: ${JSON.stringify(crowds.map(({ errors }) => errors))}`);
  const figures = names.flatMap((name): Measurement[] => {
    const runs = crowds.flatMap(({ actions }) => actions.filter(({ action, count }) => action === name && count > 0));
    const limit = isFull ? TARGETS[name] : undefined;
    const samples = Math.min(...runs.map(({ count }) => count));
    return [
      { area: AREA, name: `${name}: median`, ...summaryOf(runs.map(({ p50 }) => p50)), unit: 'ms', at },
      {
        ...{ area: AREA, name: `${name}: p99`, ...summaryOf(runs.map(({ p99 }) => p99)), unit: 'ms', samples, at },
        ...(limit === undefined ? {} : { limit, bound: 'at most' }),
      },
    ];
  });
  const failed = crowds.flatMap(({ errors }) => Object.values(errors)).reduce((sum, count) => sum + count, 0);
  const memories = crowds.map(({ memory }) => memory);
  const target = (limit: number) => (isFull ? ({ limit, bound: 'at most' } as const) : {});
  return [
    ...figures,
    { area: AREA, name: 'errors', value: failed, unit: 'count', at, ...target(0) },
    {
      area: AREA,
      name: 'memory of the server',
      ...summaryOf(memories),
      value: Math.max(...memories),
      unit: 'MiB',
      at,
      ...target(GIGABYTE_AND_A_HALF),
    },
  ];
}
