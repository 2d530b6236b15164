import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Machine, thisMachine } from '../server/cli/load/machine.ts';
import { isMet, type Measurement, type Scenario } from './measurement.ts';

export interface Target {
  readonly area: string;
  readonly name: string;
  /** Null: it was not measured, since its scenario broke off. */
  readonly value: number | null;
  readonly limit: number;
  readonly unit: Measurement['unit'];
  readonly bound: 'at most' | 'at least';
  /** Absent from files of before 2026-11-29. */
  readonly scenario?: string;
  /** Absent from files of before 2026-11-28. */
  readonly at?: { readonly of: string; readonly value: number };
  readonly met: boolean;
}

/** What a run of the bench found; the content of a results file. */
export interface Results {
  readonly at: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly quick: boolean;
  readonly scenarios: readonly string[];
  /** How long each of them took; absent from files of before 2026-11-28. */
  readonly scenarioSeconds?: Readonly<Record<string, number>>;
  /** Of these, those that broke off, so that what they measure is missing; absent from files of before 2026-11-27. */
  readonly failed?: readonly string[];
  readonly targets: readonly Target[];
  readonly measurements: readonly Measurement[];
}

/** When a run begins, and of which code and machine it tells. */
export function beginRun(): Pick<Results, 'at' | 'commit' | 'machine'> {
  const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', '--', '.', '../server', '../client', '../protocol', ':!results', ':!history.ndjson') !== '';
  const commit = `${git('rev-parse', '--short', 'HEAD')}${isChanged ? '-dirty' : ''}`;
  return { at: new Date().toISOString(), commit, machine: thisMachine() };
}

/** What was measured; targets of what broke off are missed. */
export function resultsOf(
  measurements: readonly Measurement[],
  run: Omit<Results, 'targets' | 'measurements'>,
  unmeasured: readonly Target[] = [],
): Results {
  return { ...run, targets: [...measurements.flatMap(targetOf), ...unmeasured], measurements };
}

/**
 * The targets that scenarios which broke off would have measured, as the newest run tells them in which the scenario was whole and that
 * has some of its; where a file does not tell whose they are, what another scenario of the area measured is not among them.
 */
export function unmeasuredTargets(brokeOff: readonly Scenario[], measured: readonly Measurement[], earlier: readonly Results[]): Target[] {
  const has = new Set(measured.map(labelOf));
  const missing = new Map<string, Target>();
  for (const { name, area } of brokeOff) {
    const whole = earlier.filter(({ scenarios, failed = [] }) => scenarios.includes(name) && !failed.includes(name));
    const isOfIt = (target: Target): boolean => (target.scenario === undefined ? target.area === area : target.scenario === name);
    const tells = ({ targets }: Results): boolean => targets.some((target) => isOfIt(target) || target.scenario !== undefined);
    const targets = whole.find(tells)?.targets.filter(isOfIt) ?? [];
    for (const target of targets) if (!has.has(labelOf(target))) missing.set(labelOf(target), { ...target, value: null, met: false });
  }
  return [...missing.values()];
}

function targetOf(measurement: Measurement): Target[] {
  const { area, name, scenario, value, limit, unit, bound = 'at most', at } = measurement;
  const told = { ...(scenario === undefined ? {} : { scenario }), ...(at === undefined ? {} : { at }) };
  const target = { area, name, value, limit, unit, bound, ...told, met: isMet(measurement) === true };
  return limit === undefined ? [] : [{ ...target, limit }];
}

export function readResults(path: string): Results {
  return JSON.parse(readFileSync(path, 'utf8')) as Results;
}

/** Those of a directory that were taken in full or in quick mode, newest first. */
export function earlierResults(directory: string, quick: boolean): Results[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => readResults(join(directory, file)))
    .filter((results) => results.quick === quick)
    .sort((one, other) => other.at.localeCompare(one.at));
}

/** The name of a file of results that no other run has: of the day and the commit, and counted from the second one on. */
export function unusedName(directory: string, { at, commit }: Pick<Results, 'at' | 'commit'>): string {
  const name = `${at.slice(0, 10)}-${commit}`;
  const nameOf = (run: number): string => (run === 1 ? name : `${name}-run${run}`);
  let run = 1;
  while (existsSync(join(directory, `${nameOf(run)}.json`))) run += 1;
  return nameOf(run);
}

/** What a measurement is called where it stands beside others, at which load or size included. */
export function labelOf({ area, name, at }: Pick<Measurement, 'area' | 'name' | 'at'>): string {
  return `${area} / ${name}${at === undefined ? '' : ` at ${at.value} ${at.of}`}`;
}
