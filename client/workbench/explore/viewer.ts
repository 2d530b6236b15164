import type { Client as PerspectiveClient, View } from '@perspective-dev/client';
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

/** Loads the viewer, its grid and its charts, once; a failure can be tried again. */
export function loadViewer(): Promise<void> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<void> {
  const [{ init_client: start }, wasm, { default: address }] = await Promise.all([
    import('@perspective-dev/viewer'),
    import('@perspective-dev/viewer/dist/wasm/perspective-viewer.js'),
    import('@perspective-dev/viewer/dist/wasm/perspective-viewer.wasm?url'),
    import('@perspective-dev/viewer/dist/css/pro.css'),
    import('@perspective-dev/viewer/dist/css/pro-dark.css'),
    // Plugins are fixed once the first viewer exists.
    import('@perspective-dev/viewer-datagrid/dist/esm/perspective-viewer-datagrid.js'),
    registerCharts(),
  ]);
  await start(fetch(address), wasm);
}

export function createViewer(): Viewer {
  return document.createElement('perspective-viewer') as unknown as Viewer;
}
