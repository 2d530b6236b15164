import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { compare, describeRegressions, driftOf, missedSince, regressions } from '../../bench/compare.ts';
import type { Measurement } from '../../bench/measurement.ts';
import { reportOf } from '../../bench/report.ts';
import { beginRun, earlierResults, type Results, resultsOf, unmeasuredTargets, unusedName } from '../../bench/results.ts';
import { type Points, scalingOf } from '../../bench/scaling.ts';
import { pauseBeside } from '../../bench/support/beside.ts';

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

describe('a run', () => {
  test.each([
    [['--compare', '/nowhere.json', 'rpc'], 1, /ENOENT/],
    [['no-such'], 2, /^there is no scenario no-such; there are rpc, [a-z-, ]+\n$/],
  ])('tells what makes no sense before anything is measured: %j', async (args, code, reason) => {
    const run = promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../bench/run.ts'), ...args]);
    await expect(run).rejects.toMatchObject({ code, stdout: '', stderr: expect.stringMatching(reason) });
  });

  test.each<[string, Partial<Measurement> & { quick?: boolean }, number, string]>([
    ['the same', {}, 0, 'nothing got worse beyond noise'],
    ['a slower one', { value: 10_000 }, 1, 'worse by 100: a / look: p99 at 5 people'],
    ['one of other sizes', { quick: true }, 2, 'without --quick'],
    ['one of another load', { at: { of: 'people', value: 6 } }, 1, 'nothing could be compared'],
  ])('compares two files and measures nothing: one of a load test and %s', async (_what, { quick = false, ...changed }, code, told) => {
    const directory = await mkdtemp(join(tmpdir(), 'covista-bench-'));
    const measured = figure('look: p99', 100, { at: { of: 'people', value: 5 } });
    // What `covista load --out` writes is of no commit.
    const loads = { version: '1.0.0', machine: beginRun().machine, targets: [] };
    const paths = [join(directory, 'base.json'), join(directory, 'other.json')];
    await writeFile(paths[0] ?? '', JSON.stringify({ ...loads, quick: false, measurements: [measured] }));
    await writeFile(paths[1] ?? '', JSON.stringify({ ...loads, quick, measurements: [{ ...measured, ...changed }] }));
    const run = promisify(execFile)(process.execPath, [join(import.meta.dirname, '../../bench/run.ts'), '--compare', ...paths]);
    const ended = await run.then(
      ({ stdout }) => ({ code: 0, stdout, stderr: '' }),
      (fault: { code: number; stdout: string; stderr: string }) => fault,
    );
    expect([ended.code, ended.stdout + ended.stderr]).toEqual([code, expect.stringContaining(told)]);
    await rm(directory, { recursive: true });
  });

  test('has a file of its own, also where one of the day and the commit is there', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'covista-bench-'));
    const run = { ...beginRun(), at: '2026-01-02T03:04:05.000Z', commit: 'abc' };
    const names: string[] = [];
    for (let turn = 0; turn < 3; turn += 1) {
      names.push(unusedName(directory, run));
      await writeFile(join(directory, `${names.at(-1)}.json`), JSON.stringify({ ...resultsWith(), at: `2026-01-0${turn + 1}` }));
    }
    expect(names).toEqual(['2026-01-02-abc', '2026-01-02-abc-run2', '2026-01-02-abc-run3']);
    expect(earlierResults(directory, false).map(({ at }) => at)).toEqual(['2026-01-03', '2026-01-02', '2026-01-01']);
    expect(earlierResults(directory, true)).toEqual([]);
    await rm(directory, { recursive: true });
  });

  test('misses the targets of a scenario that breaks off', () => {
    const limited = { limit: 10, at: { of: 'people', value: 5 } };
    const earlier = resultsWith(figure('fast', 5, { limit: 10 }), figure('slow', 15, limited), { ...figure('other', 1, { limit: 2 }), area: 'b' });
    const brokeOff = [{ name: 'a', area: 'a', about: '', run: () => Promise.reject(new Error('broke')) }];
    const brokeOffToo = { ...resultsWith(figure('some', 1, { limit: 2 })), failed: ['a'] };
    // Another scenario of the area measured the first.
    const measured = [figure('fast', 6, { limit: 10 })];
    const results = resultsOf(
      measured,
      { ...earlier, failed: ['a'] },
      unmeasuredTargets(brokeOff, measured, [brokeOffToo, resultsWith(figure('context', 1)), earlier]),
    );
    expect(results.targets.map(({ name, value, met }) => [name, value, met])).toEqual([
      ['fast', 6, true],
      ['slow', null, false],
    ]);
    const { markdown } = reportOf(results, 'today');
    expect(markdown).toContain('| a | slow at 5 people | not measured | at most 10 |  | **missed** |');
    expect(markdown).toContain('Broke off, so that what they measure is missing: a.');
  });

  test('targets of what broke off are those of the scenario, where a file tells which that is', () => {
    const earlier = resultsWith(
      figure('of it', 5, { limit: 10, scenario: 'a' }),
      figure('of another of its area', 5, { limit: 10, scenario: 'other' }),
    );
    const brokeOff = [{ name: 'a', area: 'a', about: '', run: async () => [] }];
    expect(unmeasuredTargets(brokeOff, [], [earlier]).map(({ name, scenario, value }) => [name, scenario, value])).toEqual([['of it', 'a', null]]);
  });
});

describe('comparing runs', () => {
  test('tells what got worse beyond the spreads, in either direction of better', () => {
    const before = resultsWith(
      figure('steady', 10, { spread: [9, 11] }),
      figure('slower', 10, { spread: [9, 11] }),
      figure('noisy', 10, { spread: [5, 30] }),
      figure('rate', 100, { unit: 'per second', spread: [90, 110] }),
      figure('rate that overlaps', 100, { unit: 'per second', spread: [60, 110] }),
      figure('gone', 1),
    );
    const now = resultsWith(
      figure('steady', 10.5, { spread: [9, 12] }),
      figure('slower', 20, { spread: [19, 22] }),
      figure('noisy', 20, { spread: [18, 25] }),
      figure('rate', 50, { unit: 'per second', spread: [45, 55] }),
      figure('rate that overlaps', 70, { unit: 'per second', spread: [50, 80] }),
      figure('new', 1),
    );
    const found = regressions(before, now);
    expect(found.map(({ label, factor }) => [label, factor])).toEqual([
      ['a / slower', 2],
      ['a / rate', 2],
    ]);
    expect(describeRegressions(found)).toContain('worse by 2.00: a / slower: 10.0 before, 20.0 now');
    expect(regressions(before, before)).toEqual([]);
    expect(regressions(now, before).map(({ label }) => label)).toEqual([]);
  });

  test.each<[string, Partial<Measurement>, 'rise' | 'fall' | undefined]>([
    ['a time', { unit: 'ms' }, 'rise'],
    ['a rate', { unit: 'per second' }, 'fall'],
    ['a ratio', { unit: 'ratio' }, 'rise'],
    ['a ratio of rates', { unit: 'ratio', better: 'higher' }, 'fall'],
    ['a rate that is bounded from above', { unit: 'per second', limit: 20, bound: 'at most' }, 'rise'],
    ['a ratio that is bounded from below', { unit: 'ratio', limit: 0.6, bound: 'at least' }, 'fall'],
    ['a figure of a peer', { unit: 'ms', better: 'neither' }, undefined],
  ])('knows what is worse of %s', (_, more, worse) => {
    const [low, high] = [resultsWith(figure('x', 10, more)), resultsWith(figure('x', 50, more))];
    expect(regressions(low, high)).toHaveLength(worse === 'rise' ? 1 : 0);
    expect(regressions(high, low)).toHaveLength(worse === 'fall' ? 1 : 0);
  });

  test('tells by how much the machine was slower, as the speed of peers and floors has it', () => {
    const peers = (ms: number, perSecond: number): Measurement[] => [
      figure('bare SQL', ms, { better: 'neither' }),
      figure('bare echo', perSecond, { better: 'neither', unit: 'per second' }),
      figure('memory of a peer', ms, { better: 'neither', unit: 'MiB' }),
      figure('ours', 10 * ms),
    ];
    expect(driftOf(resultsWith(...peers(10, 100)), resultsWith(...peers(20, 25)))).toContain(
      'took 3.00 times as long as before (median of 2, 2.00 to 4.00)',
    );
    expect(driftOf(resultsWith(figure('ours', 1)), resultsWith(figure('ours', 2)))).toBeUndefined();
  });

  test('tells which targets are no longer met, however little it takes', () => {
    const target = { limit: 10, bound: 'at most' } as const;
    const base = resultsWith(figure('one', 9.9, target), figure('other', 11, target), figure('third', 1, target));
    expect(missedSince(base, resultsWith(figure('one', 10.1, target), figure('other', 12, target), figure('third', 2, target)))).toEqual(['a / one']);
  });

  test('tells which targets of what was measured again there are no more', () => {
    const target = { limit: 10, bound: 'at most' } as const;
    const base = resultsWith(figure('one', 1, target), figure('other', 1, target), { ...figure('elsewhere', 1, target), area: 'b' });
    const { lines } = compare(base, resultsWith(figure('one', 1, target), figure('new', 1, target)));
    expect(lines).toEqual(['targets of the other that are none any more: a / other', 'nothing got worse beyond noise']);
  });

  test('a scenario that breaks off now got worse, one that did so before did not', () => {
    const [whole, broken] = [resultsWith(figure('x', 1)), { ...resultsWith(figure('x', 1)), failed: ['b'] }];
    expect(compare(whole, broken)).toEqual({ lines: ['broke off, and not in the other: b', 'nothing got worse beyond noise'], passes: false });
    expect(compare(broken, broken).passes).toBe(true);
    expect(compare(broken, whole).passes).toBe(true);
  });

  test('the longest of a few samples that were taken once is noise, and what was nothing before is worse by no factor', () => {
    const thin = (value: number, more: Partial<Measurement> = {}): Results => resultsWith(figure('x: p99', value, { samples: 99, ...more }));
    expect(regressions(thin(10), thin(100))).toEqual([]);
    expect(regressions(thin(10), thin(100, { samples: 100 }))).toEqual([]);
    expect(regressions(thin(10, { spread: [9, 11] }), thin(100, { spread: [90, 110] }))).toHaveLength(1);
    const found = regressions(resultsWith(figure('errors', 0, { unit: 'count' })), resultsWith(figure('errors', 1, { unit: 'count' })));
    expect(describeRegressions(found)).toBe('worse: a / errors: 0.00 before, 1.00 now');
  });

  test('a figure that was taken once is worse only beyond what such figures differ by, and beyond what anybody notices', () => {
    const worseOf = (before: Measurement, now: Measurement): number => regressions(resultsWith(before), resultsWith(now)).length;
    expect(worseOf(figure('x', 10), figure('x', 19))).toBe(0);
    expect(worseOf(figure('x', 10), figure('x', 21))).toBe(1);
    expect(worseOf(figure('x', 10, { spread: [9, 11] }), figure('x', 19))).toBe(0);
    expect(worseOf(figure('x', 0.1), figure('x', 0.9))).toBe(0);
    expect(worseOf(figure('x', 0, { unit: 'MiB' }), figure('x', 10, { unit: 'MiB' }))).toBe(0);
    // Of what must not happen at all, once is worse than never.
    expect(worseOf(figure('x', 0, { unit: 'count' }), figure('x', 1, { unit: 'count' }))).toBe(1);
    expect(worseOf(figure('x', 0), figure('x', 0))).toBe(0);
  });
});

describe('scaling', () => {
  const curve = (xs: readonly number[], y: (x: number) => number) => xs.map((x) => [x, y(x)] as const);
  const LOADS = [1, 10, 100, 1_000, 10_000];

  test.each([0, 0.5, 1, 2, -1])('finds the power %f by which a figure grows, and no knee in it', (power) => {
    expect(scalingOf(curve(LOADS, (x) => 3 * x ** power))).toEqual({ exponent: expect.closeTo(power), knee: null });
  });

  test.each([10, 100, 1_000])('finds that a figure bends up at %d', (at) => {
    const flatThenSteep = curve(LOADS, (x) => (x <= at ? 5 : 5 * (x / at) ** 2));
    expect(scalingOf(flatThenSteep)?.knee).toBe(at);
    // What bends down instead is no knee, except of a rate.
    expect(scalingOf(flatThenSteep, 'higher')?.knee).toBe(null);
    const linearThenFlat = curve(LOADS, (x) => Math.min(x, at) * 1_000);
    expect(scalingOf(linearThenFlat)?.knee).toBe(null);
    expect(scalingOf(linearThenFlat, 'higher')?.knee).toBe(at);
  });

  test('leaves out figures of nought, and names the load of the knee all the same', () => {
    expect(scalingOf(curve([0.1, 1, 10, 100, 1_000], (x) => (x < 1 ? 0 : x <= 100 ? 5 : 500)))?.knee).toBe(100);
  });

  test('says nothing of what is too little', () => {
    expect(scalingOf([[1, 1]])).toBeUndefined();
    expect(scalingOf(curve([1, 10], (x) => x))).toEqual({ exponent: expect.closeTo(1), knee: undefined });
  });

  test('the measured noise of a flat curve is no knee', () => {
    expect(scalingOf(curve(LOADS, (x) => 5 + (x === 100 ? 1 : 0)))?.knee).toBe(null);
  });

  test('a figure that bends by far has a knee, also where it ends about where it began', () => {
    const measured = [29, 9.2, 10, 8.4, 19, 75.8];
    expect(scalingOf(measured.map((y, index) => [[1, 10, 50, 100, 500, 1_000][index] ?? 0, y] as const))?.knee).toBe(500);
    const answered: Points = [
      [1, 8_612],
      [100, 11_988],
      [1_000, 3_672],
    ];
    expect(scalingOf(answered, 'higher')?.knee).toBe(100);
  });

  test('a fixed cost and one that goes with the load together have no knee, though their logarithms bend', () => {
    expect(scalingOf(curve(LOADS, (x) => 100 + x))?.knee).toBe(null);
    expect(scalingOf(curve(LOADS, (x) => 100 + x * x))?.knee).toBe(10);
  });

  test('a cost that falls and then no longer does has no knee', () => {
    expect(scalingOf(curve(LOADS, (x) => Math.max(10_000 / x, 10)))?.knee).toBe(null);
  });
});

describe('waiting beside work', () => {
  test('ends with the failure of the work at once, and waits on where it is done', async () => {
    const broken = Promise.reject(new Error('broke'));
    await expect(pauseBeside(broken, 3_600_000)).rejects.toThrow('broke');
    const done = Promise.resolve();
    let isOver = false;
    const pause = pauseBeside(done, 20).then(() => {
      isOver = true;
    });
    await done;
    expect(isOver).toBe(false);
    await pause;
  });
});
