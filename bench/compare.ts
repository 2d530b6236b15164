import type { Measurement } from './measurement.ts';
import { labelOf, type Results, rounded } from './results.ts';

/** A figure that is worse than it was by more than the spreads of both runs explain. */
export interface Regression {
  readonly label: string;
  readonly before: number;
  readonly now: number;
  /** How much worse, as a factor above 1. */
  readonly factor: number;
}

/** What runs of one machine differ by for no reason, as a factor, where a figure has no spread of its own. */
const NOISE = 1.1;

export function regressions(base: Results, current: Results): Regression[] {
  const before = new Map(base.measurements.map((measurement) => [labelOf(measurement), measurement]));
  return current.measurements.flatMap((now) => {
    const then = before.get(labelOf(now));
    return then === undefined ? [] : regressionOf(then, now);
  });
}

function regressionOf(before: Measurement, now: Measurement): Regression[] {
  const isRate = now.unit === 'per second' || now.bound === 'at least';
  const factor = isRate ? before.value / now.value : now.value / before.value;
  const [best, worst] = isRate ? [before.spread?.[0], now.spread?.[1]] : [before.spread?.[1], now.spread?.[0]];
  const overlaps = best !== undefined && worst !== undefined && (isRate ? worst >= best : worst <= best);
  return factor > NOISE && !overlaps ? [{ label: labelOf(now), before: before.value, now: now.value, factor }] : [];
}

export function describeRegressions(found: readonly Regression[]): string {
  if (found.length === 0) return 'nothing got worse beyond noise';
  return found
    .map(({ label, before, now, factor }) => `worse by ${rounded(factor)}: ${label}: ${rounded(before)} before, ${rounded(now)} now`)
    .join('\n');
}
