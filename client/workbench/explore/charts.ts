/**
 * The charts are published for an earlier viewer, which asked a plugin's properties one by one; this one asks once for all of
 * them, by `get_static_config`. Each chart gets that method from the properties that it has, before its element is defined.
 */
interface ChartElement extends HTMLElement {
  readonly name: string;
  readonly category: string | undefined;
  readonly select_mode: string;
  readonly min_config_columns: number;
  readonly config_column_names: readonly string[];
  readonly max_cells: number;
  readonly max_columns: number;
  connectedCallback?(): void;
}

type ChartClass = CustomElementConstructor & {
  readonly prototype: ChartElement & { get_static_config?: () => unknown; connectedCallback?: () => void };
};

/** What of the charts does not follow the page by itself: small type on their axes, and a legend beside what is drawn instead of on it. */
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  .x-axis text, .y-axis text, .y2-axis text { font-size: 11px !important; }
  .cartesian-chart > .left-axis, .cartesian-chart > .right-axis { min-width: 4.8em; }
  .x-label, .y-label { font-size: 12px !important; font-weight: 600; }
  .chart:has(.legend-container:not(.legend-color)) { padding-right: 174px; }
  .legend-container { border-radius: 6px; background: color-mix(in srgb, var(--surface) 88%, transparent); }
  .legend .label { font-size: 12px; }
  .treemap-container text { font-weight: 600; }
`);

const PREFIX = 'perspective-viewer-d3fc-';

export async function registerCharts(): Promise<void> {
  const registry = customElements;
  const define = registry.define;
  registry.define = function (this: CustomElementRegistry, name, element, options) {
    if (name.startsWith(PREFIX)) describe(element as ChartClass);
    define.call(this, name, element, options);
  };
  try {
    await import('@perspective-dev/viewer-d3fc/dist/esm/perspective-viewer-d3fc.js');
  } finally {
    registry.define = define;
  }
}

function describe({ prototype }: ChartClass): void {
  const { connectedCallback } = prototype;
  prototype.connectedCallback = function (this: ChartElement) {
    connectedCallback?.call(this);
    const sheets = this.shadowRoot?.adoptedStyleSheets;
    if (sheets?.includes(STYLE) === false) sheets.push(STYLE);
  };
  prototype.get_static_config = function (this: ChartElement) {
    return {
      name: this.name,
      category: this.category ?? 'Charts',
      select_mode: this.select_mode,
      min_config_columns: this.min_config_columns,
      config_column_names: [...this.config_column_names],
      max_cells: this.max_cells,
      max_columns: this.max_columns,
      group_rollup_modes: this.name === 'Sunburst' || this.name === 'Treemap' ? ['rollup', 'flat'] : ['flat', 'rollup'],
    };
  };
}
