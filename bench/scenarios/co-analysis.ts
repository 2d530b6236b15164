import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Outcome } from '../../server/cli/load/report.ts';
import { type Measurement, type Scenario, type ScenarioOptions, sizeOf } from '../measurement.ts';
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
      for (const people of sizeOf<readonly number[]>(options, [[4], [50], [100, TARGET_PEOPLE]])) {
        measurements.push(...(await measure(server, workspace.path('outcome.json'), { people, options })));
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

async function measure(server: BenchServer, out: string, { people, options }: Crowd): Promise<Measurement[]> {
  options.say(`${people} people`);
  const [duration, ramp] = sizeOf<readonly [number, number]>(options, [[2, 1], [4, 2], people < TARGET_PEOPLE ? [15, 8] : [30, 15]]);
  const flags = { people, duration, ramp, rows: sizeOf(options, [2_000, 20_000, 100_000]), out, think: sizeOf(options, [50, 2_000, 2_000]) };
  server.resetPeak();
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  await promisify(execFile)(process.execPath, [MAIN, 'load', '--as-many', `--url=${server.url}`, ...args], { env: server.environment });
  return describe(JSON.parse(readFileSync(out, 'utf8')) as Outcome, server.memory().peak / MiB);
}

/** 1.5 GB in MiB. */
const GIGABYTE_AND_A_HALF = 1_430;
/** What so many people must find. */
const TARGETS: Readonly<Record<string, number>> = { 'view.data': 100, 'note.seen': 100, 'view.seen': 100 };

function describe({ people, actions, errors }: Outcome, memory: number): Measurement[] {
  const at = { of: 'people', value: people };
  const isFull = people === TARGET_PEOPLE;
  const idle = Object.keys(TARGETS).filter((name) => !actions.some(({ action, count }) => action === name && count > 0));
  // What nobody did meets no target.
  if (isFull && idle.length > 0) throw new Error(`nobody came to ${idle.join(', ')}: ${JSON.stringify(errors)}`);
  const figures = actions.flatMap(({ action, count, p50, p99 }): Measurement[] => {
    if (count === 0) return [];
    const limit = isFull ? TARGETS[action] : undefined;
    return [
      { area: AREA, name: `${action}: median`, value: p50, unit: 'ms', at },
      { area: AREA, name: `${action}: p99`, value: p99, unit: 'ms', samples: count, at, ...(limit === undefined ? {} : { limit, bound: 'at most' }) },
    ];
  });
  const failed = Object.values(errors).reduce((sum, count) => sum + count, 0);
  const target = (limit: number) => (isFull ? ({ limit, bound: 'at most' } as const) : {});
  return [
    ...figures,
    { area: AREA, name: 'errors', value: failed, unit: 'count', at, ...target(0) },
    { area: AREA, name: 'memory of the server', value: memory, unit: 'MiB', at, ...target(GIGABYTE_AND_A_HALF) },
  ];
}
