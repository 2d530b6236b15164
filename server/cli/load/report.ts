import type { Terminal } from '../terminal.ts';
import type { Machine } from './machine.ts';
import type { Verdict } from './objectives.ts';
import { FAULTS, type Figures, type LimitsMet, type Overall } from './recorder.ts';

const MiB = 1024 * 1024;

/** Everything that a run found out; what `--out` writes. `npm run bench -- --compare` reads it as results of the benchmark. */
export interface Outcome {
  readonly at: string;
  /** Of the package that measured. */
  readonly version: string;
  readonly machine: Machine;
  /** As the benchmark says that its sizes were those of `--quick`. */
  readonly quick: false;
  readonly scenario: string;
  readonly scenarios: readonly [string];
  readonly people: number;
  /** Of these, those who came and took their seats. */
  readonly arrived: number;
  readonly seconds: number;
  readonly seed: number;
  /** Of all actions together that the server answers, since all people were there. */
  readonly overall: Overall;
  readonly actions: readonly Figures[];
  /** Of the time in which the people arrived. */
  readonly arrival: readonly Figures[];
  readonly errors: Readonly<Record<string, number>>;
  /** Highest resident memory that the server told, in bytes; null: it told none. */
  readonly serverMemoryBytes: number | null;
  /** Settings by which the server refused some of it, with what they are there. */
  readonly limitsMet: readonly LimitMet[];
  readonly objectives: readonly Verdict[];
  /** The same as the benchmarks write them. */
  readonly targets: readonly Target[];
  /** Every figure of `actions` and the memory of the server as the benchmarks write theirs. */
  readonly measurements: readonly Measurement[];
}

export interface LimitMet {
  readonly setting: string;
  readonly value: number;
}

export const limitsOf = (limitsMet: LimitsMet): LimitMet[] =>
  Object.entries(limitsMet).map(([name, value]) => ({ setting: `COVISTA_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`, value }));

/** An objective in the form of the results of the benchmarks. */
export interface Target {
  readonly area: string;
  readonly name: string;
  readonly value: number | null;
  readonly limit: number;
  readonly unit: 'ms' | 'count';
  readonly bound: 'at most';
  readonly at: AtPeople;
  readonly met: boolean;
}

/** At which load something was measured. */
interface AtPeople {
  readonly of: 'people';
  readonly value: number;
}

const atPeople = (value: number): AtPeople => ({ of: 'people', value });

export const targetsOf = ({ name, people }: { readonly name: string; readonly people: number }, objectives: readonly Verdict[]): Target[] =>
  objectives.map(({ action, measure, value, limit, met }) => ({
    area: name,
    name: `${action}: ${measure}`,
    value: value ?? null,
    limit,
    unit: measure === 'errors' ? 'count' : 'ms',
    bound: 'at most',
    at: atPeople(people),
    met,
  }));

/** A figure in the form of the results of the benchmarks; with a limit where an objective has one for it. */
export interface Measurement {
  readonly area: string;
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'count' | 'per second' | 'MiB';
  readonly at: AtPeople;
  readonly limit?: number;
  readonly bound?: 'at most';
}

export function measurementsOf({ scenario, people, actions, serverMemoryBytes, targets }: Omit<Outcome, 'measurements'>): Measurement[] {
  const at = atPeople(people);
  const figures = actions.flatMap(({ action, count, errors, perSecond, ...times }): Measurement[] => {
    const figure = (name: string, value: number, unit: Measurement['unit']): Measurement => ({
      area: scenario,
      name: `${action}: ${name}`,
      value,
      unit,
      at,
    });
    const failed = figure('errors', errors, 'count');
    if (FAULTS.includes(action)) return [failed];
    // What always failed took no time.
    const took = count === 0 ? [] : TIMES.map((time) => figure(time, times[time], 'ms'));
    return [...took, failed, figure('answered', perSecond, 'per second')];
  });
  const named = new Set(figures.map(({ name }) => name));
  const ofAll = targets.flatMap(({ area, name, value, unit }) => (value === null || named.has(name) ? [] : [{ area, name, value, unit, at }]));
  const memory: Measurement[] =
    serverMemoryBytes === null ? [] : [{ area: scenario, name: 'memory of the server', value: serverMemoryBytes / MiB, unit: 'MiB', at }];
  const limits = new Map(targets.map(({ name, limit, bound }) => [name, { limit, bound }]));
  return [...figures, ...ofAll, ...memory].map((measurement) => ({ ...measurement, ...limits.get(measurement.name) }));
}

const TIMES = ['p50', 'p95', 'p99', 'max'] as const;

/** One line of how it goes. */
export function liveLine(
  { perSecond, errors, p50, p95, p99 }: Overall,
  { people, seconds, memory }: { readonly people: number; readonly seconds: number; readonly memory: number | undefined },
): string {
  const server = memory === undefined ? '' : `, server ${(memory / MiB).toFixed(0)} MiB`;
  return `${seconds.toFixed(0).padStart(4)} s: ${people} people, ${perSecond.toFixed(0)} actions/s, p50 ${time(p50)}, p95 ${time(p95)}, p99 ${time(p99)}, ${errors} errors${server}`;
}

/** The whole outcome as a table. */
export function printOutcome(terminal: Terminal, outcome: Outcome): void {
  const happened = outcome.actions.filter(({ count, errors }) => count + errors > 0);
  const rows = [['action', 'count', 'errors', 'per s', 'p50', 'p95', 'p99', 'max'], ...happened.map(cellsOf)];
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ');
  const people = outcome.arrived < outcome.people ? `${outcome.arrived} of ${outcome.people}` : outcome.people;
  terminal.print(`${people} people for ${outcome.seconds.toFixed(0)} s, scenario ${outcome.scenario}, seed ${outcome.seed}\n\n`);
  terminal.print(`${rows.map(line).join('\n')}\n`);
  if (outcome.serverMemoryBytes !== null) terminal.print(`\nserver: at most ${(outcome.serverMemoryBytes / MiB).toFixed(0)} MiB resident\n`);
  for (const [kind, count] of Object.entries(outcome.errors)) terminal.print(`error: ${count} × ${kind}\n`);
  for (const { text, value, met } of outcome.objectives) {
    terminal.print(`${met ? 'met   ' : 'MISSED'}  ${text}${value === undefined ? ', which never happened' : `, was ${round(value)}`}\n`);
  }
  for (const { setting, value } of outcome.limitsMet) {
    terminal.print(`the server refused some of it by ${setting}, which is ${value} there: raise it for a load like this\n`);
  }
}

const cellsOf = ({ action, count, errors, perSecond, p50, p95, p99, max }: Figures): string[] => [
  action,
  String(count),
  String(errors),
  perSecond.toFixed(1),
  ...[p50, p95, p99, max].map(time),
];

const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
const time = (milliseconds: number): string => (milliseconds >= 1_000 ? `${(milliseconds / 1_000).toFixed(2)} s` : `${round(milliseconds)} ms`);
