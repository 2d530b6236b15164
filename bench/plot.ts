import type { Points } from './scaling.ts';

export interface Curve {
  readonly name: string;
  /** What it is called in the plot, where the title says the rest. */
  readonly label?: string;
  readonly points: Points;
  /** How many of them are of a single run. */
  readonly once: number;
  /** Which way is better, so that the other one is a bend for the worse. */
  readonly better: 'higher' | 'lower';
}

export interface Plot {
  readonly title: string;
  /** What the curves run over, such as `connections`. */
  readonly over: string;
  readonly unit: string;
  readonly curves: readonly Curve[];
}

const WIDTH = 720;
const HEIGHT = 360;
const MARGIN = { left: 56, top: 40, bottom: 48 };
const BOTTOM = HEIGHT - MARGIN.bottom;
const COLOURS = ['#3b6fb6', '#c4622d', '#3f8f5f', '#8a4fa3', '#b23a48', '#5f6b7a'];
/** As many as have a colour of their own. */
export const CURVES_MAX = COLOURS.length;
const LABEL = { height: 15, character: 7.2, gap: 20 };

/**
 * A plot over logarithmic axes, as SVG that needs nothing else; each curve is named where it ends. Figures of nought have no place on
 * such an axis and are left out.
 */
export function plotSvg({ title, over, unit, curves: all }: Plot): string {
  const curves = all
    .map(({ name, label = name, points }) => ({ label, points: points.filter(([x, y]) => x > 0 && y > 0) }))
    .filter(({ points }) => points.length > 0);
  const right = WIDTH - LABEL.gap - LABEL.character * Math.max(0, ...curves.map(({ label }) => label.length));
  const loads = [...new Set(curves.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const values = curves.flatMap(({ points }) => points.map(([, y]) => y));
  const x = scale([loads[0] ?? 1, loads.at(-1) ?? 1], [MARGIN.left, right]);
  const bounds = [Math.min(...values), Math.max(...values)] as const;
  const ticks = ticksOf(bounds);
  const y = scale([ticks[0] ?? 1, ticks.at(-1) ?? 1], [BOTTOM, MARGIN.top]);
  const ends = curves.map(({ points }) => y(points.at(-1)?.[1] ?? 1));
  const labelled = spread(ends);
  const lines = curves.map(({ label, points }, index) => {
    const colour = COLOURS[index % COLOURS.length] ?? '';
    const at = points.map(([load, value]) => [x(load), y(value)] as const);
    const [endX, endY] = at.at(-1) ?? [right, BOTTOM];
    const labelY = labelled[index] ?? endY;
    return [
      `<path d="M${at.map((point) => point.join(' ')).join('L')}" fill="none" stroke="${colour}" stroke-width="2" stroke-linejoin="round"/>`,
      ...at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`),
      `<path d="M${endX} ${endY}L${round(right + 4)} ${endY}L${round(right + 10)} ${labelY}" fill="none" stroke="${colour}" stroke-opacity="0.4"/>`,
      `<text x="${round(right + 14)}" y="${labelY + 4}" fill="${colour}">${escaped(label)}</text>`,
    ].join('');
  });
  const style = 'font-family="system-ui, sans-serif" font-size="12" fill="#57606a"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${style}>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<text x="12" y="22" font-size="13" font-weight="600" fill="#24292f">${escaped(title)}, ${escaped(unit)}</text>
${ticks.map((tick) => beside(y(tick), tick, right)).join('')}
${farApart(loads, x)
  .map((load) => below(x(load), load))
  .join('')}<text x="${round((MARGIN.left + right) / 2)}" y="${HEIGHT - 10}" text-anchor="middle">${escaped(over)}</text>
${lines.join('\n')}\n</svg>\n`;
}

const beside = (y: number, tick: number, right: number): string =>
  `<path d="M${MARGIN.left} ${y}H${round(right)}" stroke="#d8dee4"/><text x="${MARGIN.left - 8}" y="${y + 4}" text-anchor="end">${short(tick)}</text>`;

const below = (x: number, load: number): string =>
  `<path d="M${x} ${BOTTOM}v5" stroke="#8b949e"/><text x="${x}" y="${BOTTOM + 19}" text-anchor="middle">${short(load)}</text>`;

/** Places values by their logarithms. */
function scale([low, high]: readonly [number, number], [from, to]: readonly [number, number]): (value: number) => number {
  const span = Math.log(high / low);
  return (value) => round(span === 0 ? (from + to) / 2 : from + (Math.log(value / low) / span) * (to - from));
}

/** Up to so many decades 2 and 5 have ticks too. */
const FINE_DECADES = 2;

/** From the last tick below all values to the first one above them. */
function ticksOf([least, most]: readonly [number, number]): number[] {
  const steps = Math.log10(most / least) > FINE_DECADES ? [1] : [1, 2, 5];
  const first = Math.floor(Math.log10(least));
  const decades = Array.from({ length: Math.ceil(Math.log10(most)) - first + 1 }, (_, decade) => first + decade);
  const all = decades.flatMap((decade) => steps.map((step) => Number(`${step}e${decade}`)));
  const from = all.findLastIndex((tick) => tick <= least);
  const to = all.findIndex((tick) => tick >= most);
  // A figure that is itself a tick has an axis all the same.
  return all.slice(from, Math.max(to, from + 1) + 1);
}

const LOADS_APART = 30;

/** The loads that were measured, without those whose numbers would touch. */
function farApart(loads: readonly number[], x: (load: number) => number): number[] {
  const kept: number[] = [];
  for (const load of loads) if (kept.length === 0 || x(load) - x(kept.at(-1) ?? load) >= LOADS_APART) kept.push(load);
  return kept;
}

/** Moves places apart so that a line of text fits on each: those that touch stay together around their middle. */
function spread(places: readonly number[]): number[] {
  const clusters: { readonly indexes: number[]; top: number }[] = [];
  const order = places.map((_, index) => index).sort((one, other) => (places[one] ?? 0) - (places[other] ?? 0));
  for (const index of order) {
    let cluster = { indexes: [index], top: places[index] ?? 0 };
    for (let above = clusters.at(-1); above !== undefined && above.top + above.indexes.length * LABEL.height > cluster.top; above = clusters.at(-1)) {
      clusters.pop();
      const indexes = [...above.indexes, ...cluster.indexes];
      const middle = indexes.reduce((sum, each) => sum + (places[each] ?? 0), 0) / indexes.length;
      cluster = { indexes, top: middle - ((indexes.length - 1) * LABEL.height) / 2 };
    }
    clusters.push(cluster);
  }
  const placed = new Map(clusters.flatMap(({ indexes, top }) => indexes.map((index, line) => [index, round(top + line * LABEL.height)] as const)));
  return places.map((place, index) => placed.get(index) ?? place);
}

const round = (value: number): number => Math.round(value * 10) / 10;
const short = (value: number): string => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(3))));
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);
