import { expect, test } from 'vitest';
import { labelOf } from '../../bench/results.ts';
import { scenarios } from '../../bench/scenarios/index.ts';

const TIMEOUT_MS = 5 * 60_000;

test.each(scenarios)(
  'the scenario $name runs, and its figures make sense',
  async ({ run, area }) => {
    const measurements = await run({ quick: true, smoke: true, say: () => undefined });
    expect(measurements.length).toBeGreaterThan(0);
    const labels = measurements.map(labelOf);
    expect(new Set(labels).size).toBe(labels.length);
    for (const measurement of measurements) {
      expect(measurement.area).toBe(area);
      expect(measurement.value, labelOf(measurement)).toSatisfy((value: number) => Number.isFinite(value) && value >= 0);
      if (measurement.limit !== undefined) expect(['at most', 'at least']).toContain(measurement.bound);
    }
  },
  TIMEOUT_MS,
);
