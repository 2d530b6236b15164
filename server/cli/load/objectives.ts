import { UsageError } from '../command.ts';
import type { Figures } from './recorder.ts';

type Measure = 'p50' | 'p95' | 'p99' | 'max' | 'errors';

/** A bound on what an action may cost: `view.create:p99=200ms`, or `*:errors=0` for all of them together. */
export interface Objective {
  readonly text: string;
  readonly action: string;
  readonly measure: Measure;
  /** Milliseconds, or how many. */
  readonly limit: number;
}

export interface Verdict extends Objective {
  /** Undefined: the action never happened, or always failed, which meets no time. */
  readonly value: number | undefined;
  readonly met: boolean;
}

const FORM = /^(?<action>[\w.*-]+):(?:(?<measure>p50|p95|p99|max)=(?<time>\d+(?:\.\d+)?)(?<unit>ms|s)|errors=(?<count>\d+))$/;

export function readObjective(text: string): Objective {
  const groups = FORM.exec(text)?.groups;
  if (groups === undefined)
    throw new UsageError(`--slo takes ACTION:p50|p95|p99|max=TIME such as view.create:p99=200ms, or ACTION:errors=N, not "${text}"`);
  const { action = '', measure, time, unit, count } = groups;
  if (measure === undefined) return { text, action, measure: 'errors', limit: Number(count) };
  return { text, action, measure: measure as Measure, limit: Number(time) * (unit === 's' ? 1_000 : 1) };
}

export function judge(objectives: readonly Objective[], figures: readonly Figures[]): Verdict[] {
  return objectives.map((objective) => {
    const concerned = figures.filter(({ action, count }) => isOf(objective, action) && (objective.measure === 'errors' || count > 0));
    const values = concerned.map((found) => found[objective.measure]);
    const value = values.length === 0 ? undefined : objective.measure === 'errors' ? sum(values) : Math.max(...values);
    return { ...objective, value, met: value !== undefined && value <= objective.limit };
  });
}

const isOf = ({ action }: Objective, of: string): boolean => action === '*' || action === of;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
