import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { describeRegressions, regressions } from '../../bench/compare.ts';
import type { Measurement } from '../../bench/measurement.ts';
import { reportOf } from '../../bench/report.ts';
import { beginRun, type Results, resultsOf } from '../../bench/results.ts';
import { scalingOf } from '../../bench/scaling.ts';

const figure = (name: string, value: number, more: Partial<Measurement> = {}): Measurement => ({ area: 'a', name, value, unit: 'ms', ...more });
const resultsWith = (...measurements: Measurement[]): Results => resultsOf(measurements, { ...beginRun(), quick: false, scenarios: ['a'] });

describe('results', () => {
  test('every figure with a limit is a target, met or missed', () => {
    const { targets } = resultsWith(
      figure('fast', 5, { limit: 10 }),
      figure('slow', 15, { limit: 10 }),
      figure('rate', 5, { limit: 4, bound: 'at least', unit: 'per second' }),
      figure('context', 1),
    );
    expect(targets.map(({ name, bound, met }) => [name, bound, met])).toEqual([
      ['fast', 'at most', true],
      ['slow', 'at most', false],
      ['rate', 'at least', true],
    ]);
  });
});

describe('comparing runs', () => {
  test.each([
    [['--compare', '/nowhere.json', 'rpc'], 'ENOENT'],
    [['no-such'], 'there is no scenario no-such; there are rpc, '],
  ])('what makes no sense is told before anything is measured: %j', async (args, reason) => {
    const run = promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../bench/run.ts'), ...args]);
    await expect(run).rejects.toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(reason) });
  });

  test('tells what got worse beyond the spreads, in either direction of better', () => {
    const before = resultsWith(
      figure('steady', 10, { spread: [9, 11] }),
      figure('slower', 10, { spread: [9, 11] }),
      figure('noisy', 10, { spread: [5, 30] }),
      figure('rate', 100, { unit: 'per second' }),
      figure('gone', 1),
    );
    const now = resultsWith(
      figure('steady', 10.5, { spread: [9, 12] }),
      figure('slower', 20, { spread: [19, 22] }),
      figure('noisy', 20, { spread: [18, 25] }),
      figure('rate', 50, { unit: 'per second' }),
      figure('new', 1),
    );
    const found = regressions(before, now);
    expect(found.map(({ label, factor }) => [label, factor])).toEqual([
      ['a / slower', 2],
      ['a / rate', 2],
    ]);
    expect(describeRegressions(found)).toContain('worse by 2.00: a / slower: 10.0 before, 20.0 now');
    expect(regressions(before, before)).toEqual([]);
  });
});

describe('scaling', () => {
  test('finds the power by which a figure grows, and where it bends up', () => {
    expect(scalingOf([10, 100, 1_000].map((x) => [x, 3 * x ** 2]))).toMatchObject({ exponent: expect.closeTo(2), knee: null });
    const flatThenSteep = [1, 10, 100, 1_000].map((x) => [x, x <= 100 ? 5 : 50] as const);
    expect(scalingOf(flatThenSteep)?.knee).toBe(100);
    expect(scalingOf([[1, 1]])).toBeUndefined();
  });
});

describe('the report', () => {
  test('has a table of targets, one of each area, and a plot where figures were taken at several loads', () => {
    const curve = [1, 100, 1_000].map((value) => figure('round trip <b>', value / 10, { at: { of: 'connections', value } }));
    const { markdown, plots } = reportOf(resultsWith(figure('fast', 5, { limit: 10, spread: [4, 6] }), ...curve), 'today');
    expect(markdown).toContain('| a | fast | 5.00 ms | at most 10 | met |');
    expect(markdown).toContain('| round trip <b> at 100 connections | 10.0 ms |');
    expect(markdown).toContain('![a over connections](today-1.svg)');
    expect(markdown).toContain('grows with power 1.00');
    const svg = plots.get('today-1.svg') ?? '';
    expect(svg).toMatch(/^<svg [^>]*viewBox/);
    expect(svg).toContain('round trip &#60;b&#62;');
    expect(svg).not.toContain('NaN');
  });
});
