/** A figure by load or size, in rising order. */
export type Points = readonly (readonly [x: number, y: number])[];

export interface Scaling {
  /** By which power of the load the figure grows: 0 not at all, 1 in proportion. */
  readonly exponent: number;
  /**
   * The load behind which the curve clearly bends for the worse, a cost to more than in proportion; null where it does not, undefined
   * where the points are too few to tell.
   */
  readonly knee: number | null | undefined;
}

/** How much steeper, in powers of the load, the curve must become for a knee. */
const KNEE_STEEPER = 0.5;
/**
 * Up to about this power of the load, a cost behind the bend rises no more than in proportion: what has a fixed part and one that goes
 * with the load looks over logarithms as if it bent.
 */
const IN_PROPORTION = 1.2;
/** Where the most is less than so many times the least, what bends is noise. */
const NOISE = 1.5;
/** A bend needs something before it and something behind it. */
const KNEE_POINTS = 3;

/**
 * Fits a power law by least squares over logarithms, and finds where the curve bends for the worse most: up, or, of a rate, down.
 * Figures of nought have no logarithm and are left out.
 */
export function scalingOf(points: Points, better: 'higher' | 'lower' = 'lower'): Scaling | undefined {
  const positive = points.filter(([x, y]) => x > 0 && y > 0);
  if (positive.length < 2) return undefined;
  const logs = positive.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const exponent = slopeOf(logs);
  const figures = positive.map(([, y]) => y);
  const find = (): number | null => (Math.max(...figures) < NOISE * Math.min(...figures) ? null : bendOf(logs, better === 'higher' ? -1 : 1));
  const bend = logs.length < KNEE_POINTS ? undefined : find();
  return { exponent, knee: bend === undefined ? undefined : bend === null ? null : (positive[bend]?.[0] ?? null) };
}

function slopeOf(logs: Points): number {
  const mean = (index: 0 | 1): number => logs.reduce((sum, point) => sum + point[index], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const over = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

/** The index of the point behind which the curve bends most in a direction. */
function bendOf(logs: Points, direction: 1 | -1): number | null {
  let bend: number | null = null;
  let steepest = KNEE_STEEPER;
  for (let index = 1; index < logs.length - 1; index += 1) {
    const behind = slopeOf(logs.slice(index, index + 2));
    // A rate that no longer rises has met its bound.
    if (direction === 1 && behind < IN_PROPORTION) continue;
    const steeper = direction * (behind - slopeOf(logs.slice(0, index + 1)));
    if (steeper <= steepest) continue;
    steepest = steeper;
    bend = index;
  }
  return bend;
}
