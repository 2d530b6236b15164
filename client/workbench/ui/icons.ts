import { svg } from './dom.ts';

/** Outlines on a grid of 20 by 20. */
const PATHS = {
  branch: 'M6 4v8M6 12a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM14 4a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM14 8c0 4-8 2-8 5',
  tag: 'M3.5 9.5v-6h6l7 7-6 6-7-7ZM6.8 6.8h.01',
  version: 'M10 7a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM10 2v5M10 13v5',
  search: 'M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM13 13l4 4',
  plus: 'M10 4v12M4 10h12',
  upload: 'M10 13V4M6 7.5 10 3.5l4 4M4 13v3h12v-3',
  download: 'M10 4v9M6 9.5l4 4 4-4M4 14v3h12v-3',
  compare: 'M7 4 4 7l3 3M4 7h12M13 10l3 3-3 3M16 13H4',
  lock: 'M5 9h10v7H5zM7 9V6.5a3 3 0 0 1 6 0V9',
  unlock: 'M5 9h10v7H5zM7 9V6.5a3 3 0 0 1 5.6-1.5',
  close: 'm5 5 10 10M15 5 5 15',
  check: 'm4 10.5 4 4 8-9',
  more: 'M4.5 10h.01M10 10h.01M15.5 10h.01',
  down: 'm5 8 5 5 5-5',
  right: 'm8 5 5 5-5 5',
  warning: 'M10 3 2.5 16.5h15L10 3ZM10 8v4M10 14.2h.01',
  sun: 'M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6 16 16M4 16l1.4-1.4M14.6 5.4 16 4',
  moon: 'M16.5 12A7 7 0 0 1 8 3.5a6.8 6.8 0 1 0 8.5 8.5Z',
  person: 'M10 3a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 10 3ZM3.5 17c.6-3.6 3.2-5.2 6.5-5.2s5.9 1.6 6.5 5.2',
  people: 'M7.5 4a2.7 2.7 0 1 0 0 5.4A2.7 2.7 0 0 0 7.5 4ZM2 16c.5-3 2.6-4.5 5.5-4.5S12.5 13 13 16M13 4.3a2.6 2.6 0 0 1 0 5M15 12c1.7.6 2.7 2 3 4',
  table: 'M3 4h14v12H3zM3 8.5h14M8 8.5V16M3 12.2h14',
  explore: 'M4 16V9M10 16V4M16 16v-5',
  note: 'M3.5 4h13v9h-6l-4 3.5V13h-3z',
  bookmark: 'M6 3.5h8V17l-4-3.2L6 17z',
  restore: 'M4 4v4h4M4.3 8A6.5 6.5 0 1 1 3.5 11',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.700 10.5h7.6L14.5 6',
  edit: 'M4 13.5V16h2.5l8.7-8.7-2.5-2.5zM11 6.5 13.5 9',
  eye: 'M1.8 10S4.8 4.8 10 4.8 18.2 10 18.2 10 15.2 15.2 10 15.2 1.8 10 1.8 10ZM10 7.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 0 0 0-4.6Z',
  file: 'M5 2.5h7l3.5 3.5v11.5h-10.5zM12 2.5V6h3.5',
  leave: 'M8 4H4v12h4M8 10h9M13.5 6.5 17 10l-3.5 3.5',
  key: 'M7 9.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM9.5 10.5 16 4M13.5 6.5 16 9',
  bars: 'M3 17h14M5 14V9M10 14V4M15 14V7',
  barsAcross: 'M3 3v14M6 5h9M6 10h5M6 15h7',
  line: 'M3 14l4-5 4 3 6-8',
  area: 'M3 16l4-6 4 3 6-8v11zM3 16h14',
  dots: 'M4 12h.01M8 6h.01M12 14h.01M16 8h.01M3 17h14',
  scatter: 'M3 3v14h14M7 12h.01M9 8h.01M12 10h.01M15 5h.01',
  heatmap: 'M3.5 3.5h13v13h-13zM3.5 8h13M3.5 12.300h13M8 3.500v13M12.300 3.500v13',
  treemap: 'M3.500 3.500h13v13h-13zM10 3.500v13M10 9h6.500M3.500 12H10',
  sunburst:
    'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM10 7.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5ZM10 3v4.500M3.900 13.500l3.900-2.300M16.100 13.500l-3.900-2.300',
  settings: 'M4 6h7M15 6h1M4 14h1M9 14h7M13 4a2 2 0 1 0 0 4 2 2 0 0 0 0-4ZM7 12a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z',
  link: 'M8.500 11.500a3 3 0 0 0 4.300 0l2.700-2.700a3 3 0 0 0-4.300-4.300l-.900.900M11.500 8.500a3 3 0 0 0-4.300 0l-2.700 2.700a3 3 0 0 0 4.300 4.300l.900-.900',
  clock: 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM10 6v4.2l2.8 1.8',
  pause: 'M7 4.5v11M13 4.5v11',
  undo: 'M7.5 4.5 4 8l3.5 3.5M4 8h8a4 4 0 0 1 0 8H8',
} as const;

export type IconName = keyof typeof PATHS;

/** A picture beside words; it says nothing to a screen reader by itself. */
export function icon(name: IconName): SVGSVGElement {
  const path = svg('path', { d: PATHS[name] });
  return svg('svg', { class: 'icon', viewBox: '0 0 20 20', width: 16, height: 16, 'aria-hidden': 'true', focusable: 'false' }, path);
}
