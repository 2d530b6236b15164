import type { App } from '../app/app.ts';
import type { Route } from '../app/route.ts';
import type { Shell } from '../app/shell.ts';
import { html, replace } from '../ui/dom.ts';
import { shorterLife } from '../ui/signal.ts';
import { datasetPage } from './dataset.ts';
import { datasetsPage } from './datasets.ts';

/** Draws the page of the route; within one dataset the page stays and follows the route itself. */
export function showPages(app: App, shell: Shell, life: AbortSignal): void {
  let current: AbortController | undefined;
  let shown: string | undefined;
  app.route.watch(life, (route) => {
    const place = placeOf(route);
    if (place === shown) return;
    shown = place;
    current?.abort();
    current = shorterLife(life);
    replace(shell.main, pageOf(app, shell, route, current.signal));
    replace(shell.aside);
  });
}

function placeOf({ path }: Route): string {
  return path[0] === 'datasets' && path[1] !== undefined ? `dataset ${path[1]}` : `${path.join('/')}`;
}

function pageOf(app: App, shell: Shell, { path }: Route, life: AbortSignal): HTMLElement {
  if (path.length === 0) return datasetsPage(app, shell, life);
  const datasetId = Number(path[1]);
  // As it is written elsewhere: what is only read as a number, such as 1e3, is not a dataset.
  if (path[0] === 'datasets' && path[1] === String(datasetId) && Number.isSafeInteger(datasetId)) return datasetPage({ app, shell, datasetId, life });
  shell.setCrumbs([{ label: 'Not found' }]);
  return html(
    'div',
    { class: 'page' },
    html('div', { class: 'empty' }, html('h1', {}, 'There is nothing here'), html('p', {}, html('a', { href: '#/' }, 'All datasets'))),
  );
}
