import { describe, expect, test } from 'vitest';
import type { Measurement } from '../../bench/measurement.ts';
import { reportOf } from '../../bench/report.ts';
import { beginRun, type Results, resultsOf } from '../../bench/results.ts';

const figure = (name: string, value: number, more: Partial<Measurement> = {}): Measurement => ({ area: 'a', name, value, unit: 'ms', ...more });
const resultsWith = (...measurements: Measurement[]): Results => resultsOf(measurements, { ...beginRun(), quick: false, scenarios: ['a'] });

describe('the report', () => {
  test('has a table of targets, one of each area, and a plot where figures were taken at several loads', () => {
    const curve = [1, 100, 1_000].map((value) => figure('round trip <b>', value / 10, { at: { of: 'connections', value } }));
    const { markdown, plots } = reportOf(resultsWith(figure('fast', 5, { limit: 10, spread: [4, 6] }), ...curve), 'today');
    expect(markdown).toContain('| a | fast | 5.00 ms | at most 10 | 0.500 | met |');
    expect(markdown).toContain('| round trip <b> at 100 connections | 10.0 ms |');
    expect(markdown).toContain('![a: round trip <b> over connections](today-1.svg)');
    expect(markdown).toContain('grows with power 1.00');
    const svg = plots.get('today-1.svg') ?? '';
    expect(svg).toMatch(/^<svg [^>]*viewBox/);
    expect(svg).toContain('round trip &#60;b&#62;');
    expect(svg).not.toContain('NaN');
  });

  test('splits a plot of more than six curves by what their names share, and names each where it ends, not on top of another', () => {
    const kinds = Array.from({ length: 7 }, (_, kind) => [`kind${kind}: median`, `kind${kind}: p99`]).flat();
    const curves = kinds.flatMap((name) => [1, 100].map((value) => figure(name, name.endsWith('p99') ? 5 : 1, { at: { of: 'people', value } })));
    const { markdown, plots } = reportOf(resultsWith(...curves), 'today');
    expect(markdown).toContain('![a: p99 (2 of 2) over people](today-4.svg)');
    expect(markdown).toContain('- kind6: p99: grows with power 0.00');
    const drawn = [...plots.values()].map((svg) => [...svg.matchAll(/y="([0-9.]+)" fill="#[0-9a-f]+">(kind\d)</g)]);
    expect(drawn.map((labels) => labels.map(([, , name]) => name))).toEqual([
      ['kind0', 'kind1', 'kind2', 'kind3'],
      ['kind4', 'kind5', 'kind6'],
      ['kind0', 'kind1', 'kind2', 'kind3'],
      ['kind4', 'kind5', 'kind6'],
    ]);
    for (const labels of drawn) {
      const heights = labels.map(([, y]) => Number(y)).sort((one, other) => one - other);
      for (const [index, y] of heights.slice(1).entries()) expect(y - (heights[index] ?? 0)).toBeGreaterThanOrEqual(14);
    }
  });

  test('figures of nought are left out of a plot, also where there are no others', () => {
    const curve = [1, 100].map((value) => figure('errors', 0, { at: { of: 'people', value } }));
    const [svg = ''] = reportOf(resultsWith(...curve), 'today').plots.values();
    expect(svg).not.toMatch(/NaN|Infinity|e\+/);
  });

  test('finds knees in the direction that a figure names, rather than in that of its unit', () => {
    const frames = [10, 100, 1_000].map((value) => ({ unit: 'per second' as const, at: { of: 'people', value }, value: value > 100 ? 900 : 9 }));
    const reportWith = (more: Partial<Measurement>): string =>
      reportOf(resultsWith(...frames.map(({ value, ...rest }) => figure('frames', value, { ...rest, ...more }))), 'today').markdown;
    expect(reportWith({ better: 'lower' })).toMatch(/- frames: .* a knee at 100;/m);
    expect(reportWith({})).toMatch(/- frames: .* no knee;/m);
    expect(reportWith({ better: 'neither' })).toMatch(/- frames: .* no knee;/m);
  });

  test('says from how many samples a percentile was taken, and of how few it is the longest', () => {
    const { markdown } = reportOf(
      resultsWith(figure('whoami: p99', 5, { samples: 20, spread: [4, 6] }), figure('preview: p99', 5, { samples: 100 })),
      'today',
    );
    expect(markdown).toContain('| whoami: p99 | 5.00 ms | 4.00 to 6.00, the longest of 20 |  |');
    expect(markdown).toContain('| preview: p99 | 5.00 ms | of 100 samples |  |');
  });

  test('says which curves are of single runs', () => {
    const at = (value: number) => ({ at: { of: 'people', value } });
    const spread = [4, 6] as const;
    const once = [1, 10].map((people) => figure('once', 5, at(people)));
    const often = [1, 10].map((people) => figure('often', 5, { ...at(people), spread }));
    const mixed = [figure('mixed', 5, at(1)), figure('mixed', 5, { ...at(10), spread })];
    const { markdown } = reportOf(resultsWith(...once, ...often, ...mixed), 'today');
    expect(markdown).toContain('One without a spread is of a single run');
    expect(markdown).toMatch(/^- once: .*; each figure taken once$/m);
    expect(markdown).toMatch(/^- often: .* a knee$/m);
    expect(markdown).toMatch(/^- mixed: .*; 1 of 2 figures taken once$/m);
  });
});
