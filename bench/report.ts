import { readable } from './families.ts';
import { betterOf, betterOfUnit, isMet, type Measurement, restsOn, rounded } from './measurement.ts';
import { type Curve, type Plot, plotSvg } from './plot.ts';
import { labelOf, type Results, type Target } from './results.ts';
import { scalingOf } from './scaling.ts';

/** A results file for people: Markdown, and the plots that it shows by file name. */
export interface Report {
  readonly markdown: string;
  readonly plots: ReadonlyMap<string, string>;
}

export function reportOf(results: Results, name: string): Report {
  const plots = new Map<string, string>();
  const sections = areasOf(results.measurements).map(([area, measurements]) => {
    const drawn = plotsOf(area, measurements)
      .flatMap(readable)
      .map((plot) => {
        const file = `${name}-${plots.size + 1}.svg`;
        plots.set(file, plotSvg(plot));
        return `![${plot.title} over ${plot.over}](${file})\n\n${plot.curves.map((curve) => scalingSentence(curve)).join('\n')}`;
      });
    return [`## ${area}`, tableOf(measurements), ...drawn].join('\n\n');
  });
  const { machine, commit, at } = results;
  const head = `# Benchmarks of ${commit}\n\nMeasured ${at.slice(0, 10)} on ${machine.cores} cores (${machine.cpu}), ${machine.memoryGiB} GiB, Node ${machine.node}${results.quick ? ', quick mode' : ''}.`;
  const { failed = [] } = results;
  const broken = failed.length === 0 ? [] : [`Broke off, so that what they measure is missing: ${failed.join(', ')}.`];
  return { markdown: `${[head, SPREADS, ...broken, targetTable(results.targets), ...sections].join('\n\n')}\n`, plots };
}

const SPREADS =
  'A figure with a spread is the median of several runs, or told of all their samples together, and the spread their lowest and highest. One without a spread is of a single run, or told of all runs together.';

/** The targets with what came of them. */
export function targetTable(targets: readonly Target[]): string {
  const rows = targets.map((target) => {
    const { area, value, limit, unit, bound, met } = target;
    const found = value === null ? 'not measured' : `${rounded(value)} ${unit}`;
    const ratio = value === null || limit === 0 ? '' : rounded(value / limit);
    return `| ${area} | ${nameWithin(target)} | ${found} | ${bound} ${Number(rounded(limit))} | ${ratio} | ${met ? 'met' : '**missed**'} |`;
  });
  return ['| area | what | value | target | value / target | |', '| --- | --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function tableOf(measurements: readonly Measurement[]): string {
  const rows = measurements.map((measurement) => {
    const { value, unit } = measurement;
    const verdict = isMet(measurement);
    return `| ${nameWithin(measurement)} | ${rounded(value)} ${unit} | ${restsOn(measurement).join(', ')} | ${verdict === undefined ? '' : verdict ? 'met' : '**missed**'} |`;
  });
  return ['| what | value | spread | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** What a figure is called in a table that has its area elsewhere. */
const nameWithin = (figure: Parameters<typeof labelOf>[0]): string => labelOf(figure).slice(figure.area.length + 3);

function areasOf(measurements: readonly Measurement[]): [string, Measurement[]][] {
  const areas = new Map<string, Measurement[]>();
  for (const measurement of measurements) areas.set(measurement.area, [...(areas.get(measurement.area) ?? []), measurement]);
  return [...areas];
}

/** Figures of an area that were taken over the same load and in the same unit share a plot. */
function plotsOf(area: string, measurements: readonly Measurement[]): Plot[] {
  const plots = new Map<string, Map<string, Curve>>();
  for (const measurement of measurements) {
    const { name, unit, at, value, spread } = measurement;
    if (at === undefined) continue;
    const key = JSON.stringify([at.of, unit]);
    const curves = plots.get(key) ?? new Map<string, Curve>();
    const known = curves.get(name);
    const points = [...(known?.points ?? []), [at.value, value] as const];
    const once = (known?.once ?? 0) + (spread === undefined ? 1 : 0);
    plots.set(key, curves.set(name, { name, points, once, better: directionOf(measurement) }));
  }
  return [...plots].map(([key, curves]) => {
    const [over, unit] = JSON.parse(key) as [string, string];
    const sorted = [...curves.values()].map((curve) => ({ ...curve, points: curve.points.toSorted(([one], [other]) => one - other) }));
    return { title: area, over, unit, curves: sorted };
  });
}

/** Of peers and floors neither way is better for us, but one of them is for themselves. */
function directionOf(measurement: Measurement): Curve['better'] {
  const better = betterOf(measurement);
  return better === 'neither' ? betterOfUnit(measurement.unit) : better;
}

function scalingSentence({ name, points, once, better }: Curve): string {
  const scaling = scalingOf(points, better);
  const single = once === 0 ? '' : once === points.length ? '; each figure taken once' : `; ${once} of ${points.length} figures taken once`;
  if (scaling === undefined) return `- ${name}: too few figures for a trend${single}`;
  const { exponent, knee } = scaling;
  const bend = knee === undefined ? 'too few figures for a knee' : knee === null ? 'no knee' : `a knee at ${knee}`;
  return `- ${name}: grows with power ${exponent.toFixed(2)}, ${bend}${single}`;
}
