import { CHART_KINDS, CHART_PREFIX, type PluginConfig, tagOfChart } from './chart-kinds.ts';

/**
 * The charts of the package `@perspective-dev/viewer-d3fc`. A viewer has to know all plugins when it is made, but most looks are at
 * the grid: so in the place of each chart stands an element that only says what the chart is, and becomes it when it has to draw.
 */

/** An element of the package as far as it is spoken to here; its methods are those of a plugin. */
interface Chart extends HTMLElement {
  connectedCallback(): void;
  restore(...state: readonly unknown[]): void;
  draw(...given: readonly unknown[]): Promise<void>;
  update(...given: readonly unknown[]): Promise<void>;
  render(...given: readonly unknown[]): Promise<Blob>;
}

/** A class of the package. What it draws with is a field that its constructor sets on each element, and it has itself. */
type ChartClass = CustomElementConstructor & { readonly prototype: Chart; readonly _chart: unknown };

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

let loading: Promise<ReadonlyMap<string, ChartClass>> | undefined;

/** The classes of all charts by their tags; loaded once, and a failure can be tried again. */
export function loadCharts(): Promise<ReadonlyMap<string, ChartClass>> {
  loading ??= importCharts().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

/** The package defines its charts and registers them with the viewer; both are done already, so that here it only hands over its classes. */
async function importCharts(): Promise<ReadonlyMap<string, ChartClass>> {
  const classes = new Map<string, ChartClass>();
  const registry = customElements;
  const { define, whenDefined } = registry;
  registry.define = (name, element, options) => {
    if (name.startsWith(CHART_PREFIX)) classes.set(name, element as ChartClass);
    else define.call(registry, name, element, options);
  };
  registry.whenDefined = (name) => (name === 'perspective-viewer' ? new Promise(() => undefined) : whenDefined.call(registry, name));
  try {
    await import('@perspective-dev/viewer-d3fc/dist/esm/perspective-viewer-d3fc.js');
    return classes;
  } finally {
    Object.assign(registry, { define, whenDefined });
  }
}

/** Stands where a chart will be. It has the methods that a chart has, since a viewer looks which there are. */
abstract class ChartPlace extends HTMLElement {
  abstract get_static_config(): PluginConfig;
  #restored: readonly unknown[] | undefined;

  restore(...state: readonly unknown[]): void {
    this.#restored = state;
  }

  async draw(...given: readonly unknown[]): Promise<void> {
    return (await this.#become()).draw(...given);
  }

  async update(...given: readonly unknown[]): Promise<void> {
    return (await this.#become()).update(...given);
  }

  async render(...given: readonly unknown[]): Promise<Blob> {
    return (await this.#become()).render(...given);
  }

  /** Nothing is drawn that could be cleared, be of another size or have other colours. */
  async clear(): Promise<void> {}
  async resize(): Promise<void> {}
  restyle(): void {}
  delete(): void {}

  async #become(): Promise<Chart> {
    const { prototype, _chart } = (await loadCharts()).get(this.localName) as ChartClass;
    const chart = Object.assign(Object.setPrototypeOf(this, prototype) as Chart, { _chart, _settings: null, render_warning: true });
    chart.connectedCallback();
    chart.shadowRoot?.adoptedStyleSheets.push(STYLE);
    if (this.#restored !== undefined) chart.restore(...this.#restored);
    return chart;
  }
}

/** To be called before the first viewer is made. */
export async function registerCharts(): Promise<void> {
  await customElements.whenDefined('perspective-viewer');
  const viewer = customElements.get('perspective-viewer') as CustomElementConstructor & { registerPlugin(tag: string): Promise<void> };
  for (const kind of CHART_KINDS) {
    const tag = tagOfChart(kind.name);
    customElements.define(
      tag,
      class extends ChartPlace {
        get_static_config(): PluginConfig {
          return kind;
        }
      },
    );
    await viewer.registerPlugin(tag);
  }
}
