/** A figure by load or size, in rising order. */
export type Points = readonly (readonly [x: number, y: number])[];

export interface Scaling {
  /** By which power of the load the figure grows: 0 not at all, 1 in proportion. */
  readonly exponent: number;
  /** The load behind which it grows clearly faster than before; null where there is none. */
  readonly knee: number | null;
}

/** How much steeper, in powers of the load, the curve must become for a knee. */
const KNEE_STEEPER = 0.5;

/** Fits a power law by least squares over logarithms, and finds where the curve bends up most. */
export function scalingOf(points: Points): Scaling | undefined {
  const logs = points.flatMap(([x, y]) => (x > 0 && y > 0 ? [[Math.log(x), Math.log(y)] as const] : []));
  if (logs.length < 2) return undefined;
  return { exponent: slopeOf(logs), knee: kneeOf(points, logs) };
}

function slopeOf(logs: Points): number {
  const mean = (index: 0 | 1): number => logs.reduce((sum, point) => sum + point[index], 0) / logs.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  const over = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return over / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function kneeOf(points: Points, logs: Points): number | null {
  let knee: number | null = null;
  let steepest = KNEE_STEEPER;
  for (let index = 1; index < logs.length - 1; index += 1) {
    const steeper = slopeOf(logs.slice(index, index + 2)) - slopeOf(logs.slice(0, index + 1));
    if (steeper <= steepest) continue;
    steepest = steeper;
    knee = points[index]?.[0] ?? null;
  }
  return knee;
}
