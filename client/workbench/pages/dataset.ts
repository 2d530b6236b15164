import { CovistaError } from '../../index.ts';
import { accessPage } from '../access/access-page.ts';
import type { App } from '../app/app.ts';
import type { Route } from '../app/route.ts';
import type { Shell } from '../app/shell.ts';
import { comparePage } from '../compare/compare-page.ts';
import { type DatasetContext, openContext } from '../dataset/context.ts';
import { deleteDataset, editDataset } from '../dataset/edit.ts';
import { explorePage } from '../explore/explore-page.ts';
import { historyPage } from '../history/history-page.ts';
import { schedulesPage } from '../schedules/schedules-page.ts';
import { html, live, replace } from '../ui/dom.ts';
import { type IconName, icon } from '../ui/icons.ts';
import { menuButton } from '../ui/menu.ts';
import { messageOf, skeleton } from '../ui/resource.ts';
import { derive, shorterLife } from '../ui/signal.ts';
import { acceptFiles } from '../upload/drop.ts';
import { uploadButton } from './datasets.ts';

interface Tab {
  readonly name: string;
  readonly label: string;
  readonly icon: IconName;
  readonly needs: 'read' | 'admin';
  /** Draws the page; it follows the query of the route itself. */
  readonly draw: (context: DatasetContext, life: AbortSignal) => HTMLElement;
}

const TABS: readonly Tab[] = [
  { name: 'explore', label: 'Explore', icon: 'explore', needs: 'read', draw: explorePage },
  { name: 'history', label: 'History', icon: 'version', needs: 'read', draw: historyPage },
  { name: 'compare', label: 'Compare', icon: 'compare', needs: 'read', draw: comparePage },
  { name: 'schedules', label: 'Schedules', icon: 'clock', needs: 'read', draw: schedulesPage },
  { name: 'access', label: 'Access', icon: 'people', needs: 'admin', draw: accessPage },
];

interface DatasetPageOptions {
  readonly app: App;
  readonly shell: Shell;
  readonly datasetId: number;
  readonly life: AbortSignal;
}

/** One dataset, with a tab for each thing one does with it. */
export function datasetPage({ app, shell, datasetId, life }: DatasetPageOptions): HTMLElement {
  const context = openContext(app, datasetId, life);
  const body = html('div', { class: 'dataset-body', id: 'tab-body' });
  const page = html('div', { class: 'dataset' }, head(context, life), body);
  acceptDrops(page, context, life);
  shell.setCrumbs([{ label: 'Datasets', link: '#/' }, { label: '…' }]);
  context.dataset.watch(life, (state) => {
    if (state.kind === 'ready') shell.setCrumbs([{ label: 'Datasets', link: '#/' }, { label: state.value.name }]);
    if (state.kind === 'failed') {
      shell.setCrumbs([{ label: 'Datasets', link: '#/' }, { label: 'Not found' }]);
      replace(page, html('div', { class: 'page' }, notThere(state.error)));
    }
  });
  showTabs(context, body, life);
  return page;
}

/** Who may only read is told so before a file is let go, and the browser does not open it in place of the page. */
function acceptDrops(page: HTMLElement, context: DatasetContext, life: AbortSignal): void {
  acceptFiles(page, {
    life,
    label: () => (context.may('write') ? 'Drop to upload as a new version' : 'You may read this dataset, and not upload to it'),
    accept: (files) => context.may('write') && context.upload(files),
  });
}

/** To who may not see it, a dataset does not exist; both are said at once. */
function notThere(error: unknown): HTMLElement {
  const words = error instanceof CovistaError && error.code === 'not_found' ? 'It was deleted, or nobody gave you access to it.' : messageOf(error);
  return html(
    'div',
    { class: 'empty large', role: 'alert' },
    icon('table'),
    html('h1', {}, 'This dataset cannot be shown'),
    html('p', {}, words),
    html('a', { class: 'button', href: '#/' }, 'All datasets'),
  );
}

function showTabs(context: DatasetContext, body: HTMLElement, life: AbortSignal): void {
  let drawn: AbortController | undefined;
  derive(life, context.app.route, tabOf).watch(life, (tab) => {
    if (context.app.route.value.path[1] !== String(context.datasetId)) return;
    drawn?.abort();
    drawn = shorterLife(life);
    replace(body, tab.needs === 'read' ? tab.draw(context, drawn.signal) : guarded(context, tab, drawn.signal));
  });
}

/** A page that not everybody has, which an address may lead to all the same. */
function guarded(context: DatasetContext, { needs, draw }: Tab, life: AbortSignal): HTMLElement {
  const may = derive(life, context.access, ({ kind }) => (context.may(needs) ? 'yes' : kind === 'loading' ? 'unknown' : 'no'));
  return live(life, may, (answer, inner) => {
    if (answer === 'unknown') return skeleton();
    return answer === 'yes' ? draw(context, inner) : notForYou(context);
  });
}

function notForYou(context: DatasetContext): HTMLElement {
  return html(
    'div',
    { class: 'empty large' },
    icon('lock'),
    html('h1', {}, 'This page is for admins of the dataset'),
    html('a', { class: 'button', href: context.link('explore') }, 'Explore'),
  );
}

function tabOf({ path }: Route): Tab {
  return TABS.find(({ name }) => name === path[2]) ?? (TABS[0] as Tab);
}

function head(context: DatasetContext, life: AbortSignal): HTMLElement {
  const current = derive(life, context.app.route, tabOf);
  const tabs = live(life, context.access, () => {
    const visible = TABS.filter(({ needs }) => context.may(needs));
    return visible.map((tab) => tabLink(context, tab, current.value === tab));
  });
  current.watch(life, ({ name }) => {
    for (const link of tabs.querySelectorAll('a')) {
      if (link.dataset.tab === name) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  });
  context.exploring.watch(life, (query) => tabs.querySelector('a[data-tab=explore]')?.setAttribute('href', context.link('explore', query)));
  const actions = live(life, context.access, () => [
    context.may('write') && uploadButton((files) => context.upload(files), 'Upload version'),
    context.may('write') && menu(context),
  ]);
  return html(
    'div',
    { class: 'dataset-head' },
    html('nav', { class: 'tabs', 'aria-label': 'Parts of the dataset' }, tabs),
    html('div', { class: 'bar-space' }),
    actions,
  );
}

function tabLink(context: DatasetContext, { name, label, icon: picture }: Tab, isCurrent: boolean): HTMLElement {
  return html(
    'a',
    {
      class: 'tab',
      'data-tab': name,
      href: context.link(name, name === 'explore' ? context.exploring.value : {}),
      'aria-current': isCurrent ? 'page' : undefined,
    },
    icon(picture),
    label,
  );
}

function menu(context: DatasetContext): HTMLElement {
  const edit = { label: 'Edit name, labels, key', icon: 'edit', run: () => editDataset(context) } as const;
  const remove = { label: 'Delete dataset', icon: 'trash', danger: true, run: () => deleteDataset(context) } as const;
  return menuButton({ label: 'More for this dataset', face: icon('more'), entries: context.may('admin') ? [edit, remove] : [edit] });
}
