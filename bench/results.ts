import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type Machine, thisMachine } from '../server/cli/load/machine.ts';
import { isMet, type Measurement } from './measurement.ts';

export interface Target {
  readonly area: string;
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: Measurement['unit'];
  readonly bound: 'at most' | 'at least';
  readonly met: boolean;
}

/** What a run of the bench found; the content of a results file. */
export interface Results {
  readonly at: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly quick: boolean;
  readonly scenarios: readonly string[];
  /** Of these, those that broke off, so that what they measure is missing; absent from files of before 2026-11-27. */
  readonly failed?: readonly string[];
  readonly targets: readonly Target[];
  readonly measurements: readonly Measurement[];
}

/** When a run begins, and of which code and machine it tells. */
export function beginRun(): Pick<Results, 'at' | 'commit' | 'machine'> {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  return { at: new Date().toISOString(), commit, machine: thisMachine() };
}

export function resultsOf(measurements: readonly Measurement[], run: Omit<Results, 'targets' | 'measurements'>): Results {
  return {
    ...run,
    targets: measurements.flatMap(targetOf),
    measurements,
  };
}

function targetOf(measurement: Measurement): Target[] {
  const { area, name, value, limit, unit, bound = 'at most' } = measurement;
  return limit === undefined ? [] : [{ area, name, value, limit, unit, bound, met: isMet(measurement) === true }];
}

export function readResults(path: string): Results {
  return JSON.parse(readFileSync(path, 'utf8')) as Results;
}

/** What a measurement is called where it stands beside others, at which load or size included. */
export function labelOf({ area, name, at }: Measurement): string {
  return `${area} / ${name}${at === undefined ? '' : ` at ${at.value} ${at.of}`}`;
}

export const rounded = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
