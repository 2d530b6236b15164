import { betterOf, betterOfUnit, isThin, type Measurement, median, rounded, spreadOf } from './measurement.ts';
import { labelOf, type Results } from './results.ts';

/** What a comparison needs to know of a run; also what `covista load --out` writes has it. */
export type Compared = Pick<Results, 'machine' | 'quick' | 'targets' | 'measurements' | 'failed'>;

/** A figure that is worse than it was by more than the spreads of both runs, or else the noise of a machine, explain. */
export interface Regression {
  readonly label: string;
  readonly before: number;
  readonly now: number;
  /** How much worse, as a factor above 1. */
  readonly factor: number;
}

/** What runs of one machine differ by for no reason, as a factor, where both figures have a spread and these lie apart. */
const NOISE = 1.1;
/** The same where a figure was taken once: of two runs on one machine, a quarter of such figures differ by more. */
const NOISE_OF_ONE = 2;
/** What nobody notices, of figures that were taken once: a factor of next to nothing says nothing. */
const UNNOTICED: Readonly<Record<Measurement['unit'], number>> = { ms: 1, KiB: 1, MiB: 16, ratio: 0, 'per second': 0, count: 0 };

export function regressions(base: Compared, current: Compared): Regression[] {
  const before = new Map(base.measurements.map((measurement) => [labelOf(measurement), measurement]));
  return current.measurements.flatMap((now) => {
    const then = before.get(labelOf(now));
    return then === undefined || !isWorse(then, now)
      ? []
      : [{ label: labelOf(now), before: then.value, now: now.value, factor: factorOf(then, now) }];
  });
}

function isWorse(before: Measurement, now: Measurement): boolean {
  const factor = factorOf(before, now);
  if (before.spread === undefined || now.spread === undefined) {
    // The longest of a few is what it happens to be.
    if (isThin(before) || isThin(now)) return false;
    return factor > NOISE_OF_ONE && Math.abs(now.value - before.value) > UNNOTICED[now.unit];
  }
  const apart = betterOf(now) === 'higher' ? now.spread[1] < before.spread[0] : now.spread[0] > before.spread[1];
  return factor > NOISE && apart;
}

/** How much worse; 1 where nothing changed, also where both are nought, and where neither direction is worse. */
function factorOf(before: Measurement, now: Measurement): number {
  const better = betterOf(now);
  if (better === 'neither' || before.value === now.value) return 1;
  return better === 'higher' ? before.value / now.value : now.value / before.value;
}

/** How many figures both have, without which nothing can be told. */
export function comparable(base: Compared, current: Compared): number {
  const before = new Set(base.measurements.map(labelOf));
  return current.measurements.filter((now) => before.has(labelOf(now))).length;
}

/**
 * How much longer peers and floors took than in the base, which is the machine's doing. Nothing where the two have none in common; their
 * memory and ratios tell nothing of how fast it was.
 */
export function driftOf(base: Compared, current: Compared): string | undefined {
  const before = new Map(base.measurements.map((measurement) => [labelOf(measurement), measurement.value]));
  const factors = current.measurements.filter(isSpeedOfOthers).flatMap((now) => {
    const then = before.get(labelOf(now)) ?? 0;
    if (then <= 0 || now.value <= 0) return [];
    return [betterOfUnit(now.unit) === 'higher' ? then / now.value : now.value / then];
  });
  if (factors.length === 0) return undefined;
  const [low, high] = spreadOf(factors).map(rounded);
  return `peers and floors, which are no code of ours, took ${rounded(median(factors))} times as long as before (median of ${factors.length}, ${low} to ${high})`;
}

const isSpeedOfOthers = (measurement: Measurement): boolean =>
  betterOf(measurement) === 'neither' && (measurement.unit === 'ms' || measurement.unit === 'per second');

/** Targets that were met before and are not now, however little it takes. */
export function missedSince(base: Compared, current: Compared): string[] {
  const met = new Set(base.targets.filter((target) => target.met).map(labelOf));
  return current.targets.filter((target) => !target.met && met.has(labelOf(target))).map(labelOf);
}

/** Targets of what both measured that only the earlier one has, under that name. */
export function targetsGone(base: Compared, current: Compared): string[] {
  const areas = new Set(current.targets.map(({ area }) => area));
  const labels = new Set(current.targets.map(labelOf));
  return base.targets.filter((target) => areas.has(target.area) && !labels.has(labelOf(target))).map(labelOf);
}

/** What became of the figures and targets that both have, in lines; nothing got worse where `passes`. */
export function compare(base: Compared, current: Compared): { readonly lines: readonly string[]; readonly passes: boolean } {
  if (comparable(base, current) === 0) return { lines: ['nothing could be compared: no figure is in both'], passes: false };
  const isElsewhere = JSON.stringify(base.machine) !== JSON.stringify(current.machine);
  const drift = driftOf(base, current);
  const missed = missedSince(base, current);
  const gone = targetsGone(base, current);
  const worse = regressions(base, current);
  const brokeOff = (current.failed ?? []).filter((name) => base.failed?.includes(name) !== true);
  const lines = [
    ...(isElsewhere ? ['the two were measured on different machines'] : []),
    ...(drift === undefined ? [] : [drift]),
    ...(brokeOff.length > 0 ? [`broke off, and not in the other: ${brokeOff.join(', ')}`] : []),
    ...(gone.length > 0 ? [`targets of the other that are none any more: ${gone.join(', ')}`] : []),
    ...(missed.length > 0 ? [`no longer met: ${missed.join(', ')}`] : []),
    describeRegressions(worse),
  ];
  return { lines, passes: worse.length === 0 && brokeOff.length === 0 };
}

export function describeRegressions(found: readonly Regression[]): string {
  if (found.length === 0) return 'nothing got worse beyond noise';
  return found
    .map(({ label, before, now, factor }) => {
      const by = Number.isFinite(factor) ? ` by ${rounded(factor)}` : '';
      return `worse${by}: ${label}: ${rounded(before)} before, ${rounded(now)} now`;
    })
    .join('\n');
}
