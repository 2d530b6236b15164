import type { Client as PerspectiveClient, View } from '@perspective-dev/client';
import address from '@perspective-dev/viewer/dist/wasm/perspective-viewer.wasm?url';
import type { SavedViewConfig } from '../../../protocol/documents/index.ts';
import { registerCharts } from './charts.ts';

/** What a viewer shows: a view config and how it is drawn. */
export interface ViewerConfig extends SavedViewConfig {
  readonly plugin?: string;
  readonly plugin_config?: unknown;
  readonly columns_config?: unknown;
  readonly theme?: string;
  readonly settings?: boolean;
  readonly table?: string;
  readonly title?: string | null;
  readonly version?: string;
}

/** `<perspective-viewer>` as far as it is used here. */
export interface Viewer extends HTMLElement {
  load(client: PerspectiveClient): Promise<void>;
  restore(config: ViewerConfig): Promise<void>;
  save(): Promise<ViewerConfig>;
  eject(): Promise<void>;
  delete(): Promise<void>;
  toggleConfig(force?: boolean): Promise<void>;
  resize(): Promise<void>;
  getView(): Promise<View>;
}

let loading: Promise<void> | undefined;

/** Loads the viewer and its grid, once; a failure can be tried again. */
export function loadViewer(): Promise<void> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<void> {
  const [module, wasm] = await Promise.all([
    // The build unpacked it, so that the browser compiles it as it comes and keeps what it compiled; `init_client` takes only what is packed.
    WebAssembly.compileStreaming(fetch(address)),
    import('@perspective-dev/viewer/dist/wasm/perspective-viewer.js'),
    import('@perspective-dev/viewer'),
    // Tables are spoken to with it as soon as there is one.
    import('@perspective-dev/client'),
    import('@perspective-dev/viewer/dist/css/pro.css'),
    import('@perspective-dev/viewer/dist/css/pro-dark.css'),
    // Plugins are fixed once the first viewer exists.
    import('@perspective-dev/viewer-datagrid/dist/esm/perspective-viewer-datagrid.js'),
  ]);
  await wasm.default({ module_or_path: module });
  // The address is for plugins that draw in threads of their own, of which there are none here.
  wasm.init(module, new URL(import.meta.url));
  await registerCharts();
}

/** The panel of the viewer in the type and the lines of the page; what it has no variables for. */
const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
  .pivot-selector-label, .pivot_controls, .pivot_controls select, #column_selector label { font-size: 11px; }
  .pivot-column-border, .column-selector-column-border, .column_name { border-color: var(--line); }
  .pivot-column-border, .column-selector-column-border { border-radius: 4px; }
`);

export function createViewer(): Viewer {
  const viewer = document.createElement('perspective-viewer') as unknown as Viewer;
  viewer.shadowRoot?.adoptedStyleSheets.push(STYLE);
  return viewer;
}

/** The letters of a title have room below their line. */
const TITLE_STYLE = new CSSStyleSheet();
TITLE_STYLE.replaceSync('.psp-tab-title { height: 16px; line-height: 16px; }');

/** A viewer makes the bar with its title when it first draws. */
export function styleTitles(viewer: Viewer): void {
  for (const { shadowRoot } of viewer.querySelectorAll('perspective-viewer-tab'))
    if (shadowRoot?.adoptedStyleSheets.includes(TITLE_STYLE) === false) shadowRoot.adoptedStyleSheets.push(TITLE_STYLE);
}
