import { svg } from '../ui/dom.ts';
import type { GraphLine, GraphRow } from './graph.ts';

const LANE_WIDTH = 16;
const MARGIN = 12;
/** The height of a row, which the style sheet gives too. */
const HEIGHT = 64;
const COLOURS = 8;

const x = (lane: number): number => MARGIN + lane * LANE_WIDTH;

/** How wide the graph is. */
export const graphWidth = (lanes: number): number => MARGIN * 2 + Math.max(0, lanes - 1) * LANE_WIDTH;

/** One row of the graph: its dot and the lines that pass. */
export function graphPicture({ lane, lines }: GraphRow, lanes: number): SVGSVGElement {
  const width = graphWidth(lanes);
  return svg(
    'svg',
    { class: 'graph', width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, 'aria-hidden': 'true' },
    lines.map((line) => svg('path', { class: `lane-${line.colour % COLOURS}`, d: pathOf(line) })),
    svg('circle', { class: `lane-${lane % COLOURS}`, cx: x(lane), cy: HEIGHT / 2, r: 5 }),
  );
}

function pathOf({ from, to, part }: GraphLine): string {
  const [start, end] = part === 'top' ? [0, HEIGHT / 2] : part === 'bottom' ? [HEIGHT / 2, HEIGHT] : [0, HEIGHT];
  if (from === to) return `M${x(from)} ${start}V${end}`;
  const middle = (start + end) / 2;
  return `M${x(from)} ${start}C${x(from)} ${middle} ${x(to)} ${middle} ${x(to)} ${end}`;
}
