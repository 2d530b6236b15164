import type { Points } from './scaling.ts';

export interface Curve {
  readonly name: string;
  readonly points: Points;
}

export interface Plot {
  readonly title: string;
  /** What the curves run over, such as `connections`. */
  readonly over: string;
  readonly unit: string;
  readonly curves: readonly Curve[];
}

const WIDTH = 640;
const HEIGHT = 360;
const MARGIN = { left: 64, right: 16, top: 36, bottom: 44 };
const COLOURS = ['#3b6fb6', '#c4622d', '#3f8f5f', '#8a4fa3', '#b23a48', '#5f6b7a'];

/** A plot over logarithmic axes, as SVG that needs nothing else. */
export function plotSvg({ title, over, unit, curves }: Plot): string {
  const x = axis(
    curves.flatMap(({ points }) => points.map(([value]) => value)),
    [MARGIN.left, WIDTH - MARGIN.right],
  );
  const y = axis(
    curves.flatMap(({ points }) => points.map(([, value]) => value)),
    [HEIGHT - MARGIN.bottom, MARGIN.top],
  );
  const lines = curves.map(({ name, points }, index) => {
    const colour = COLOURS[index % COLOURS.length];
    const path = points.map(([at, value], point) => `${point === 0 ? 'M' : 'L'}${x.place(at)} ${y.place(value)}`).join(' ');
    const dots = points.map(([at, value]) => `<circle cx="${x.place(at)}" cy="${y.place(value)}" r="3" fill="${colour}"/>`).join('');
    const legend = `<text x="${MARGIN.left + 8}" y="${MARGIN.top + 14 + index * 15}" fill="${colour}">${escaped(name)}</text>`;
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>${dots}${legend}`;
  });
  const frame = `<path d="M${MARGIN.left} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}H${WIDTH - MARGIN.right}" fill="none" stroke="#8b949e"/>`;
  const below = x.ticks
    .map((tick) => `<text x="${x.place(tick)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle">${short(tick)}</text>`)
    .join('');
  const beside = y.ticks.map((tick) => `<text x="${MARGIN.left - 6}" y="${y.place(tick) + 4}" text-anchor="end">${short(tick)}</text>`).join('');
  const names = `<text x="${MARGIN.left}" y="20" font-weight="bold">${escaped(title)}, ${escaped(unit)}</text>
<text x="${WIDTH - MARGIN.right}" y="${HEIGHT - 10}" text-anchor="end">${escaped(over)}</text>`;
  const style = 'font-family="system-ui, sans-serif" font-size="12" fill="#57606a"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" ${style}>
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>\n${frame}${below}${beside}\n${names}\n${lines.join('\n')}\n</svg>\n`;
}

interface Axis {
  place(value: number): number;
  readonly ticks: readonly number[];
}

function axis(values: readonly number[], [from, to]: readonly [number, number]): Axis {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1e300)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 1e-300))));
  const place = (value: number): number => Math.round(from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from));
  return { place, ticks: Array.from({ length: high - low + 1 }, (_, step) => 10 ** (low + step)) };
}

const short = (value: number): string => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(Number(value.toPrecision(3))));
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)};`);
