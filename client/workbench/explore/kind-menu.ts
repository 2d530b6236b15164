import type { DatasetContext } from '../dataset/context.ts';
import { html, live } from '../ui/dom.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import { derive, Signal } from '../ui/signal.ts';
import { attempt } from '../ui/toast.ts';
import { loadCharts } from './charts.ts';
import type { Explorer } from './explorer.ts';
import { type ChartColumn, suggest } from './suggest.ts';

const KINDS: readonly { readonly plugin: string; readonly label: string; readonly icon: IconName }[] = [
  { plugin: 'Datagrid', label: 'Grid', icon: 'table' },
  { plugin: 'Y Bar', label: 'Bars', icon: 'bars' },
  { plugin: 'X Bar', label: 'Bars across', icon: 'barsAcross' },
  { plugin: 'Y Line', label: 'Lines', icon: 'line' },
  { plugin: 'Y Area', label: 'Areas', icon: 'area' },
  { plugin: 'Y Scatter', label: 'Dots', icon: 'dots' },
  { plugin: 'X/Y Scatter', label: 'Scatter', icon: 'scatter' },
  { plugin: 'Heatmap', label: 'Heatmap', icon: 'heatmap' },
  { plugin: 'Treemap', label: 'Treemap', icon: 'treemap' },
  { plugin: 'Sunburst', label: 'Sunburst', icon: 'sunburst' },
];

/** What a kind of drawing is called here. */
export const kindOf = (plugin: string): string => KINDS.find((kind) => kind.plugin === plugin)?.label ?? plugin;

/** Chooses how the rows are drawn, and opens the viewer's own settings. */
export function kindMenu(context: DatasetContext, explorer: Explorer, life: AbortSignal): HTMLElement {
  // So that a chart that is chosen is drawn at once; what fails here is tried again, and said, when one has to draw.
  requestIdleCallback(() => void loadCharts().catch(() => undefined));
  const plugin = derive(life, explorer.drawing, (drawing) => drawing?.plugin);
  const menu = live(life, plugin, (now) => {
    const current = KINDS.find((kind) => kind.plugin === now);
    const entries = KINDS.map((kind) => ({ label: kind.label, icon: kind.icon, run: () => attempt(draw(context, explorer, kind.plugin)) }));
    const label = current?.label ?? now ?? 'Grid';
    return menuButton({ label: `Drawn as: ${label}`, class: 'button', face: [icon(current?.icon ?? 'bars'), label, icon('down')], entries });
  });
  return html('div', { class: 'kind' }, menu, settingsButton(explorer, life));
}

function settingsButton(explorer: Explorer, life: AbortSignal): HTMLElement {
  const isOpen = new Signal(false);
  const toggle = (): void => attempt(explorer.viewer?.toggleConfig() ?? Promise.resolve());
  const button = html('button', { type: 'button', class: 'button', on: { click: toggle } }, icon('settings'), 'Configure');
  document.addEventListener('perspective-toggle-settings', (event) => isOpen.set((event as CustomEvent<boolean>).detail), {
    signal: life,
    capture: true,
  });
  isOpen.watch(life, (open) => {
    button.classList.toggle('pressed', open);
    button.setAttribute('aria-pressed', String(open));
  });
  return button;
}

/** A plain grid becomes a chart of what tells few groups apart; what is grouped already is drawn as it is. */
async function draw({ app, datasetId, dataset }: DatasetContext, explorer: Explorer, plugin: string): Promise<void> {
  const { table, drawing, viewer } = explorer;
  if (table === undefined || viewer === undefined) return;
  const isPlain = (drawing.value?.config.group_by ?? []).length === 0;
  if (plugin === 'Datagrid' || !isPlain || table.versionId === null) return viewer.restore({ plugin });
  const { columns } = await app.client.version.statistics({ datasetId, versionId: table.versionId });
  const distinct = new Map(columns.map((column) => [column.name, column.distinct]));
  const known: ChartColumn[] = table.schema.map(({ name, type }) => ({ name, type, distinct: distinct.get(name) }));
  const config = suggest({ plugin, columns: known, key: dataset.latest?.key ?? null });
  await viewer.restore({ ...config, plugin });
  if (config === undefined) await viewer.toggleConfig(true);
}
