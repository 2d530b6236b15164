/** One figure of a scenario. With a limit it is a target, met or missed; without one it is context. */
export interface Measurement {
  readonly area: string;
  readonly name: string;
  /** Which scenario measured it; told by the run. */
  readonly scenario?: string;
  /** Median of the runs. */
  readonly value: number;
  readonly unit: 'ratio' | 'ms' | 'KiB' | 'MiB' | 'per second' | 'count';
  /** Lowest and highest of the runs. */
  readonly spread?: readonly [number, number];
  /** From how many samples a percentile was taken; where they are too few for it, it is the longest of them. */
  readonly samples?: number;
  readonly limit?: number;
  /** Whether the value may be at most or must be at least the limit. */
  readonly bound?: 'at most' | 'at least';
  /** Which way is better where no bound says so; absent: rates higher, all else lower. Of peers and floors neither is. */
  readonly better?: 'higher' | 'lower' | 'neither';
  /** Of a figure that was taken at several loads or sizes: at which of them. Together they make a curve. */
  readonly at?: { readonly of: string; readonly value: number };
}

export interface Scenario {
  readonly name: string;
  /** That of its measurements; scenarios may share one. */
  readonly area: string;
  /** What it measures against what, in a sentence. */
  readonly about: string;
  /** Takes long, and runs only where `--long` or its name asks for it. */
  readonly isLong?: true;
  /** Only shows how cost grows, against no target: `--quick` leaves it out, unless its name asks for it. */
  readonly isCurves?: true;
  run(options: ScenarioOptions): Promise<Measurement[]>;
}

export interface ScenarioOptions {
  /** Smaller data and fewer runs: whether it works, and roughly how fast. */
  readonly quick: boolean;
  /** As little as shows that it runs and that its figures make sense; comes with `quick`. */
  readonly smoke: boolean;
  /** Says what is going on. */
  say(text: string): void;
}

/** What to take where only a smoke is wanted, in quick mode, and in full. */
export function sizeOf<Size>({ quick, smoke }: Pick<ScenarioOptions, 'quick' | 'smoke'>, [least, less, all]: readonly [Size, Size, Size]): Size {
  return smoke ? least : quick ? less : all;
}

export function isMet({ value, limit, bound }: Measurement): boolean | undefined {
  if (limit === undefined) return undefined;
  return bound === 'at least' ? value >= limit : value <= limit;
}

/** A bound says it, then the figure, then its unit. */
export function betterOf({ bound, better, unit }: Pick<Measurement, 'bound' | 'better' | 'unit'>): NonNullable<Measurement['better']> {
  if (bound !== undefined) return bound === 'at least' ? 'higher' : 'lower';
  return better ?? betterOfUnit(unit);
}

export const betterOfUnit = (unit: Measurement['unit']): 'higher' | 'lower' => (unit === 'per second' ? 'higher' : 'lower');

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The value below which a share of the values lies, by the nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

/** Of fewer, the longest one is the 99th percentile. */
const SAMPLES_OF_P99 = 100;

/** Whether a percentile is no more than the longest of a few. */
export const isThin = ({ samples }: Measurement): boolean => samples !== undefined && samples < SAMPLES_OF_P99;

/** What a figure rests on, in words; nothing where all is said by its value. */
export function restsOn(measurement: Measurement): string[] {
  const { spread, samples } = measurement;
  const range = spread === undefined ? [] : [spread.map(rounded).join(' to ')];
  if (samples === undefined) return range;
  return [...range, isThin(measurement) ? `the longest of ${samples}` : `of ${samples} samples`];
}

export const rounded = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));

export function spreadOf(values: readonly number[]): readonly [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Runs work once to warm up and then some times, and answers with the milliseconds of each time. */
export async function timeRuns(runs: number, work: (run: number) => Promise<void>, warmUp = true): Promise<number[]> {
  if (warmUp) await work(-1);
  const times: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const start = performance.now();
    await work(run);
    times.push(performance.now() - start);
  }
  return times;
}

/** What a thing took against its floor, run by run in turn: the quotient of the medians, and the extremes of the pairs, where there are some. */
export function ratioOf(ours: readonly number[], floor: readonly number[]): Pick<Measurement, 'value' | 'spread' | 'unit'> {
  const pairs = ours.map((value, run) => value / (floor[run] ?? Number.NaN));
  return { value: median(ours) / median(floor), ...(pairs.length < 2 ? {} : { spread: spreadOf(pairs) }), unit: 'ratio' };
}

export function summaryOf(values: readonly number[]): Pick<Measurement, 'value' | 'spread'> {
  return { value: median(values), ...(values.length < 2 ? {} : { spread: spreadOf(values) }) };
}
