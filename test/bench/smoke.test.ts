import { afterAll, expect, test } from 'vitest';
import type { Measurement } from '../../bench/measurement.ts';
import { labelOf } from '../../bench/results.ts';
import { scenarios } from '../../bench/scenarios/index.ts';
import { forgetDataDir } from '../../bench/support/server.ts';

const TIMEOUT_MS = 5 * 60_000;

afterAll(forgetDataDir);

/** More than this of a unit is a fault of what measures, on whatever machine. */
const SENSIBLE: Readonly<Record<Measurement['unit'], number>> = {
  ms: TIMEOUT_MS,
  KiB: 1024 ** 2 * 8,
  MiB: 1024 * 8,
  ratio: 10_000,
  'per second': 1e7,
  count: 1e7,
};

test.each(scenarios)(
  'the scenario $name runs, and its figures make sense',
  async ({ run, area }) => {
    const measurements = await run({ quick: true, smoke: true, say: () => undefined });
    expect(measurements.length).toBeGreaterThan(0);
    const labels = measurements.map(labelOf);
    expect(new Set(labels).size).toBe(labels.length);
    for (const measurement of measurements) assertSensible(measurement, area);
  },
  TIMEOUT_MS,
);

function assertSensible(measurement: Measurement, area: string): void {
  const label = labelOf(measurement);
  const { value, unit, spread, limit, bound, at } = measurement;
  expect(measurement.area, label).toBe(area);
  expect(value, label).toSatisfy((figure: number) => Number.isFinite(figure) && figure >= 0 && figure <= SENSIBLE[unit]);
  if (unit === 'count' && FAULTS.test(measurement.name)) expect(value, label).toBe(0);
  // Whatever happened took its time, and happened at a rate; memory and what is counted may be nought.
  if (isPositive(measurement)) expect(value, label).toBeGreaterThan(0);
  if (spread !== undefined)
    expect(spread, label).toSatisfy(([low, high]: readonly number[]) => Number.isFinite(low) && Number.isFinite(high) && (low ?? 0) <= (high ?? 0));
  if (NOT_OURS.test(measurement.name)) expect(measurement.better, label).toBe('neither');
  if (at !== undefined) expect(at.value, label).toBeGreaterThan(0);
  expect(bound === undefined, label).toBe(limit === undefined);
  if (limit !== undefined) expect(limit, label).toSatisfy((most: number) => Number.isFinite(most) && most >= 0);
}

/** What peers and floors take, which is no regression of ours; what we take against theirs is ours. */
const NOT_OURS =
  /^(@y|@hocuspocus|Perspective's server:|bare |the same Arrow|commit of the database)|( by COPY| by full join| of bare SQL|: SQL|: DuckDB and SQL)$/;

/** What is never to happen, however small the run. */
const FAULTS = /^errors|lost$|failed$|left after/;

/** A difference from something else, such as lateness or what an edit takes above a commit, may be nought. */
const DIFFERENCES = /late|delay|above|CPU|back: /;

const isPositive = ({ unit, name }: Measurement): boolean => (unit === 'ms' || unit === 'per second') && !DIFFERENCES.test(name);
